"""A check: find out what the two sides are, count both at once, look again where that leaves doubt, ask why.

the commits, the environment  ->  every chosen case on both sides  ->  what is doubtful, in other memory layouts
                              ->  verdicts  ->  what moved, by function, on both sides  ->  reasons
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import shorten

from harness.asv_plugin.results import AsvProject
from harness.check import verdicts
from harness.check.client import CountingProcess
from harness.check.messages import CaseCounted, CaseFacts, Chosen, Job, JobDone
from harness.check.verdicts import Kind, Moved, Reason, Sides, Verdict
from harness.errors import RepositoryError, SuiteError
from harness.overlay import pytorch_files
from harness.overlay.git import Repository
from harness.profile import comparison
from harness.profile.comparison import Run
from harness.store.records import KeptCount

#: The other memory layouts in which a doubtful change must show.
_ELSEWHERE = (1, 2)
_FUNCTIONS = 10
_FILES_SHOWN = 5
_NOTHING = "nothing is to be compared; name an older commit, such as HEAD~1"


@dataclasses.dataclass(frozen=True)
class Options:
    """What is checked and how. `head` None stands for the working tree. `clone` None is the repository that the
    configuration names, `wheels` None the wheel that pip installed. `anew`: also what is kept is counted."""

    config: Path
    base: str
    head: str | None = None
    clone: Path | None = None
    bench: str = ""
    suite: str = "quick"
    counter: str = "readable"
    cores: int = 1
    wheels: Path | None = None
    anew: bool = False


@dataclasses.dataclass(frozen=True)
class Side:
    """One side: its commit's hash, and what people call it. `binaries` are those that its Python lay over, None where
    that came to nothing."""

    commit: str
    name: str
    binaries: str | None = None


@dataclasses.dataclass(frozen=True)
class Checked:
    """What a check found, and how."""

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

    @property
    def status(self) -> int:
        return verdicts.status(self.verdicts)


def check(options: Options) -> Checked:
    """Raises HarnessError where nothing can be counted at all."""
    began = time.monotonic()
    project = AsvProject(options.config, options.clone)
    repository = Repository(project.repository)
    base, head = _sides(repository, options)
    native = pytorch_files.native(repository.changed(base.commit, head.commit), ())
    _say(f"base  {base.name}")
    _say(f"head  {head.name}")
    wanted = Chosen(str(project.suite), options.suite, options.bench)
    with CountingProcess(project.python(base.commit), wanted) as process:
        if not process.cases:
            raise SuiteError(
                f"{options.bench!r} finds no case of the {options.suite} suite: `harness list` shows the cases of each"
            )
        counting = _Counting(process, project, repository, options, (base, head))
        found = counting.verdicts()
        reasons = counting.reasons(found)
    ordered = sorted(verdicts.with_reasons(found, reasons), key=_place)
    base, head = (dataclasses.replace(side, binaries=counting.binaries.get(side.commit)) for side in (base, head))
    return Checked(
        base,
        head,
        tuple(ordered),
        options.counter,
        options.suite,
        options.bench,
        counting.fingerprint,
        (*_out_of_sight(native), *counting.notes),
        round(time.monotonic() - began, 1),
        options.cores,
    )


def _sides(repository: Repository, options: Options) -> tuple[Side, Side]:
    base = repository.commit(options.base)
    if options.head is not None:
        head = repository.commit(options.head)
        if head == base:
            raise RepositoryError(f"{options.base} and {options.head} are the same commit {base[:10]}: {_NOTHING}")
        return _side(repository, base), _side(repository, head)
    head = repository.snapshot()
    at = repository.commit("HEAD")
    name = (
        f"the working tree: {at[:10]} with its edits"
        if head != at
        else f"the working tree, which has no edits: {at[:10]}"
    )
    if head == base:
        raise RepositoryError(
            f"the working tree has no edits, and {options.base} is its commit {base[:10]}: {_NOTHING}"
        )
    return _side(repository, base), Side(head, name)


def _side(repository: Repository, commit: str) -> Side:
    return Side(commit, f"{commit[:10]}  {repository.subject(commit)}")


def _out_of_sight(native: Sequence[str]) -> Iterator[str]:
    """That the sides differ in what is not counted: native sources, which would have to be built."""
    if native:
        more = f" and {len(native) - _FILES_SHOWN} more" if len(native) > _FILES_SHOWN else ""
        shown = ", ".join(native[:_FILES_SHOWN])
        yield f"out of sight: native files differ between base and head, which no count here shows ({shown}{more})"


def _place(verdict: Verdict) -> tuple[int, float]:
    """Where a verdict is shown: by kind, the largest change first; else in the suite's order."""
    size = abs(verdict.change.relative) if verdict.change and verdict.moved else 0.0
    return list(Kind).index(verdict.kind), -size


