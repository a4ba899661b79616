"""What Linux tells of processes: who still lives, who descends from us, and how to leave nobody behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none can slip away."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(ancestor: int) -> set[int]:
    """The processes that descend from `ancestor`, zombies left out."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                # The name in parentheses may hold anything; the state and the parent follow the last one.
                state, parent = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    parents[int(entry)] = int(parent)
    family: set[int] = set()
    waiting = [ancestor]
    while waiting:
        parent_pid = waiting.pop()
        children = [pid for pid, parent in parents.items() if parent == parent_pid and pid not in family]
        family.update(children)
        waiting.extend(children)
    return family


def kill_group(leader: int) -> None:
    """Kill every process of the group that `leader` leads, if there is any left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill_descendants(patience_seconds: float = 10.0) -> None:
    """Kill and reap everything that descends from this process, also what is born meanwhile."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        living = descendants(os.getpid())
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not living:
            return
        time.sleep(0.02)


def ending_in_words(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        names = {known.value: known.name for known in signal.Signals}
        return f"was killed by {names.get(number, f'signal {number}')}"
    return f"exited with status {os.waitstatus_to_exitcode(status)}"


def own_megabytes(pid: int) -> int:
    """How much memory a process has that no other one has; 0 once it is gone."""
    try:
        facts = Path("/proc", str(pid), "smaps_rollup").read_text()
    except OSError:
        return 0
    private = [int(line.split()[1]) for line in facts.splitlines() if line.startswith("Private")]
    return sum(private) // 1024
