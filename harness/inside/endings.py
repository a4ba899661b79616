"""How a workload may end its worker before it has reported, each told as what it is.

It may exit, become another program, close the descriptors that the report would go through, or fork a child that comes
back from `work` as if it were the worker. None of these is a count.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from harness import protocol

#: In a worker's folder: the report that could not be sent.
LEFT_REPORT = "report.json"
#: How long children may take to come back once the worker has counted; those that exec another program do not.
_COMING_BACK_SECONDS = 5.0

_exit = os._exit


class Endings:
    """The worker's way to report, guarded against what the workload does. Made before any of the workload runs."""

    def __init__(self, order: protocol.Order, reports: socket.socket) -> None:
        self._order = order
        self._reports = reports
        self._socket = os.fstat(reports.fileno())
        self._worker = os.getpid()
        # A child shares the write end until it ends or execs; what comes through it is that the child came back.
        self._back, self._child_side = os.pipe()
        for name in ("_exit", "execv", "execve"):
            setattr(os, name, self._guarded(name, getattr(os, name)))

    def _guarded(self, name: str, function: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
        def guarded(*arguments: Any, **keywords: Any) -> NoReturn:
            if os.getpid() != self._worker:
                function(*arguments, **keywords)
            first = repr(arguments[0]) if arguments else ""
            what = "ended its worker" if name == "_exit" else "would have made another program of its worker"
            details = "".join(traceback.format_stack()[:-1])
            self.report(self._failed(f"the workload {what}: it called os.{name}({first})", details), 1)

        return guarded

    def _failed(self, sentence: str, details: str = "") -> protocol.Failed:
        return protocol.Failed(self._order.serial, sentence, details, self._order.folder)

    def stop_child(self) -> None:
        """End this process here if it is a child that came back."""
        if os.getpid() != self._worker:
            with contextlib.suppress(OSError):
                os.write(self._child_side, b"r")
            _exit(1)

    def report(self, report: protocol.Report, status: int) -> NoReturn:
        """Send the report of the worker, or what keeps it from counting; end."""
        try:
            self.stop_child()
            if isinstance(report, protocol.Counted) and self._child_came_back():
                report = self._failed(
                    "a child that the workload forked came back from `work`, as if it were the worker: "
                    "end it there with os._exit"
                )
            self._send(report)
        finally:
            _exit(status)

    def _child_came_back(self) -> bool:
        with contextlib.suppress(OSError):  # the workload has closed the pipe
            os.close(self._child_side)
            if select.select([self._back], [], [], _COMING_BACK_SECONDS)[0]:
                return os.read(self._back, 1) == b"r"
        return False

    def _send(self, report: protocol.Report) -> None:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._reports.fileno()), self._socket):
                self._reports.send(protocol.encode(report))
                return
        lost = self._failed("the workload closed descriptors that are not its own: the worker could not report")
        Path(self._order.folder, LEFT_REPORT).write_bytes(protocol.encode(lost))


def left_report(folder: Path) -> protocol.Failed | None:
    """What a worker that could not send it left in its folder."""
    try:
        report: protocol.Failed = protocol.decode((folder / LEFT_REPORT).read_bytes())
    except (OSError, ValueError):
        return None
    return report if isinstance(report, protocol.Failed) else None
