"""A check: find out what the two sides are, count both at once, look again where that leaves doubt, ask why.

the two sides  ->  every chosen case on both  ->  what is doubtful, in other memory layouts  ->  verdicts
               ->  what moved, by function, on both sides  ->  reasons
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import shorten

from harness.asv_plugin.results import alone
from harness.check import sides, verdicts
from harness.check.client import CountingProcess
from harness.check.expected import Expected
from harness.check.messages import CaseCounted, CaseFacts, Chosen, Job, JobDone
from harness.check.noise import Layouts
from harness.check.reasons import reason
from harness.check.sides import BASE, HEAD, Side, Subject
from harness.check.verdicts import Kind, Reason, Sides, Verdict
from harness.errors import CountError, HarnessError, SuiteError
from harness.store.by_fingerprint import OF_THE_COMMIT
from harness.store.noise import Measured

#: What was counted: by side and memory layout, by case.
_Reports = dict[tuple[str, int], dict[int, CaseCounted]]
#: The other memory layouts in which a doubtful change must show.
_ELSEWHERE = (1, 2)


@dataclasses.dataclass(frozen=True)
class Options:
    """What is checked and how. `base` None stands for the file `expected`, which is written too if `update`; `head`
    None stands for the working tree, `clone` None for the repository that the configuration names, `wheels` None for
    the wheel that pip installed. `anew`: also what is kept is counted. `environments` are two interpreters; with them
    there are no commits, and the suite is that in `benchmarks`."""

    config: Path
    base: str | None = None
    head: str | None = None
    clone: Path | None = None
    bench: str = ""
    suite: str = "quick"
    counter: str = "readable"
    cores: int = 1
    wheels: Path | None = None
    anew: bool = False
    expected: Path | None = None
    update: bool = False
    environments: tuple[str, ...] = ()
    benchmarks: Path = Path("benchmarks")


@dataclasses.dataclass(frozen=True)
class Checked:
    """What a check found, and how. `updated` are sentences about the expected counts that were written, None if none
    were to be."""

    base: Side
    head: Side
    verdicts: tuple[Verdict, ...]
    counter: str
    suite: str
    bench: str
    fingerprint: Mapping[str, str]
    notes: tuple[str, ...]
    seconds: float
    cores: int
    updated: tuple[str, ...] | None = None

    @property
    def status(self) -> int:
        if self.updated is not None:
            return verdicts.status_of_update(self.verdicts)
        return verdicts.status(self.verdicts)


def check(options: Options) -> Checked:
    """Raises HarnessError where nothing can be counted at all."""
    began = time.monotonic()
    expected = _expected(options)
    with _subject(options) as subject, _counting(subject, options, expected) as counting:
        found = counting.verdicts()
        found = verdicts.with_reasons(found, counting.reasons(found))
        found += expected.lost(counting.known) if expected is not None else []
    updated = None
    if expected is not None and options.update and options.expected is not None:
        renewed, updated = expected.updated(found, counting.heads, counting.known)
        renewed.write(options.expected)
    base, head = (
        dataclasses.replace(subject.sides[name], binaries=counting.binaries.get(name))
        if name in subject.sides
        else Side(f"expected counts in {options.expected}")
        for name in (BASE, HEAD)
    )
    return Checked(
        base,
        head,
        tuple(sorted(found, key=_place)),
        options.counter,
        options.suite,
        options.bench,
        counting.fingerprint,
        (*subject.remarks, *counting.packages(), *counting.notes),
        round(time.monotonic() - began, 1),
        options.cores,
        None if updated is None else tuple(updated),
    )


def measure_noise(options: Options, memory_layouts: int) -> list[Layouts]:
    """Count `head` in several memory layouts, keep how far each case moves between them, and return the counts. Raises
    HarnessError."""
    with _subject(options) as subject, _counting(subject, options, None) as counting:
        cases, measured = counting.noise(range(memory_layouts))
    measured.write(subject.keep)
    return cases


@contextlib.contextmanager
def _counting(subject: Subject, options: Options, expected: Expected | None) -> Iterator[_Counting]:
    """The processes that count, for the length of the block."""
    for name, side in subject.sides.items():
        _say(f"{name}  {side.name}")
    wanted = Chosen(str(subject.suite), options.suite, options.bench, trees=subject.clone is not None)
    with contextlib.ExitStack() as stack:
        pythons = dict.fromkeys(side.python for side in subject.sides.values())
        processes = {python: stack.enter_context(CountingProcess(python, wanted)) for python in pythons}
        yield _Counting(processes, subject, options, expected)


@contextlib.contextmanager
def _subject(options: Options) -> Iterator[Subject]:
    if not options.environments:
        with alone(options.config):
            yield sides.of_commits(options.config, options.clone, options.base, options.head)
        return
    with tempfile.TemporaryDirectory(prefix="harness-check-") as folder:
        yield sides.of_environments(options.environments, options.benchmarks, Path(folder))


def _expected(options: Options) -> Expected | None:
    if options.expected is None:
        return None
    return Expected() if options.update and not options.expected.exists() else Expected.read(options.expected)


def _place(verdict: Verdict) -> tuple[int, float]:
    """Where a verdict is shown: by kind, the largest change first; else in the suite's order."""
    size = abs(verdict.change.relative) if verdict.change and verdict.moved else 0.0
    return list(Kind).index(verdict.kind), -size


