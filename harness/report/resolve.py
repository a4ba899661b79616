"""Turn a question about counts into views, once: an immutable list of what is to be shown.

The way is one way: the commit's name becomes a hash, what is kept of it under asv's folder (`.asv` beside its
configuration) is read, what is missing or asked for `again` is counted in the environment that asv's configuration
describes and read, and each case becomes a view. Whoever shows the views asks nothing back.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import CountError, RepositoryError, StartError, SuiteError
from harness.store import records
from harness.store.noise import Measured
from harness.store.records import CaseKey, KeptCount
from harness.suite.selection import parse_assignments
from harness.system import asv_folder

if TYPE_CHECKING:
    from harness.asv_plugin.results import (
        AsvProject,  # when running only where it is used: the environments under test lack asv
    )

#: Fewer digits of a commit than these are a name, to be asked of git.
_HASH_DIGITS = 7


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is asked about. `benchmark` None: all of them. `python`: by Python function."""

    config: Path
    benchmark: str | None
    assignments: tuple[str, ...] = ()
    environment: str | None = None
    python: bool = False
    again: bool = False


@dataclasses.dataclass(frozen=True)
class View:
    """One case as it is shown. `count` is the case's own count, `shown` what is shown of it: that, or the same case
    counted by Python function. `remarks` are to be said with it. `failed`: it was wanted by Python function and could
    not be had."""

    count: KeptCount
    shown: KeptCount
    remarks: tuple[str, ...] = ()
    failed: bool = False

    @property
    def commit(self) -> str:
        """The full hash."""
        return str(self.count.record["commit"])


def at_commit(wanted: Wanted, name: str) -> tuple[View, ...]:
    """A view of each chosen case at the commit `name`. Raises HarnessError."""
    resolver = _Resolver(wanted)
    counts = resolver.counts(resolver.commit(name))
    return tuple(map(resolver.view, counts.values()))


def between_commits(wanted: Wanted, base: str, head: str) -> tuple[tuple[View, View], ...]:
    """Views of each chosen case that both commits have, at `base` and at `head`. Raises HarnessError."""
    resolver = _Resolver(wanted)
    commits = resolver.commit(base), resolver.commit(head)
    before, after = map(resolver.counts, commits)
    common = [case for case in after if case in before]
    if not common:
        raise SuiteError(f"{commits[0][:10]} and {commits[1][:10]} have no case in common that is kept with a profile")
    return tuple(resolver.pair(before[case], after[case]) for case in common)


def noise(wanted: Wanted) -> Measured:
    """What was measured of how noisy cases are. Where asv is not, only what this machine measured. Raises
    HarnessError."""
    try:
        from harness.asv_plugin.results import suite_of  # not above: the environments under test lack asv
    except ModuleNotFoundError:
        suite = None
    else:
        suite = suite_of(wanted.config)
    return Measured.read(wanted.config.resolve().parent / asv_folder.NAME, suite)


