"""This project's own valgrind tools: build one against the installed valgrind, and put it where valgrind looks.

valgrind's package brings the static libraries and headers that its own tools are made of. A tool is built at first
use, in half a second, and cached by its source, the command and valgrind's version.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
from pathlib import Path

from harness.engine.valgrind import Valgrind, c_compiler
from harness.errors import StartError
from harness.system import cache

_HARNESS = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Tool:
    """One of them: valgrind's name for it, what people know it as, and what to do without it. `sources` are the tool
    itself and what it includes of ours, `link` are further options for the linker."""

    name: str
    what: str
    instead: str
    sources: tuple[Path, ...]
    link: tuple[str, ...] = ()


READABLE = Tool(
    "readable",
    "the readable counter",
    "count with Callgrind instead (HARNESS_COUNTER=callgrind, or --counter callgrind)",
    (_HARNESS / "engine/readable_tool.c",),
    ("-Wl,--wrap=vgPlain_di_notify_mmap",),
)
FRAMES = Tool(
    "frames",
    "the view by Python function",
    "look at the view by C function instead (explain and diff without --python)",
    (_HARNESS / "engine/frames_tool.c", _HARNESS / "inside/frames.h"),
)
#: The kernel's name of a machine -> valgrind's.
_MACHINES = {"x86_64": "amd64"}
#: Where valgrind's own tools are loaded, below everything of the program's. The same on every 64-bit Linux.
_ADDRESS = "0x58000000"
_FLAGS = ("-O2", "-g0", "-std=gnu99", "-fno-pie", "-fno-stack-protector", "-fno-strict-aliasing", "-fno-builtin")
_LINK = ("-static", "-no-pie", "-nostdlib", "-u", "_start", f"-Wl,-Ttext-segment={_ADDRESS}", "-Wl,--build-id=none")


def add(folder: Path, valgrind: Valgrind, tool: Tool) -> None:
    """Add the tool to `folder`, which holds links to valgrind's own files. Raises StartError."""
    command = _command(valgrind, tool)
    made = folder / _name(tool)
    cached = _cached(valgrind, tool, command)
    if cache.find(cached) is not None:
        made.symlink_to(cached)
        return
    result = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True)
    if result.returncode != 0:
        raise StartError(f"{tool.what} does not build: {tool.instead}\n{result.stderr[-4000:]}")
    _try(made, valgrind, tool)
    cache.store(made, cached)


def _cached(valgrind: Valgrind, tool: Tool, command: list[str]) -> Path:
    sources = [source.read_text() for source in tool.sources]
    key = cache.key([*sources, valgrind.version, *(word for word in command if str(_HARNESS) not in word)])
    return cache.folder() / f"tool-{key}" / _name(tool)


def _try(made: Path, valgrind: Valgrind, tool: Tool) -> None:
    """Run nothing under the tool. Raises StartError where it does not fit the valgrind that is installed."""
    command = [valgrind.path, f"--tool={tool.name}", "-q", "true"]
    environment = {**os.environ, "VALGRIND_LIB": str(made.parent)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        raise StartError(
            f"{tool.what} was built but does not run with valgrind {valgrind.version} "
            f"(status {result.returncode}): {tool.instead}\n{(result.stdout + result.stderr)[-2000:]}"
        )


def _command(valgrind: Valgrind, tool: Tool) -> list[str]:
    machine = _machine(tool)
    libraries = [f"lib{part}-{machine}-linux.a" for part in ("coregrind", "vex")]
    folder = _libraries(valgrind, libraries[0], tool)
    support = folder / f"libgcc-sup-{machine}-linux.a"  # what libgcc would bring; not every build of valgrind has it
    headers = valgrind.prefix / "include/valgrind"
    if not (headers / "pub_tool_tooliface.h").exists():
        raise StartError(f"valgrind's header pub_tool_tooliface.h is not in {headers}: {tool.instead}")
    return [
        c_compiler(),
        *_FLAGS,
        *(f"-DVG{kind}_{machine}{system}=1" for kind, system in (("A", ""), ("P", "_linux"), ("PV", "_linux_vanilla"))),
        "-DVGO_linux=1",
        f"-I{headers}",
        *(f"-I{source.parent}" for source in tool.sources[1:]),
        str(tool.sources[0]),
        *_LINK,
        *tool.link,
        *(str(folder / library) for library in libraries),
        *([str(support)] if support.exists() else []),
        "-lgcc",
    ]


def made_here() -> bool:
    """Whether these tools are made for this machine."""
    return platform.machine() in _MACHINES


def _machine(tool: Tool) -> str:
    machine = platform.machine()
    if not made_here():
        raise StartError(
            f"{tool.what} is made for {', '.join(_MACHINES)} only, this machine is {machine}: {tool.instead}"
        )
    return _MACHINES[machine]


def _name(tool: Tool) -> str:
    return f"{tool.name}-{_machine(tool)}-linux"


def _libraries(valgrind: Valgrind, first: str, tool: Tool) -> Path:
    places = valgrind.places("lib/valgrind", "libexec/valgrind")
    for place in places:
        if (place / first).exists():
            return place
    raise StartError(
        f"{tool.what} needs valgrind's static library {first}, which is not in "
        f"{', '.join(map(str, places)) or valgrind.prefix}: install valgrind's development files "
        f"(Debian's package valgrind has them), or {tool.instead}"
    )
