"""The process that counts for a check, in the environment that has torch.

Its first line of input is a Chosen, which it answers with Cases; every further one is a Job, whose cases it counts in a
session of their own and reports one by one, several jobs at once. It ends with its input. Each job gets a tree of its
own, in which the commit's Python lies over the wheel's binaries.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.check.messages import WORDS, CaseCounted, CaseFacts, Cases, Chosen, Job, JobDone, Message, Refused
from harness.engine import client, line_process, valgrind_tools
from harness.engine.configuration import memory_layout
from harness.errors import CaseSkipped, HarnessError, SuiteError
from harness.overlay import install
from harness.overlay.git import Repository
from harness.overlay.tree import OverlayRecord
from harness.store.records import KeptCount, Place
from harness.suite import selection
from harness.suite.cases import DeclaredWorkload, chosen
from harness.suite.counting import ask, configuration_for

_JOBS_AT_ONCE = 8

Send = Callable[[Message], None]
Choice = tuple[type[DeclaredWorkload], tuple[Any, ...]]


def main() -> None:
    send: Send = line_process.sender(WORDS)
    try:
        wanted: Chosen = WORDS.decode(sys.stdin.buffer.readline())
        written = _last_written(Path(wanted.suite))
        every = selection.all_workloads(Path(wanted.suite))
        choices = _choices(wanted, every)
        others = {str(_facts(workload, params)) for workload in every for params in workload.choices()}
        cases = tuple(_facts(*choice) for choice in choices)
        others -= {str(case) for case in cases}
        send(Cases(cases, valgrind_tools.made_here(), tuple(sorted(others))))
        with contextlib.ExitStack() as stack:
            folders = install.TreeFolders(stack.enter_context(install.trees())) if wanted.trees else None
            pool = stack.enter_context(ThreadPoolExecutor(_JOBS_AT_ONCE))
            for line in sys.stdin.buffer:
                pool.submit(_do, _JobRun(WORDS.decode(line), choices, written, send), folders)
    except HarnessError as error:
        send(Refused(str(error)))


def _choices(wanted: Chosen, every: Sequence[type[DeclaredWorkload]]) -> list[Choice]:
    """The cases, in asv's order. Raises SuiteError."""
    try:
        bench = re.compile(wanted.bench)
    except re.error as error:
        raise SuiteError(f"--bench {wanted.bench!r} is no regular expression: {error}") from None
    return list(chosen(every, wanted.name, bench))


def _facts(workload: type[DeclaredWorkload], params: tuple[Any, ...]) -> CaseFacts:
    case = workload.case(params)
    return CaseFacts(workload.benchmark(), tuple(workload.param_names), case.parameters, workload.noise)


