"""How a server is started for each kind of counter: under valgrind with one of its tools, or natively.

The kinds, and the half of each that counts, are in inside/counters.py.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from pathlib import Path

from harness.engine import valgrind, valgrind_tools
from harness.errors import StartError
from harness.inside import notes
from harness.inside.counters import COUNTERS
from harness.profile import callgrind_format


@dataclasses.dataclass(frozen=True)
class Launch:
    """What starts a server: what stands before the interpreter on its command line (valgrind, or nothing), and
    variables besides its own.

    `facts` is what the counter adds to the fingerprint.
    """

    command: tuple[str, ...] = ()
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    facts: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CounterKind:
    """A kind of counter. `launch` prepares what is needed in the scratch folder that it is given, and raises StartError
    where this kind cannot work. `system_calls` reads out of a profile what the counter inside does not tell (see
    Taken.seen)."""

    name: str
    launch: Callable[[Path], Launch]
    system_calls: Callable[[str], dict[str, int]] | None = None

    @property
    def readable(self) -> bool:
        """Whether one run gives several numbers."""
        return COUNTERS[self.name][1]


def _launch_callgrind(sandbox: Path) -> Launch:
    return _under_valgrind("callgrind", sandbox, "--instr-atstart=no", f"--callgrind-out-file={sandbox}/out/%p")


def _launch_readable(sandbox: Path) -> Launch:
    return _under_own_tool(valgrind_tools.READABLE, sandbox)


def _launch_frames(sandbox: Path) -> Launch:
    return _under_own_tool(valgrind_tools.FRAMES, sandbox, f"--frames-out-file={sandbox}/out/%p")


def _under_own_tool(tool: valgrind_tools.Tool, sandbox: Path, *options: str) -> Launch:
    launch = _under_valgrind(tool.name, sandbox, *options)
    if "VALGRIND_LIB" not in launch.environment:
        raise StartError(f"valgrind's own tools are not found under {valgrind.find().prefix}: {tool.instead}")
    valgrind_tools.add(Path(launch.environment["VALGRIND_LIB"]), valgrind.find(), tool)
    return launch


def _under_valgrind(tool: str, sandbox: Path, *options: str) -> Launch:
    installed = valgrind.find()
    # The same variable for every tool: another environment would be another layout.
    folder = sandbox / "valgrind"
    linked = installed.link_own_files(folder)
    return Launch(
        command=installed.command(tool, f"{sandbox}/log", *options),
        environment={"VALGRIND_LIB": str(folder)} if linked else {},
        facts={"valgrind": installed.version},
    )


#: Functions of the C library that make a system call which notes.py names, as Callgrind sees them called.
_MAKE = {
    **dict.fromkeys(("fork", "vfork", "posix_spawn", "posix_spawnp", "system", "popen"), notes.CHILDREN),
    **dict.fromkeys(("alarm", "setitimer", "timer_settime", "timerfd_settime"), notes.TIMERS),
    **dict.fromkeys(("clock_gettime", "gettimeofday", "time"), notes.CLOCK),
    **dict.fromkeys(("getrandom", "getentropy"), notes.ENTROPY),
}


def _system_calls_in(profile: str) -> dict[str, int]:
    text = Path(profile).read_text("utf-8", "replace")
    made: dict[str, int] = collections.defaultdict(int)
    for function, calls in callgrind_format.calls_of(text, "libc", _MAKE).items():
        made[_MAKE[function]] += calls
    return dict(made)


COUNTER_KINDS: dict[str, CounterKind] = {
    kind.name: kind
    for kind in (
        CounterKind("callgrind", _launch_callgrind, _system_calls_in),
        CounterKind("readable", _launch_readable),
        CounterKind("frames", _launch_frames),
        CounterKind("opcodes", lambda sandbox: Launch()),
    )
}