class _Resolver:
    """Answers one question. It opens asv's side once, when something has to be counted, and remembers for all commits
    that an environment's Python has frames that are not known."""

    def __init__(self, wanted: Wanted) -> None:
        asv_folder.check(wanted.config)
        self._wanted = wanted
        self._config = wanted.config.resolve()  # asv goes to its folder
        self._root = self._config.parent / asv_folder.NAME
        self._project: AsvProject | None = None
        self._environments: dict[Path, set[str]] = {}  # by a count's folder: the others that have its case

    def commit(self, name: str) -> str:
        """The full hash of the commit that `name` stands for: one of which something is kept, or one that git knows."""
        if len(name) >= _HASH_DIGITS:
            commits = [commit for commit in records.commits(self._root) if commit.startswith(name)]
            if len(commits) == 1:
                return commits[0]
        try:
            from harness.asv_plugin.results import repository_of  # not above: the environments under test lack asv
        except ModuleNotFoundError:
            raise RepositoryError(f"nothing is kept of a commit {name!r}: give its hash") from None
        return repository_of(self._config).commit(name)

    def counts(self, commit: str) -> dict[CaseKey, KeptCount]:
        """What is kept of the chosen cases, with a profile; the newest of each. Counted first where nothing is, and so
        are their views by Python function, if those are wanted."""
        counts = self._read(commit)
        benchmark = self._wanted.benchmark
        if benchmark is None and not counts:
            raise SuiteError(f"nothing is kept of {commit[:10]}: count it with `asv run {commit[:10]}^!`")
        if benchmark is not None and (self._wanted.again or not counts):
            self._count(commit, "callgrind", benchmark)
            counts = self._read(commit)
        if not counts:
            raise CountError(f"{benchmark} could not be counted at {commit[:10]}: see above")
        if self._wanted.python:
            for lacking in sorted({name for (name, _), count in counts.items() if count.by_python is None}):
                self._count(commit, "frames", lacking)
        return counts

    def view(self, count: KeptCount) -> View:
        """A case as it is wanted; by C function where it could not be had by Python function."""
        by_python = count.by_python
        remarks = self._elsewhere(count)
        if not self._wanted.python:
            remarks += ("(by Python function: --python)",) if by_python is not None else ()
            return View(count, count, remarks)
        if by_python is None:
            remarks += ("by C function, since the view by Python function could not be had: see above",)
            return View(count, count, remarks, failed=True)
        whole, parts = (either.record["instructions per call"] for either in (count, by_python))
        remarks += (f"by Callgrind, which tells no Python: {whole:,.2f} ({(parts - whole) / whole:+.3%})",)
        return View(count, by_python, remarks)

    def _elsewhere(self, count: KeptCount) -> tuple[str, ...]:
        """That the case is kept of other environments too, of which this is the newest count."""
        others = sorted(self._environments[count.folder])
        if not others:
            return ()
        here = count.record["environment"]
        return (f"the newest count, of {here}; --environment chooses another one: {', '.join(others)}",)

    def pair(self, base: KeptCount, head: KeptCount) -> tuple[View, View]:
        """The same case at two commits, both by Python function or both by C function."""
        before, after = self.view(base), self.view(head)
        if before.failed != after.failed:
            return View(base, base, failed=True), View(head, head, failed=True)
        return before, after

    def _read(self, commit: str) -> dict[CaseKey, KeptCount]:
        wanted = parse_assignments(self._wanted.assignments)
        every = records.find(self._root, commit, self._wanted.benchmark)
        newest: dict[CaseKey, KeptCount] = {}
        environments: dict[CaseKey, set[str]] = {}
        for count in sorted(every, key=lambda count: count.kept_at):
            environment = count.record["environment"]
            if self._wanted.environment not in (None, environment) or not count.has_profile:
                continue
            if wanted.items() <= count.parameters.items():
                newest[count.case] = count
                environments.setdefault(count.case, set()).add(environment)
        for case, count in newest.items():
            self._environments[count.folder] = environments[case] - {count.record["environment"]}
        return dict(sorted(newest.items()))

    def _count(self, commit: str, counter: str, benchmark: str) -> None:
        """Count the chosen cases as `python -m harness count` does, in the environment with `commit` in it. What it has
        to say goes to standard error; whether it came to something shows by what is kept."""
        try:
            from harness.asv_plugin.results import AsvProject
        except ModuleNotFoundError as error:
            raise StartError(
                f"nothing is kept of {commit[:10]}, and counting it needs asv, which {sys.executable} lacks ({error}): "
                "use the environment asv is run from"
            ) from None
        if self._project is None:
            self._project = AsvProject(self._config)
        project = self._project
        python = project.python(commit, exactly=True)
        print(f"counting {benchmark} at {commit[:10]} ({counter})", file=sys.stderr, flush=True)
        command = [
            python,
            "-m",
            "harness",
            "count",
            benchmark,
            "--counter",
            counter,
            "--benchmarks",
            str(project.suite),
        ]
        for assignment in self._wanted.assignments:
            command += ["--param", assignment]
        names = {"CONF_DIR": str(project.root), "COMMIT": commit, "ENV_NAME": project.environment_name("callgrind")}
        surroundings = {**os.environ, **{f"ASV_{name}": value for name, value in names.items()}}
        subprocess.run(command, cwd=project.root, env=surroundings, stdout=sys.stderr)
