"""A worker that counts, as the supervisor sees it, and why it ended if it sent no report."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
from pathlib import Path

from harness import protocol
from harness.engine import notes, valgrind
from harness.engine.counters import CounterKind
from harness.engine.fork_server import ForkServer
from harness.system import processes


@dataclasses.dataclass
class RunningWorker:
    """`serial` tells its report from others'; `deadline` and `began` are readings of time.monotonic."""

    case: protocol.Case
    server: ForkServer
    serial: int
    pid: int
    pidfd: int
    folder: Path
    deadline: float
    began: float
    report: protocol.Report | None = None
    timed_out: bool = False

    def why_without_report(self, status: int | None) -> protocol.Failed:
        """What to report of a worker that did not; `status` is its wait status, None if its server died with it."""
        log_path, output_path = self.folder / "valgrind.log", self.folder / "output.txt"
        log = log_path.read_text(errors="replace") if log_path.exists() else ""
        output = output_path.read_text(errors="replace") if output_path.exists() else ""
        if self.timed_out:
            sentence = (
                f"the case was still running after {self.case.limit_seconds:.0f} s and was ended; "
                "a larger `limit_seconds` in the workload gives it longer"
            )
        elif status is None:
            sentence = f"the fork server died while this case was counted: {self.server.last_words(self.case.stage)}"
        else:
            sentence = f"the worker {processes.ending_in_words(status)} without a report"
            reason = valgrind.reason_in(log)
            if reason:
                sentence += f": {reason}"
            elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                sentence += ": nobody here sent that, so look for the kernel's out-of-memory killer in `dmesg`"
            elif os.WIFEXITED(status):
                sentence += ": machine code that the workload called exited, or became another program"
        return protocol.Failed(self.serial, sentence, (output + log)[-4000:], str(self.folder))


def with_notes(counted: protocol.Counted, counter_kind: CounterKind, more: tuple[str, ...] = ()) -> protocol.Counted:
    """A worker's report with what its profile tells that the worker could not, the sentences about all it saw, and
    `more` of them."""
    seen = dict(counted.seen)
    if counted.profile is not None and counter_kind.system_calls is not None:
        with contextlib.suppress(OSError):  # whoever keeps the profile will say that it is gone
            for kind, times in counter_kind.system_calls(counted.profile).items():
                seen[kind] = max(seen.get(kind, 0), times)
    return dataclasses.replace(counted, seen=seen, notes=(*counted.notes, *notes.sentences(seen), *more))
