"""Build the extension, the C of inside/, for the interpreter that runs.

It takes a second, since CPython's own headers are large, and every session needs it. So what was built is kept in the
cache folder, under a name that says what it was built of, by what and for what.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from harness import protocol
from harness.engine import valgrind
from harness.errors import StartError
from harness.inside.rules import Library
from harness.system import cache

_INSIDE = Path(__file__).parent.parent / "inside"
NAME = "_client_requests.so"
_CPP_FLAGS = ("-O0", "-g0", "-w", "-std=c++17", "-shared", "-fPIC")
_FLAGS = ("-O2", "-g0", "-fno-stack-protector", "-shared", "-fPIC")


def add(folder: Path, with_valgrind: bool) -> None:
    """Put the extension into `folder`, built against valgrind's headers or without any request to it. Raises
    StartError."""
    compiler = valgrind.c_compiler()
    headers = sysconfig.get_path("include")
    if not os.path.exists(os.path.join(headers, "Python.h")):
        raise StartError(
            f"no Python.h in {headers}: install the interpreter's headers "
            f"(Debian, Ubuntu: apt-get install python{sysconfig.get_python_version()}-dev)"
        )
    command = [compiler, *_FLAGS, f"-I{headers}"]
    command += [] if with_valgrind else ["-DWITHOUT_VALGRIND"]
    made, cached = folder / NAME, _cached(command, valgrind.find().version if with_valgrind else "")
    if cache.find(cached) is not None:
        shutil.copyfile(cached, made)
        return
    _compile([*command, *(str(source) for source in _sources("*.c")), "-o", str(made)])
    cache.store(made, cached)


def add_library(folder: Path, library: Library) -> None:
    """Put what `library` asks for into `folder`, site-packages; nothing if it cannot be built. That takes some seconds,
    once for each release of what it is built for."""
    compiler, headers = cpp_compiler(), folder / library.headers
    read = sorted(headers.glob("pybind11/**/*.h")) if compiler is not None else []
    if compiler is None or not read:
        return
    includes = [f"-I{os.path.realpath(headers)}", f"-I{sysconfig.get_path('include')}"]
    command = [compiler, *_CPP_FLAGS, *includes, str(library.source)]
    texts = [path.read_text() for path in (library.source, *read)]
    cached = cache.folder() / f"library-{cache.key([*texts, *command, sys.version, _facts(compiler)])}" / library.name
    made = folder / library.name
    if cache.find(cached) is not None:
        shutil.copyfile(cached, made)
    elif subprocess.run([*command, "-o", str(made)], capture_output=True).returncode == 0:
        cache.store(made, cached)


def cpp_compiler() -> str | None:
    """The C++ compiler that CXX names, else `g++`: its path, None where there is none."""
    return shutil.which(os.environ.get("CXX", "g++"))


def native_lack(folder: Path) -> str | None:
    """Why native code within valgrind cannot be here, a sentence; None where it can. `folder` has the extension, built
    with valgrind. Raises StartError."""
    ask = "import _client_requests as c; c.go_native(); c.go_simulated(); print(c.native_lack() or '', end='')"
    answer = subprocess.run(
        [valgrind.find().path, "--tool=none", "-q", "--vgdb=no", sys.executable, "-S", "-c", ask],
        env={**os.environ, "PYTHONPATH": str(folder), "LD_BIND_NOW": "1", protocol.GO_NATIVE: "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if answer.returncode != 0:
        raise StartError(f"native code within valgrind ended the process (status {answer.returncode}): {answer.stderr}")
    return answer.stdout or None


def _sources(pattern: str) -> list[Path]:
    return sorted(_INSIDE.glob(pattern))


def _cached(command: list[str], version: str) -> Path:
    texts = [source.read_text() for source in _sources("*.[ch]")]
    key = cache.key([*texts, *command, sys.version, version, _facts(command[0])])
    return cache.folder() / f"extension-{key}" / NAME


def _facts(compiler: str) -> str:
    status = os.stat(compiler)
    return f"{status.st_size} {status.st_mtime_ns}"


def _compile(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if "valgrind/callgrind.h" in result.stderr:
        raise StartError(
            "valgrind's header valgrind/callgrind.h is not installed: "
            "install valgrind's development files (Debian's package valgrind has them)"
        )
    if result.returncode != 0:
        raise StartError(f"{command[0]} could not compile the harness's extension:\n{result.stderr}")