def _last_written(suite: Path) -> float:
    """When a file of this suite was last written, moved or removed, in seconds since 1970. The time of the last change
    of its entry tells of a file that came with an old time of its own, and its folder's of one that is gone."""
    times = [0.0]
    for folder, folders, names in os.walk(suite, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            found = os.lstat(path)
            times += [found.st_mtime, found.st_ctime]
            if os.path.exists(path):  # what a link leads to
                times.append(os.stat(path).st_ctime)
    return max(times)


def _do(run: _JobRun, folders: install.TreeFolders | None) -> None:
    """Count a job and report on all of it, whatever happens: who asked waits for that."""
    folder = None
    try:
        folder = None if folders is None else folders.lend()
        run.count(folder)
    except (HarnessError, OSError) as error:
        run.fail(str(error))
    except Exception as error:  # a fault of ours: without it the check would wait for ever
        run.fail(f"the counting process failed: {error!r}")
    finally:
        if folders is not None and folder is not None:
            folders.give_back(folder)
        run.end()


class _JobRun:
    """One job: its session, and what it has reported so far. `written` is when the suite was last edited."""

    def __init__(self, job: Job, choices: Sequence[Choice], written: float, send: Send) -> None:
        self._job = job
        self._choices = choices
        self._written = written
        self._send = send
        self._reported: set[int] = set()
        self._record: OverlayRecord | None = None
        self._notes: list[str] = []

    def count(self, folder: Path | None) -> None:
        """Count what is not kept; a tree is made in `folder`. Raises HarnessError, OSError."""
        job = self._job
        settings: dict[str, Any] = {"counter": job.counter, "cores": job.cores, "ahead": "nothing"}
        settings |= memory_layout(job.memory_layout)
        if job.repository is not None and folder is not None:
            repository = Repository(Path(job.repository))
            wheel = install.choose(repository, job.wheel_for, None if job.wheels is None else Path(job.wheels))
            self._record = install.make(repository, job.commit, wheel, folder)
            settings["overlay"] = str(folder)
        missing = [case for case in job.cases if not self._report_refused(case) and not self._report_kept(case)]
        if not missing:
            return
        workload, _ = self._choices[missing[0]]
        with client.session(configuration_for(workload, **settings), self._notes.append) as directory:
            with ThreadPoolExecutor(job.cores) as pool:
                list(pool.map(lambda case: self._count_case(case, directory), missing))

    def _count_case(self, number: int, directory: Path) -> None:
        workload, params = self._choices[number]
        began = time.monotonic()
        try:
            place = self._place(number)
            counted = ask(workload, params, directory, place=None if self._job.memory_layout else place)
        except CaseSkipped as reason:
            self._report(number, skipped=str(reason))
            return
        except HarnessError as error:
            self._report(number, failed=str(error))
            return
        self._report(
            number,
            instructions=counted.instructions_per_call,
            fingerprint=counted.fingerprint or {},
            notes=counted.notes,
            metrics={name: counted.per_call(name) for name in counted.metrics},
            folder=str(place.folder),
            seconds=round(time.monotonic() - began, 1),
        )

    def _report_refused(self, number: int) -> bool:
        """Report that a case cannot be counted here, if that is known without a server."""
        workload, params = self._choices[number]
        refused = workload.refused_here(params)
        if refused is not None:
            self._report(number, skipped=refused)
        return refused is not None

    def _report_kept(self, number: int) -> bool:
        """Report what is kept of a case, if it was counted alike: this version, this counter, this Python on these
        binaries, without another memory layout, and no file of the suite was written since. A helper that a benchmark
        imports is not in its version. Without a tree nothing tells what was installed when it was counted."""
        if self._job.memory_layout or self._job.anew or self._record is None:
            return False
        workload, _ = self._choices[number]
        folder = self._place(number).folder
        kept = KeptCount.load(folder)
        if kept is not None and self._job.counter == "frames":
            kept = kept.by_python
        expected = {"counter": self._job.counter, **self._record.facts()}
        if kept is None or kept.record.get("version") != str(workload.version):
            return False
        if not expected.items() <= kept.fingerprint.items() or kept.kept_at <= self._written:
            return False
        record = kept.record
        calls = record["calls"]
        self._report(
            number,
            instructions=record["instructions per call"],
            fingerprint=kept.fingerprint,
            notes=tuple(kept.notes),
            metrics={name: total / calls for name, total in record.get("numbers", {}).items()},
            folder=str(folder),
            earlier=True,
        )
        return True

    def _place(self, number: int) -> Place:
        workload, params = self._choices[number]
        job, labels = self._job, workload.case(params).parameters
        return Place(Path(job.keep), job.commit, job.environment, workload.benchmark(), labels)

    def _report(self, number: int, **facts: Any) -> None:
        self._reported.add(number)
        self._send(CaseCounted(self._job.serial, number, **facts))

    def fail(self, reason: str) -> None:
        """Report this of every case of which nothing was reported yet."""
        for number in self._job.cases:
            if number not in self._reported:
                self._report(number, failed=reason)

    def end(self) -> None:
        """Say that all was reported, and what holds for all of it."""
        record = self._record
        others = tuple(note for note in self._notes if note != str(record))
        self._send(JobDone(self._job.serial, record.binaries if record else None, others))