class _Counting:
    """The counts of both sides, as they come; of head alone where the base is a file of `expected` counts."""

    def __init__(
        self,
        processes: Mapping[str, CountingProcess],
        subject: Subject,
        options: Options,
        expected: Expected | None,
    ) -> None:
        self._processes = processes
        self._subject = subject
        self._options = options
        self._expected = expected
        self._noise = Measured.read(subject.keep, subject.suite)
        self._serials = itertools.count(1)
        self._cases = self._common_cases()
        self.heads: dict[CaseFacts, CaseCounted] = {}
        self.binaries: dict[str, str] = {}
        self._fingerprints: dict[str, dict[str, str]] = {}
        self.notes: dict[str, None] = {}
        #: How both sides were counted.
        self.fingerprint: dict[str, str] = {}

    def _common_cases(self) -> tuple[CaseFacts, ...]:
        """The cases, by the same numbers for every process. Raises SuiteError."""
        first, *others = (process.cases for process in self._processes.values())
        for cases in others:
            differing = {str(case) for case in cases} ^ {str(case) for case in first}
            if differing:
                raise SuiteError(
                    f"the two environments have not the same cases, as {min(differing)}: choose others with --bench"
                )
        if any(cases != first for cases in others):
            raise SuiteError(
                "the two environments list the same cases in another order, or declare another noise: give `params` "
                "lists, whose order does not depend on chance"
            )
        if not first:
            raise SuiteError(
                f"{self._options.bench!r} finds no case of the {self._options.suite} suite: `harness list` shows the "
                "cases of each"
            )
        return first

    @property
    def known(self) -> set[str]:
        """The names of all cases of the suite, chosen or not."""
        others = (name for process in self._processes.values() for name in process.others)
        return {*(str(case) for case in self._cases), *others}

    def verdicts(self) -> list[Verdict]:
        """Count every case, and what is doubtful in other memory layouts."""
        cases, counter = range(len(self._cases)), self._options.counter
        reports = self._count(cases, counter)
        self.heads = {self._cases[number]: report for number, report in reports[HEAD, 0].items()}
        both = {number: self._pair(number, reports) for number in cases}
        self.fingerprint = verdicts.in_common(both.values())
        doubtful = [number for number, pair in both.items() if verdicts.is_doubtful(pair)]
        if doubtful:
            _say(
                f"{len(doubtful)} of {len(cases)} moved by little more than noise: counted in other memory layouts too"
            )
            others = self._count(doubtful, counter, _ELSEWHERE)
            for number in doubtful:
                pairs = [self._pair(number, others, memory_layout) for memory_layout in _ELSEWHERE]
                elsewhere = tuple((pair.base, pair.head) for pair in pairs)
                both[number] = dataclasses.replace(both[number], elsewhere=elsewhere)
        return [verdicts.judge(self._cases[number], pair) for number, pair in both.items()]

    def noise(self, memory_layouts: Sequence[int]) -> tuple[list[Layouts], Measured]:
        """Each case's counts of head in these memory layouts, and what is known of noise then."""
        reports = self._count(range(len(self._cases)), self._options.counter, memory_layouts)
        measured, cases = self._noise, []
        for number, case in enumerate(self._cases):
            of_case = [reports[HEAD, memory_layout][number] for memory_layout in memory_layouts]
            layouts = Layouts.of(case, of_case)
            cases.append(layouts)
            if layouts.counts:
                measured = measured.with_counts(str(case), of_case[0].fingerprint, layouts.counts)
        return cases, measured

    def reasons(self, found: Sequence[Verdict]) -> list[Reason | None]:
        """Why the cases moved that did; None for the others, and where there is only one side to look at."""
        moved = [number for number, verdict in enumerate(found) if verdict.moved]
        if not moved or self._expected is not None:
            return [None] * len(found)
        _say(f"{len(moved)} moved: counted by function")
        counter = "frames" if all(process.frames for process in self._processes.values()) else "callgrind"
        try:
            reports = self._count(moved, counter)
        except HarnessError as error:  # the verdicts are known, and stay
            lacking = Reason(lacking=str(error).partition("\n")[0])
            _say(f"no reasons can be told: {lacking.lacking}")
            return [lacking if number in moved else None for number in range(len(found))]
        return [
            reason(reports[BASE, 0][number], reports[HEAD, 0][number]) if number in moved else None
            for number in range(len(found))
        ]

    def _pair(self, number: int, reports: _Reports, memory_layout: int = 0) -> Sides:
        case, head = self._cases[number], reports[HEAD, memory_layout][number]
        noise = self._noise.of(str(case), case.noise, head.fingerprint)
        if self._expected is not None:
            absent = CaseCounted(0, number, skipped="it is not in the file of expected counts")
            return Sides(self._expected.base(case, head) or absent, head, noise, subject=OF_THE_COMMIT)
        subject = verdicts.pinned(head.fingerprint) if self._subject.pins else verdicts.SUBJECT
        return Sides(reports[BASE, memory_layout][number], head, noise, subject=subject)

    def _count(self, cases: Iterable[int], counter: str, memory_layouts: Sequence[int] = (0,)) -> _Reports:
        """What each side counts, by case, in each memory layout. All servers that fit on the cores start together."""
        keys = list(itertools.product(self._subject.sides, memory_layouts))
        jobs = [self._job(*key, counter, tuple(cases), len(keys)) for key in keys]
        key_of = {job.serial: key for job, key in zip(jobs, keys, strict=True)}
        reports: _Reports = {key: {} for key in keys}
        at_once = max(len(self._subject.sides), self._options.cores)
        for first in range(0, len(jobs), at_once):
            for message in self._do({job: key_of[job.serial][0] for job in jobs[first : first + at_once]}):
                name, memory_layout = key_of[message.serial]
                if isinstance(message, JobDone):
                    self._end(message, name)
                else:
                    reports[name, memory_layout][message.case] = message
                    self._hear(
                        message, name, f"{name}  {f'layout {memory_layout}  ' if memory_layout else ''}{counter}"
                    )
        return reports

    def _do(self, jobs: Mapping[Job, str]) -> Iterator[CaseCounted | JobDone]:
        """The messages about these jobs, as they come, each from the process of its side."""
        by_process: dict[str, list[Job]] = {}
        for job, name in jobs.items():
            by_process.setdefault(self._subject.sides[name].python, []).append(job)
        messages: queue.Queue[CaseCounted | JobDone | HarnessError | None] = queue.Queue()

        def listen(python: str) -> None:
            try:
                for message in self._processes[python].do(by_process[python]):
                    messages.put(message)
                messages.put(None)
            except HarnessError as error:
                messages.put(error)
            except Exception as error:  # without it who asked would wait for ever
                messages.put(CountError(f"the process that counts commits was not understood: {error!r}"))

        for python in by_process:
            threading.Thread(target=listen, args=(python,), daemon=True).start()
        left = len(by_process)
        while left:
            message = messages.get()
            if isinstance(message, HarnessError):
                raise message
            if message is None:
                left -= 1
            else:
                yield message

    def _job(self, name: str, memory_layout: int, counter: str, cases: tuple[int, ...], jobs: int) -> Job:
        options, subject = self._options, self._subject
        return Job(
            serial=next(self._serials),
            repository=None if subject.clone is None else str(subject.clone),
            commit=subject.sides[name].commit or name,
            wheels=None if options.wheels is None else str(options.wheels),
            counter=counter,
            memory_layout=memory_layout,
            cases=cases,
            # One more than its share: a side of which all is kept leaves its cores to the other.
            cores=min(options.cores, options.cores // min(jobs, options.cores) + 1),
            keep=str(subject.keep),
            environment=subject.environment_name(options.counter if counter == "frames" else counter),
            anew=options.anew,
            wheel_for=subject.wheel_for,
        )

    def packages(self) -> list[str]:
        """The packages that differ between the sides: a line each."""
        return verdicts.packages_apart(*(self._fingerprints.get(name, {}) for name in (BASE, HEAD)))

    def _hear(self, report: CaseCounted, name: str, label: str) -> None:
        if report.fingerprint:
            self._fingerprints.setdefault(name, report.fingerprint)
        case = self._cases[report.case]
        if report.instructions is not None:
            when = "kept from before" if report.earlier else f"{report.seconds:.0f} s"
            _say(f"{label}  {case}  {report.instructions:,.2f}  {when}")
        elif report.failed is not None:
            _say(f"{label}  {case}  cannot be counted: {shorten(report.failed, 200)}")

    def _end(self, done: JobDone, name: str) -> None:
        if done.binaries is not None:
            self.binaries[name] = done.binaries
        for note in done.notes:
            if note not in self.notes:
                self.notes[note] = None
                _say(note)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
