"""The one seam to what counts, in two halves.

Outside, a counter says which command starts the server. Inside, it switches counting on and off and reads the count.
`CallgrindCounter` is the real one. `OpcodeCounter` is the tests' honest fake: it needs no valgrind and counts the
bytecodes that Python executes, so that scheduling, errors and reports are tested in milliseconds with numbers that do
follow the work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from harness import callgrind_out
from harness.errors import CountError, StartError


class Counter:
    """Inside a worker. Counts accumulate from one `read` to the next."""

    name = "none"

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def call_counted(self, work: Callable[[], object], calls: int) -> None:
        """Count `calls` calls of work(), and as little else as can be."""
        self.start()
        try:
            for _ in range(calls):
                work()
        finally:
            self.stop()

    def read(self, label: str) -> tuple[int, str | None]:
        """The instructions since the last read, and the file that holds their profile. Only while stopped."""
        raise NotImplementedError


class CallgrindCounter(Counter):
    """Callgrind's instrumentation, through client requests."""

    name = "callgrind"

    def __init__(self, client_requests: Any, out_folder: str) -> None:
        if not client_requests.running_on_valgrind():
            raise StartError(
                "the server was started under valgrind but client requests do not reach it; "
                "`valgrind` on PATH may be a wrapper that does not run it: install your distribution's valgrind"
            )
        self._requests = client_requests
        self._out_folder = out_folder
        self._dumps = 0
        # The C functions themselves stand in for the methods: a Python frame between would be counted.
        for name, function in (
            ("start", client_requests.start_instrumentation),
            ("stop", client_requests.stop_instrumentation),
            ("call_counted", client_requests.call_counted),
        ):
            setattr(self, name, function)

    def read(self, label: str) -> tuple[int, str | None]:
        self._dumps += 1
        self._requests.dump(label)
        path = f"{self._out_folder}/{os.getpid()}.{self._dumps}"
        try:
            return callgrind_out.read_total(path), path
        except OSError as error:
            raise CountError(
                f"callgrind wrote no file ({error}); is the disk that holds the scratch folder full?"
            ) from None
        except ValueError as error:
            raise CountError(f"callgrind's file holds no count: {error}") from None


class OpcodeCounter(Counter):
    """Bytecodes executed, counted by the interpreter's own tracing. For tests: deterministic, and 100 times slower."""

    name = "opcodes"

    def __init__(self) -> None:
        self._count = 0

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self._count += event == "opcode"
        return self._trace

    def start(self) -> None:
        sys.settrace(self._trace)

    def stop(self) -> None:
        sys.settrace(None)

    def read(self, label: str) -> tuple[int, str | None]:
        count, self._count = self._count, 0
        return count, None