class _Counting:
    """The counts of both sides, as they come."""

    def __init__(
        self,
        process: CountingProcess,
        project: AsvProject,
        repository: Repository,
        options: Options,
        sides: tuple[Side, Side],
    ) -> None:
        self._process = process
        self._project = project
        self._repository = repository
        self._options = options
        self._sides = sides
        self._serials = itertools.count(1)
        self.binaries: dict[str, str] = {}
        self.fingerprint: dict[str, str] = {}
        self.notes: dict[str, None] = {}

    @property
    def _cases(self) -> Sequence[CaseFacts]:
        return self._process.cases

    def verdicts(self) -> list[Verdict]:
        """Count every case on both sides, and what is doubtful in other memory layouts."""
        (pairs,) = self._count(range(len(self._cases)), self._options.counter)
        sides = {number: Sides(*pair) for number, pair in pairs.items()}
        doubtful = [number for number, both in sides.items() if verdicts.is_doubtful(self._cases[number], both)]
        if doubtful:
            _say(
                f"{len(doubtful)} of {len(sides)} moved by little more than noise: counted in other memory layouts too"
            )
            others = self._count(doubtful, self._options.counter, _ELSEWHERE)
            for number in doubtful:
                elsewhere = tuple(layout[number] for layout in others)
                sides[number] = dataclasses.replace(sides[number], elsewhere=elsewhere)
        return [verdicts.judge(self._cases[number], both) for number, both in sorted(sides.items())]

    def reasons(self, found: Sequence[Verdict]) -> list[Reason | None]:
        """Why the cases moved that did; None for the others."""
        moved = [number for number, verdict in enumerate(found) if verdict.moved]
        if not moved:
            return [None] * len(found)
        counter = "frames" if self._process.frames else "callgrind"
        _say(f"{len(moved)} moved: counted by function")
        (pairs,) = self._count(moved, counter)
        return [_reason(*pairs[number]) if number in pairs else None for number in range(len(found))]

    def _count(
        self, cases: Iterable[int], counter: str, memory_layouts: Sequence[int] = (0,)
    ) -> list[dict[int, tuple[CaseCounted, CaseCounted]]]:
        """What both sides count, by case, for each memory layout. All servers that fit on the cores start together."""
        keys = list(itertools.product(memory_layouts, self._sides))
        jobs = {key: self._job(key[1], counter, key[0], tuple(cases), len(keys)) for key in keys}
        reports: dict[int, dict[int, CaseCounted]] = {job.serial: {} for job in jobs.values()}
        names = {job.serial: self._label(*key, counter) for key, job in jobs.items()}
        of = {job.serial: side for (_, side), job in jobs.items()}
        listed = list(jobs.values())
        at_once = max(2, self._options.cores)
        for first in range(0, len(listed), at_once):
            for told in self._process.do(listed[first : first + at_once]):
                if isinstance(told, JobDone):
                    self._end(told, of[told.serial])
                else:
                    reports[told.serial][told.case] = told
                    self._hear(told, names[told.serial])
        base, head = self._sides
        return [
            {
                case: (report, reports[jobs[layout, head].serial][case])
                for case, report in reports[jobs[layout, base].serial].items()
            }
            for layout in memory_layouts
        ]

    def _job(self, side: Side, counter: str, memory_layout: int, cases: tuple[int, ...], jobs: int) -> Job:
        options = self._options
        return Job(
            serial=next(self._serials),
            repository=str(self._repository.path),
            commit=side.commit,
            wheels=None if options.wheels is None else str(options.wheels),
            counter=counter,
            memory_layout=memory_layout,
            cases=cases,
            cores=max(1, options.cores // min(jobs, options.cores)),
            keep=str(self._project.keep),
            environment=self._project.environment_name(options.counter if counter == "frames" else counter),
            anew=options.anew,
        )

    def _label(self, memory_layout: int, side: Side, counter: str) -> str:
        name = "base" if side is self._sides[0] else "head"
        return f"{name}  " + (f"layout {memory_layout}  " if memory_layout else "") + f"{counter}  "

    def _hear(self, told: CaseCounted, label: str) -> None:
        if not self.fingerprint:
            self.fingerprint = {name: value for name, value in told.fingerprint.items() if name not in verdicts.SUBJECT}
        case = self._cases[told.case]
        if told.instructions is not None:
            when = "kept from before" if told.earlier else f"{told.seconds:.0f} s"
            _say(f"{label}{case}  {told.instructions:,.2f}  {when}")
        elif told.skipped is not None:
            _say(f"{label}{case}  skipped: {told.skipped}")
        else:
            _say(f"{label}{case}  cannot be counted: {shorten(told.failed or '', 200)}")

    def _end(self, told: JobDone, side: Side) -> None:
        if told.binaries is not None:
            self.binaries[side.commit] = told.binaries
        for note in told.notes:
            if note not in self.notes:
                self.notes[note] = None
                _say(note)


def _reason(base: CaseCounted, head: CaseCounted) -> Reason:
    runs: list[Run] = []
    components = None
    for report in (base, head):
        if report.folder is None:
            return Reason(lacking=(report.failed or report.skipped or "nothing was kept of it").splitlines()[0])
        count = KeptCount.load(Path(report.folder))
        shown = count and (count.by_python if report.fingerprint.get("counter") == "frames" else count)
        try:
            if shown is None:
                raise ValueError("nothing is kept of it")
            runs.append(shown.run())
            components = shown.components
        except (OSError, ValueError) as error:
            return Reason(lacking=f"the profile in {report.folder} cannot be read: {error}")
    before, after = runs
    difference = comparison.compare(before, after)
    functions = tuple(
        Moved(row.function.name, row.function.place, row.base, row.head) for row in difference.rows[:_FUNCTIONS]
    )
    assert components is not None
    was, is_now = (comparison.parts(run, components) for run in runs)
    parts = {name: is_now.get(name, 0) / after.calls - was.get(name, 0) / before.calls for name in {**was, **is_now}}
    moved = tuple(sorted(((name, by) for name, by in parts.items() if by), key=lambda part: (-abs(part[1]), part[0])))
    return Reason("python" if after.python else "c", functions, difference.rest(_FUNCTIONS)[1], moved)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
