"""What the C of inside/ assumes of this Python is checked by that C itself, and a difference is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine import client, extension
from harness.errors import StartError
from harness.suite import counting
from harness.suite.selection import find
from tests.conftest import SUITES

#: Compiled faster, where nothing is counted.
UNOPTIMISED = ("-O0", "-shared", "-fPIC")
CHECK = "import random, sys; sys.path.insert(0, sys.argv[1]); import _client_requests as c; {}c.check_assumptions()"


@pytest.fixture
def cached(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def checked(folder: Path, first: str = "", **surroundings: str) -> str:
    """The last line of what the checks say in another process; "" where everything is as is assumed."""
    command = [sys.executable, "-c", CHECK.format(first), str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **surroundings}, timeout=60)
    return "" if answer.returncode == 0 else answer.stderr.strip().splitlines()[-1]


def test_this_python_is_as_is_assumed(tmp_path):
    extension.add(tmp_path, with_valgrind=False)
    assert checked(tmp_path) == ""


@pytest.mark.parametrize(
    ("concern", "instead", "sentence"),
    [
        ("context_variables", ("var_hash", "var_cached_tsid"), "the hash of a context variable is not where"),
        ("type_versions", ("(uintptr_t)name >> 3", "(uintptr_t)name >> 4"), "versions of types, or the table"),
        ("allocators", ("POOL = 1 << 14", "POOL = 1 << 12"), "Python's allocator is not its own, or keeps its"),
        ("tables", ("held.value, held.hash)", "held.value, 0)"), "dicts keep what they hold in another way"),
        (
            "names",
            ("SHORT_ASCII_INTERNED = 'Z'", "SHORT_ASCII_INTERNED = 'z'"),
            "interned strings are kept in another way",
        ),
        ("fork_server", ("after_forkers_child", "imports.modules"), "the functions to call around a fork are not"),
        ("frames", ("where.frame_previous = ", "where.frame_code = "), "frames are not where they are looked for"),
        ("frames", ("where.text_ascii = ", "where.code_name = "), "frames are not where they are looked for"),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)
def test_what_is_not_as_is_assumed_is_found(tmp_path, monkeypatch, cached, concern, instead, sentence):
    """Each source looks in a wrong place once."""
    inside = tmp_path / "inside"
    inside.mkdir()
    for source in extension._sources("*.[ch]"):
        text = source.read_text()
        if source.stem == concern and source.suffix == ".c":
            assert instead[0] in text
            text = text.replace(*instead)
        (inside / source.name).write_text(text)
    if concern == "fork_server" and sys.version_info < (3, 12):
        (inside / "fork_server.c").write_text((inside / "fork_server.c").read_text().replace("imports.", ""))
    monkeypatch.setattr(extension, "_INSIDE", inside)
    monkeypatch.setattr(extension, "_FLAGS", UNOPTIMISED)
    extension.add(tmp_path, with_valgrind=False)
    assert sentence in checked(tmp_path)


def test_another_allocator_of_python_is_found(tmp_path):
    extension.add(tmp_path, with_valgrind=False)
    assert "Python's allocator is not its own" in checked(tmp_path, PYTHONMALLOC="malloc")


def test_headers_of_another_version_are_found(tmp_path, monkeypatch, cached):
    headers = extension.sysconfig.get_path("include")
    (tmp_path / "include").mkdir()
    for entry in Path(headers).iterdir():
        (tmp_path / "include" / entry.name).symlink_to(entry)
    (tmp_path / "include/patchlevel.h").unlink()
    text = Path(headers, "patchlevel.h").read_text()
    micro = f"#define PY_MICRO_VERSION        {sys.version_info.micro}\n"
    assert micro in text
    (tmp_path / "include/patchlevel.h").write_text(text.replace(micro, "#define PY_MICRO_VERSION 77\n"))
    (tmp_path / "include/Python.h").unlink()  # what it includes is to be found beside it
    (tmp_path / "include/Python.h").write_text(Path(headers, "Python.h").read_text())
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "include"))
    extension.add(tmp_path, with_valgrind=False)
    assert "its headers are those of another version" in checked(tmp_path)


def test_a_server_that_finds_it_otherwise_says_so(monkeypatch, cached, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    for source in extension._sources("*.[ch]"):
        (inside / source.name).write_text(source.read_text().replace("POOL = 1 << 14", "POOL = 1 << 12"))
    with monkeypatch.context() as patch:
        patch.setattr(extension, "_INSIDE", inside)
        extension.add(tmp_path, with_valgrind=False)
    wrong = tmp_path / extension.NAME
    headers = f"-I{extension.sysconfig.get_path('include')}"
    command = [extension.valgrind.c_compiler(), *extension._FLAGS, headers, "-DWITHOUT_VALGRIND"]
    extension.cache.store(wrong, extension._cached(command, ""))
    loop = find(SUITES / "plain", "loops.Loop")
    with pytest.raises(StartError, match=r"CPython 3\.\d+\.\d+ is not built as counting assumes: Python's allocator"):
        with client.session(counting.configuration_for(loop, counter="opcodes")):
            pass
