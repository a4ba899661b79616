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
from harness.system import cache

_INSIDE = Path(__file__).parent.parent / "inside"
NAME = "_client_requests.so"
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
    compiler = os.stat(command[0])
    texts = [source.read_text() for source in _sources("*.[ch]")]
    key = cache.key([*texts, *command, sys.version, version, str(compiler.st_size), str(compiler.st_mtime_ns)])
    return cache.folder() / f"extension-{key}" / NAME


def _compile(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if "valgrind/callgrind.h" in result.stderr:
        raise StartError(
            "valgrind's header valgrind/callgrind.h is not installed: "
            "install valgrind's development files (Debian's package valgrind has them)"
        )
    if result.returncode != 0:
        raise StartError(f"{command[0]} could not compile the harness's extension:\n{result.stderr}")
