"""Search a range of commits for what changed a benchmark: asv's saved results first, then counts where they tell most.

The two ends are counted with the counter that confirms, the points between with the one that probes; what was found is
then counted with the one that confirms too. Commits whose trees are equal are one point and are counted once.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

from harness.asv_plugin.results import AsvProject, Benchmark, alone
from harness.bisect.client import ProbingProcess
from harness.bisect.findings import CaseFinding, Change, Culprit, FoundStep
from harness.bisect.messages import Probe, Probed, Range
from harness.bisect.plan import Bisection, Step
from harness.errors import RepositoryError
from harness.overlay.git import Repository
from harness.store.noise import Measured, Noise, Source, facts_of
from harness.suite.parameters import case_name


@dataclasses.dataclass(frozen=True)
class Options:
    """`probing` and `confirming` are kinds of counters; `noise` is a relative change, None for each case's own."""

    probing: str = "readable"
    confirming: str = "callgrind"
    noise: float | None = None
    cores: int = 1


#: Steps up to so many times the noise are counted in another memory layout too.
_DOUBTFUL = 2


class _Key(NamedTuple):
    """One count of a case: at which point of the range, by which counter, in which memory layout."""

    point: int
    counter: str
    memory_layout: int


class Search:
    """One search: what is known of the points of a range, and what to count next. Points are numbers, oldest first;
    commits next to each other with equal trees are one point."""

    def __init__(
        self,
        project: AsvProject,
        process: ProbingProcess,
        repository: Repository,
        measured: Measured,
        options: Options,
    ) -> None:
        self._project = project
        self._process = process
        self._repository = repository
        self._options = options
        survey = self._survey = process.survey
        # Equal trees next to each other are one; their first commit stands for them.
        self._groups = [
            list(group) for _, group in itertools.groupby(self._survey.points, key=lambda point: point.digest)
        ]
        self._cases = survey.cases
        self._benchmark = Benchmark(survey.name, survey.version, survey.params, survey.cases)
        self.noise = self._noise_of_cases(measured)
        self._bisection = Bisection(len(self._groups), {case: noise.part for case, noise in self.noise.items()})
        self._counts: dict[tuple[str, str, int], dict[int, float]] = {}  # by tree, counter and memory layout
        self._failures: dict[tuple[str, str, int], dict[int, str]] = {}
        self._binaries: dict[int, str] = {}
        self._notes: set[str] = set()
        self._serials = itertools.count(1)
        self.probes: list[dict[str, object]] = []

    def _noise_of_cases(self, measured: Measured) -> dict[int, Noise]:
        survey, declared = self._survey, self._survey.declared_noise
        if self._options.noise is not None:
            return dict.fromkeys(self._cases, Noise(self._options.noise, Source.GIVEN))
        facts = facts_of(self._options.probing, survey.python, survey.machine)
        return {case: measured.of(self._name(case, "  "), declared, facts) for case in self._cases}

    def run(self) -> list[CaseFinding]:
        """Search. Raises CountError."""
        commits = len({point.commit for point in self._survey.points})
        _say(f"{commits} commits, {len(self._groups)} different trees")
        for case, noise in self.noise.items():
            _say(f"{self._name(case)}  changes up to {noise.percent} are noise ({noise.source})")
        while wanted := self._bisection.wanted(self._options.cores):
            ends = {point for case in self._cases for point in self._bisection.ends(case) or ()}
            keys = {point: self._key(point, confirm=point in ends) for point in wanted}
            self._count({keys[point]: cases for point, cases in wanted.items()})
            for point, cases in wanted.items():
                self._bisection.tell(point, cases, self._known(keys[point]))
            self._draw()
        self._confirm()
        return [self._finding(case) for case in self._cases]

    def _confirm(self) -> None:
        """Count both sides of every step with the counter that confirms; and those of a step that noise might nearly
        have made in another memory layout too, in which noise would be another."""
        missing: dict[_Key, set[int]] = {}
        for case in self._cases:
            for step in self._bisection.steps(case):
                memory_layouts = (0, 1) if self._needs_second_opinion(case, step) else (0,)
                for point, memory_layout in itertools.product((step.before, step.after), memory_layouts):
                    key = self._key(point, confirm=not memory_layout, memory_layout=memory_layout)
                    missing.setdefault(key, set()).add(case)
        cores = self._options.cores
        unknown = {key: cases for key, cases in missing.items() if cases - self._known(key).keys()}
        for first in range(0, len(unknown), cores):
            self._count(dict(list(unknown.items())[first : first + cores]))

    def _needs_second_opinion(self, case: int, step: Step) -> bool:
        noise = self.noise[case].part
        return noise < abs(step.relative) <= _DOUBTFUL * noise

    # Counting

    def _key(self, point: int, confirm: bool, memory_layout: int = 0) -> _Key:
        return _Key(point, self._options.confirming if confirm else self._options.probing, memory_layout)

    def _known(self, key: _Key) -> dict[int, float]:
        return self._counts.get(self._tree(key), {})

    def _tree(self, key: _Key) -> tuple[str, str, int]:
        """Equal for what is counted alike."""
        return self._groups[key.point][0].digest, key.counter, key.memory_layout

    def _count(self, wanted: dict[_Key, set[int]]) -> None:
        """Count these cases, unless it is known what they count; those of equal trees once."""
        unknown: dict[tuple[str, str, int], tuple[_Key, set[int]]] = {}
        for key, cases in wanted.items():
            self._recall(key)
            tree = self._tree(key)
            missing = cases - self._known(key).keys() - self._failures.get(tree, {}).keys()
            if missing:
                unknown.setdefault(tree, (key, set()))[1].update(missing)
        sent = {next(self._serials): keys_and_cases for keys_and_cases in unknown.values()}
        probes = [self._probe(serial, *keys_and_cases) for serial, keys_and_cases in sent.items()]
        for probed in self._process.probe(probes):
            self._note(probed, sent[probed.serial][0])

    def _probe(self, serial: int, key: _Key, cases: Iterable[int]) -> Probe:
        point = self._groups[key.point][0]
        keep = str(self._project.keep) if self._is_savable(key) else None
        name = self._project.environment_name(key.counter)
        ordered = tuple(sorted(cases))
        return Probe(serial, point.commit, point.wheel, key.counter, ordered, key.memory_layout, keep, name)

    def _is_savable(self, key: _Key) -> bool:
        return self._groups[key.point][0].own and key.memory_layout == 0

    def _recall(self, key: _Key) -> None:
        """What asv's results tell of any commit of the group."""
        for point in self._groups[key.point] if self._is_savable(key) else ():
            known = self._project.saved(self._benchmark, key.counter, point.commit, point.wheel_name)
            for case, (count, binaries) in known.items():
                self._binaries[key.point] = binaries
                counts = self._counts.setdefault(self._tree(key), {})
                if case not in counts:
                    counts[case] = count
                    _say(f"{point.commit[:10]}  {key.counter:<9}  {self._name(case)}  {count:,.2f}  saved earlier")

    def _note(self, probed: Probed, key: _Key) -> None:
        point = self._groups[key.point][0]
        counts, failures = probed.counts, probed.failures
        self._counts.setdefault(self._tree(key), {}).update(counts)
        self._failures.setdefault(self._tree(key), {}).update(failures)
        if probed.binaries is not None:
            self._binaries[key.point] = probed.binaries
        for note in set(probed.notes) - self._notes:
            _say(note)
        self._notes.update(probed.notes)
        if self._is_savable(key):
            self._project.save(self._benchmark, key.counter, point.commit, counts, failures)
        spent = sum(probed.seconds.values())
        probe = {"commit": point.commit, "counter": key.counter, "layout": key.memory_layout}
        self.probes.append({**probe, **probed.seconds})
        prefix = f"{point.commit[:10]}  {key.counter:<9}" + ("  another layout" if key.memory_layout else "")
        for case, count in counts.items():
            _say(f"{prefix}  {self._name(case)}  {count:,.2f}  {spent:.0f} s")
        for case, why in failures.items():
            _say(f"{prefix}  {self._name(case)}  cannot be counted: {shorten(why, 200)}")

    def _draw(self) -> None:
        """The range as it is known by now: where the numbers of some case changed between two points."""
        width = min(60, len(self._groups))
        line = ["."] * width
        for case in self._cases:
            for step in self._bisection.steps(case):
                first, last = (point * width // len(self._groups) for point in (step.before, step.after))
                line[first : last + 1] = "#" * (last + 1 - first)
        _say(f"[{''.join(line)}]")

    # What came of it

    def _name(self, case: int, gap: str = " ") -> str:
        labelled = dict(zip(self._survey.param_names, self._cases[case], strict=False))
        return case_name(self._survey.name, labelled, gap)

    def _finding(self, case: int) -> CaseFinding:
        if len(self._groups) == 1:
            why = "every commit of the range lays the same Python over the same binaries, so nothing was counted"
            return CaseFinding(self._name(case), None, why=why, same=True)
        ends = self._bisection.ends(case)
        if ends is None:
            why = [reasons[case] for reasons in self._failures.values() if case in reasons][-1]
            return CaseFinding(self._name(case), None, why=f"no two commits can be counted; the last said: {why}")
        whole = Change(*(self._bisection.count(point, case) for point in ends))
        moved = [point for point, end in zip(ends, (0, len(self._groups) - 1), strict=True) if point != end]
        names = " and ".join(self._groups[point][0].commit[:10] for point in moved)
        why = f"beyond {names} nothing can be counted" if moved else ""
        steps = [self._found(case, step) for step in self._bisection.steps(case)]
        return CaseFinding(self._name(case), whole, tuple(steps), why, noise=self.noise[case])

    def _counted(self, case: int, step: Step, confirm: bool, memory_layout: int = 0) -> Change | None:
        keys = [self._key(point, confirm, memory_layout) for point in (step.before, step.after)]
        counts = [self._known(key).get(case) for key in keys]
        return None if counts[0] is None or counts[1] is None else Change(counts[0], counts[1])

    def _found(self, case: int, step: Step) -> FoundStep:
        probed = Change(step.count_before, step.count_after)
        confirmed = self._counted(case, step, confirm=True)
        elsewhere = self._counted(case, step, confirm=False, memory_layout=1)
        confirming, noise = self._options.confirming, 100 * self.noise[case].part
        doubt = None
        if 100 * abs(step.relative) <= noise:
            doubt = f"no step is larger than noise ({noise:.2g} %): the change is spread over several commits"
        elif confirmed is None:
            doubt = f"{confirming} could not count both sides"
        elif abs(confirmed.percent - probed.percent) > noise:
            doubt = f"{confirming} counted another change than {self._options.probing}: {probed}"
        elif self._needs_second_opinion(case, step) and elsewhere is None:
            doubt = "it could not be counted in another memory layout"
        elif not step.exact:
            doubt = "what lies between cannot be counted"
        is_noise = elsewhere is not None and not noise < elsewhere.percent * (1 if probed.percent > 0 else -1)
        counter = confirming if confirmed else self._options.probing
        return FoundStep(self._culprit(step), confirmed or probed, counter, elsewhere, doubt, is_noise)

    def _culprit(self, step: Step) -> Culprit:
        before, after = self._groups[step.before][-1], self._groups[step.after][0]
        subject = self._repository.subject(after.commit)
        note = self._binaries.get(step.after)
        if step.exact and before.commit == after.commit:
            names = before.wheel_name, after.wheel_name
            return Culprit(after.commit, subject, (), binaries=names, note=note)
        parent = f"{after.commit}^"
        try:
            files = tuple(self._repository.changed(self._repository.commit(parent), after.commit))
        except RepositoryError:
            files = ()
        between = [point.commit for group in self._groups[step.before + 1 : step.after + 1] for point in group[:1]]
        among = () if step.exact else tuple(f"{commit[:10]}  {self._repository.subject(commit)}" for commit in between)
        return Culprit(after.commit, subject, () if among else files, among, note=note)

    def split(self) -> str:
        """Where the time of the probes went."""
        parts: dict[str, float] = {}
        for probe in self.probes:
            for name, spent in probe.items():
                if isinstance(spent, float):
                    parts[name] = parts.get(name, 0) + spent
        seconds = ", ".join(f"{name} {spent:.0f} s" for name, spent in parts.items())
        return f"{len(self.probes)} probes: {seconds or 'everything was saved earlier'}"


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def bisect(configuration: Path, wanted: Range, options: Options) -> tuple[list[CaseFinding], dict[str, object]]:
    """Search as asked (`repository` and `suite` of `wanted` are filled in here); what was found, and how it was.

    Raises HarnessError.
    """
    with alone(configuration):
        return _bisect(configuration, wanted, options)


def _bisect(configuration: Path, wanted: Range, options: Options) -> tuple[list[CaseFinding], dict[str, object]]:
    began = time.monotonic()
    project = AsvProject(configuration)
    repository = Repository(project.repository)
    good, bad = repository.commit(wanted.good), repository.commit(wanted.bad)
    if good == bad:
        raise RepositoryError(f"{wanted.good} and {wanted.bad} are the same commit {good[:10]}: nothing lies between")
    if not repository.is_ancestor(good, bad):
        swapped = ": swap them" if repository.is_ancestor(bad, good) else ": name an ancestor of it"
        raise RepositoryError(f"{wanted.bad} ({bad[:10]}) does not contain {wanted.good} ({good[:10]}){swapped}")
    measured = Measured.read(project.keep, project.suite)
    full_range = dataclasses.replace(
        wanted, repository=str(repository.path), suite=str(project.suite), good=good, bad=bad
    )
    with ProbingProcess(project.python(good), full_range) as process:
        search = Search(project, process, repository, measured, options)
        findings = search.run()
    seconds = round(time.monotonic() - began, 1)
    _say(f"{search.split()}; {seconds:.0f} s in all on {options.cores} cores")
    return findings, {"probes": search.probes, "seconds": seconds, "cores": options.cores}
