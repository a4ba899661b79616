"""What the kernel tells a worker of itself: its threads, children and timers. Looked at before and after a count."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import signal
from pathlib import Path

from harness.inside.notes import CHILDREN, THREADS, TIMERS


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """`living` are children that have not been waited for; `page_faults` those of the children that have been: no
    process lives without one. `timers` are those that are set now."""

    threads: int
    living: frozenset[int]
    page_faults: int
    timers: int

    @classmethod
    def now(cls) -> Surroundings:
        tasks = os.listdir("/proc/self/task")
        return cls(
            threads=len(tasks) - 1,
            living=frozenset(child for task in tasks for child in _children(task)),
            page_faults=resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt,
            timers=_timers(),
        )

    def seen(self, after: Surroundings) -> dict[str, int]:
        """What was there at the beginning, or came about until `after`; of children and timers at least one, since
        those that came and went are not numbered."""
        made = len(after.living - self.living) or int(after.page_faults > self.page_faults)
        timers = max(self.timers, after.timers)
        return {name: n for name, n in ((THREADS, self.threads), (CHILDREN, made), (TIMERS, timers)) if n > 0}


def _children(task: str) -> list[int]:
    with contextlib.suppress(OSError):  # the thread has ended, or this kernel does not tell
        return [int(pid) for pid in Path("/proc/self/task", task, "children").read_text().split()]
    return []


def _timers() -> int:
    which = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    return sum(signal.getitimer(timer)[0] > 0 for timer in which)
