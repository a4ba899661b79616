"""The readable counter's valgrind tool: build it against the installed valgrind, and put it where valgrind looks.

valgrind's package brings the static libraries and headers that its own tools are made of. The tool is built at first
use, in half a second, and cached by its source, the command and valgrind's version.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from harness import cache
from harness.errors import StartError
from harness.valgrind import Valgrind, c_compiler

TOOL = "readable"
_SOURCE = Path(__file__).with_name("readable_tool.c")
INSTEAD = "count with Callgrind instead (HARNESS_COUNTER=callgrind, or --counter callgrind)"
#: The kernel's name of a machine -> valgrind's.
_MACHINES = {"x86_64": "amd64"}
#: Where valgrind's own tools are loaded, below everything of the program's. The same on every 64-bit Linux.
_ADDRESS = "0x58000000"
_FLAGS = ("-O2", "-g0", "-std=gnu99", "-fno-pie", "-fno-stack-protector", "-fno-strict-aliasing", "-fno-builtin")
_LINK = ("-static", "-no-pie", "-nostdlib", "-u", "_start", f"-Wl,-Ttext-segment={_ADDRESS}", "-Wl,--build-id=none")


def furnish(folder: Path, valgrind: Valgrind) -> None:
    """Add the tool to `folder`, which holds links to valgrind's own files. Raises StartError."""
    command = _command(valgrind)
    tool = folder / _name(TOOL)
    cached = _cached(valgrind, command)
    if cached.exists():
        tool.symlink_to(cached)
        return
    result = subprocess.run([*command, "-o", str(tool)], capture_output=True, text=True)
    if result.returncode != 0:
        raise StartError(f"the readable counter does not build: {INSTEAD}\n{result.stderr[-4000:]}")
    _try(tool, valgrind)
    cache.store(tool, cached)


def _cached(valgrind: Valgrind, command: list[str]) -> Path:
    key = cache.key([_SOURCE.read_text(), valgrind.version, *(word for word in command if word != str(_SOURCE))])
    return cache.folder() / f"tool-{key}" / _name(TOOL)


def _try(tool: Path, valgrind: Valgrind) -> None:
    """Run nothing under the tool. Raises StartError where it does not fit the valgrind that is installed."""
    command = [valgrind.path, f"--tool={TOOL}", "-q", "true"]
    environment = {**os.environ, "VALGRIND_LIB": str(tool.parent)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        raise StartError(
            f"the readable counter was built but does not run with valgrind {valgrind.version} "
            f"(status {result.returncode}): {INSTEAD}\n{(result.stdout + result.stderr)[-2000:]}"
        )


def _command(valgrind: Valgrind) -> list[str]:
    machine = _machine()
    libraries = [f"lib{part}-{machine}-linux.a" for part in ("coregrind", "vex")]
    folder = _libraries(valgrind, libraries[0])
    support = folder / f"libgcc-sup-{machine}-linux.a"  # what libgcc would bring; not every build of valgrind has it
    headers = valgrind.prefix / "include/valgrind"
    if not (headers / "pub_tool_tooliface.h").exists():
        raise StartError(f"valgrind's header pub_tool_tooliface.h is not in {headers}: {INSTEAD}")
    return [
        c_compiler(),
        *_FLAGS,
        *(f"-DVG{kind}_{machine}{system}=1" for kind, system in (("A", ""), ("P", "_linux"), ("PV", "_linux_vanilla"))),
        "-DVGO_linux=1",
        f"-I{headers}",
        str(_SOURCE),
        *_LINK,
        *(str(folder / library) for library in libraries),
        *([str(support)] if support.exists() else []),
        "-lgcc",
    ]


def _machine() -> str:
    machine = platform.machine()
    if machine not in _MACHINES:
        raise StartError(
            f"the readable counter is made for {', '.join(_MACHINES)} only, this machine is {machine}: {INSTEAD}"
        )
    return _MACHINES[machine]


def _name(tool: str) -> str:
    return f"{tool}-{_machine()}-linux"


def _libraries(valgrind: Valgrind, first: str) -> Path:
    places = valgrind.places("lib/valgrind", "libexec/valgrind")
    for place in places:
        if (place / first).exists():
            return place
    raise StartError(
        f"the readable counter needs valgrind's static library {first}, which is not in "
        f"{', '.join(map(str, places)) or valgrind.prefix}: install valgrind's development files "
        f"(Debian's package valgrind has them), or {INSTEAD}"
    )
