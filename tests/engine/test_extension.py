"""The extension is built for the Python that runs, and once."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import uuid
from pathlib import Path

import pytest

from harness.engine import extension
from harness.errors import StartError
from harness.inside.rules import Library

#: Compiled faster, where nothing is counted.
UNOPTIMISED = ("-O0", "-shared", "-fPIC")


@pytest.fixture
def cached(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_it_is_compiled_once_for_equal_sources_and_anew_by_another_compiler(tmp_path, cached, monkeypatch):
    compiler = extension.valgrind.c_compiler()
    program(tmp_path / "bin/gcc", f'echo run >>{tmp_path}/runs\nexec {compiler} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(extension, "_FLAGS", UNOPTIMISED)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        extension.add(tmp_path / folder, with_valgrind=False)
    assert (tmp_path / "runs").read_text() == "run\n"
    assert (tmp_path / "one" / extension.NAME).read_bytes() == (tmp_path / "two" / extension.NAME).read_bytes()
    program(tmp_path / "bin/gcc", f'echo another >>{tmp_path}/runs\nexec {compiler} "$@"')
    extension.add(tmp_path, with_valgrind=False)
    assert (tmp_path / "runs").read_text() == "run\nanother\n"
    for kept in cached.glob("*/extension-*/*.so"):
        kept.chmod(0o666)  # others may have written it
    extension.add(tmp_path, with_valgrind=False)
    assert (tmp_path / "runs").read_text() == "run\nanother\nanother\n"


def test_a_library_in_cpp_is_built_once_for_equal_headers_and_is_absent_where_it_cannot_be(
    tmp_path, cached, monkeypatch
):
    compiler = extension.cpp_compiler()
    program(tmp_path / "bin/g++", f'echo run >>{tmp_path}/runs\nexec {compiler} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    header = tmp_path / "site/lib/include/pybind11/some.h"
    source = tmp_path / "tables.cpp"
    source.write_text('#include <pybind11/some.h>\nextern "C" int answer() { return ANSWER; }\n')
    library = Library("tables.so", source, "lib/include")
    made = tmp_path / "site/tables.so"

    def built() -> int | None:
        made.unlink(missing_ok=True)
        extension.add_library(tmp_path / "site", library)
        return None if not made.exists() else ctypes.CDLL(str(shutil.copy(made, tmp_path / uuid.uuid4().hex))).answer()

    header.parent.mkdir(parents=True)
    assert built() is None, "no headers"
    header.write_text("#define ANSWER 1")
    assert built() == built() == 1
    assert (tmp_path / "runs").read_text() == "run\n"
    header.write_text("#define ANSWER 2")
    assert built() == 2
    header.write_text("#error of another kind")
    assert built() is None
    header.write_text("#define ANSWER 1")
    assert built() == 1
    monkeypatch.setenv("CXX", "/nonexistent")
    assert built() is None


def test_without_pythons_headers_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("sysconfig.get_path", lambda name: "/nonexistent")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}-dev"
    with pytest.raises(StartError, match=rf"no Python\.h in /nonexistent.*apt-get install {version}"):
        extension.add(tmp_path, with_valgrind=False)


def test_it_compiles_for_arm64(tmp_path):
    """Compiles: nothing was run there. The headers are this machine's, whose sizes of numbers are arm64's."""
    compiler = shutil.which("aarch64-linux-gnu-gcc")
    if compiler is None:
        pytest.skip("no aarch64-linux-gnu-gcc here; make test-worlds has one")
    python = extension.sysconfig.get_path("include")
    (tmp_path / "valgrind").symlink_to("/usr/include/valgrind")
    # Debian keeps one of Python's headers in a folder for each kind of machine.
    (tmp_path / "aarch64-linux-gnu").symlink_to("/usr/include/x86_64-linux-gnu")
    sources = [str(source) for source in extension._sources("*.c")]
    for flag in ("-DWITHOUT_VALGRIND", "-DNDEBUG"):
        extension._compile(
            [
                compiler,
                "-O2",
                "-shared",
                "-fPIC",
                flag,
                f"-I{python}",
                f"-I{tmp_path}",
                *sources,
                "-o",
                f"{tmp_path}/made",
            ]
        )
    assert (tmp_path / "made").read_bytes()[18] == 0xB7  # EM_AARCH64
