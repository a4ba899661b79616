"""What counts inside a server: `Counter`, which counts one run after another. There are four kinds:

"callgrind" is the reference: its counts come with a profile. Counting it switches on, and what runs while it is off is
translated anew when it is on.
"readable" counts all the time, in one sum that the program may read at any moment: several numbers come from one run,
several times faster, without a profile.
"frames" is for explaining only: what it counts it tells by Python call path, in frames_tool.c's words.
"opcodes" is the tests' honest fake: it needs no valgrind and counts the bytecodes that Python executes, so that
scheduling, errors and reports are tested in milliseconds with numbers that do follow the work.

What starts a server that each of them can count in is engine/counters.py.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from harness.errors import CountError, StartError
from harness.inside import notes

_TAIL_BYTES = 4096
#: More than any worker could execute: a count that wrapped below zero in 64 bits is above it.
_WRAPPED = 1 << 62


@dataclasses.dataclass(frozen=True)
class Taken:
    """What one run gave, in instructions: what was counted; the file that holds its profile, None if there is none;
    what passed while each slot was marked, nothing where the counter cannot tell; how often it did what notes.py names,
    as far as the counter tells."""

    count: int
    profile: str | None
    spent: tuple[int, ...] = ()
    seen: dict[str, int] = dataclasses.field(default_factory=dict)


class Counter:
    """Counts one run after another; each is ended by `take`, and all are told at the end."""

    def __init__(self, client_requests: Any, out_folder: str, readable: bool) -> None:
        """`client_requests` is the C extension; profiles are written to `out_folder`."""

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def call_counted(self, work: Callable[[], object], calls: int) -> None:
        """Count `calls` calls of work(), and as little else as can be. A native loop makes and counts its own."""
        worker = os.getpid()
        self.start()
        try:
            for _ in range(calls):
                work()
                if os.getpid() != worker:  # else this child would make the calls that are left
                    raise CountError("a child that `work` forked came back from it")
        finally:
            self.stop()

    def mark(self, slot: int) -> None:
        """What passes from here to the next mark, counted or not, belongs to this slot (0 to 15), or to none (-1)."""
        raise NotImplementedError

    def begin(self) -> None:
        """What the process does from here on is of the next run."""
        raise NotImplementedError

    def take(self, label: str) -> None:
        """End a run. Only while stopped."""
        raise NotImplementedError

    def taken(self) -> list[Taken]:
        """Every run so far."""
        raise NotImplementedError


#: What the readable tool counts, in the order of counting.h.
_SYSTEM_CALLS = (notes.CHILDREN, notes.TIMERS, notes.CLOCK, notes.ENTROPY)


class ValgrindCounter(Counter):
    """Callgrind's instrumentation or the readable counter's sum, through client requests.

    One class for both: which class an object has decides where Python caches its attributes, and so moved counts.
    """

    def __init__(self, client_requests: Any, out_folder: str, readable: bool) -> None:
        if not client_requests.count_by_reading(readable):
            raise StartError(
                "the server was started under valgrind but client requests do not reach it; "
                "`valgrind` on PATH may be a wrapper that does not run it: install your distribution's valgrind"
            )
        self._out_folder = out_folder
        self._readable = readable
        self._runs = client_requests.taken
        # The C functions themselves stand in for the methods: a Python frame between would be counted.
        for name in ("start", "stop", "call_counted", "mark", "begin", "take"):
            setattr(self, name, getattr(client_requests, name))

    def taken(self) -> list[Taken]:
        if self._readable:
            return [
                Taken(count, None, tuple(spent), dict(zip(_SYSTEM_CALLS, made, strict=True)))
                for count, spent, made in self._runs()
            ]
        return [self._read(f"{self._out_folder}/{os.getpid()}.{number + 1}") for number in range(len(self._runs()))]

    def _read(self, path: str) -> Taken:
        try:
            return Taken(read_total(path), path)
        except OSError as error:
            raise CountError(
                f"callgrind wrote no file ({error}); is the disk that holds the scratch folder full?"
            ) from None
        except ValueError as error:
            raise CountError(f"callgrind's file holds no count: {error}") from None


def native_loop(library: str, symbol: str) -> Any:
    """What `call_counted` takes besides a callable: a function of a library, typed in counting.h, that makes its calls
    and counts them by itself. Only inside a server. Raises OSError, AttributeError."""
    import ctypes  # not above: no other worker has need of it

    address = ctypes.cast(getattr(ctypes.CDLL(library), symbol), ctypes.c_void_p).value
    return importlib.import_module("_client_requests").loop_at(address)


class OpcodeCounter(Counter):
    """Bytecodes executed, told by the interpreter's own instrumentation. For tests: deterministic, and 100 times
    slower."""

    def __init__(self, client_requests: Any, out_folder: str, readable: bool) -> None:
        self._executed = self._taken_at = self._marked_at = 0
        self._slot = -1
        self._spent = [0] * 16
        self._runs: list[Taken] = []
        self._children = self._children_before = 0
        self._switch = _monitoring(self._count) if sys.version_info >= (3, 12) else _tracing(self._count)
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        self._children += event in ("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen")

    def begin(self) -> None:
        self._children_before = self._children

    def _count(self) -> None:
        self._executed += 1

    def start(self) -> None:
        self._switch(True)

    def stop(self) -> None:
        self._switch(False)

    def mark(self, slot: int) -> None:
        if self._slot >= 0:
            self._spent[self._slot] += self._executed - self._marked_at
        self._slot, self._marked_at = slot, self._executed

    def take(self, label: str) -> None:
        seen = {notes.CHILDREN: self._children - self._children_before}
        self._runs.append(Taken(self._executed - self._taken_at, None, tuple(self._spent), seen))
        self._taken_at = self._executed
        self._spent = [0] * 16

    def taken(self) -> list[Taken]:
        return self._runs


def _tracing(count: Callable[[], None]) -> Callable[[bool], None]:
    """Switches on and off that `count` is called for every bytecode: by sys.settrace, which tells it in 3.11 only where
    the function was entered while it was on."""

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            count()
        return trace

    return lambda on: sys.settrace(trace if on else None)


def _monitoring(count: Callable[[], None]) -> Callable[[bool], None]:
    """The same by sys.monitoring, which 3.12 brought; settrace has told no bytecodes in some versions since."""
    monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 - 3.11 has none
    tool, instruction = monitoring.PROFILER_ID, monitoring.events.INSTRUCTION

    def switch(on: bool) -> None:
        if on:
            monitoring.use_tool_id(tool, "harness")
            monitoring.register_callback(tool, instruction, lambda code, offset: count())
            monitoring.set_events(tool, instruction)
        else:
            monitoring.set_events(tool, 0)
            monitoring.free_tool_id(tool)

    return switch


def total(text: str) -> int:
    """The `totals:` line's instructions. Raises ValueError if it is missing, 0 or wrapped.

    `summary:` is not read: it is 0 in dumps that a client request asked for.
    """
    for line in reversed(text[-_TAIL_BYTES:].splitlines()):
        if line.startswith("totals:"):
            number = int(line.split()[1])
            if number == 0:
                raise ValueError("the total is 0 instructions: nothing ran while counting was on")
            if number >= _WRAPPED:
                raise ValueError(f"the total is {number:,}, a count that wrapped below zero")
            return number
    raise ValueError("no `totals:` line, so the file is incomplete; is the disk that holds it full?")


def read_total(path: str) -> int:
    """`total` of the file at `path`, reading its last bytes only."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        return total(file.read().decode("utf-8", "replace"))


#: What counts in a server, by the name of its kind, and whether one run of it gives several numbers.
COUNTERS: dict[str, tuple[type[Counter], bool]] = {
    "callgrind": (ValgrindCounter, False),
    "readable": (ValgrindCounter, True),
    "frames": (ValgrindCounter, False),
    "opcodes": (OpcodeCounter, True),
}
