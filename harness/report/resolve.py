"""What is kept of the counts that somebody asks about, counted first where it is not.

A count is looked for under asv's folder, `.asv` beside its configuration. What is not there, or is asked for `again`,
is counted in the environment that asv's configuration describes, with the commit installed as asv does, and kept.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.engine.counters import FRAMES_KNOWN
from harness.errors import CountError, RepositoryError, StartError, SuiteError
from harness.store import records
from harness.store.records import Kept
from harness.suite.selection import assigned
from harness.system import asv_folder

if TYPE_CHECKING:
    from harness.asv_plugin.results import (
        Shelf,  # when running only where it is used: the environments under test lack asv
    )

#: Fewer digits of a commit than these are a name, to be asked of git.
_HASH_DIGITS = 7
#: A benchmark's name and its parameters.
Case = tuple[str, tuple[str, ...]]


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
    """One case as it is shown. `remarks` are to be said with it. `failed`: it was wanted by Python function and could
    not be had."""

    kept: Kept
    remarks: tuple[str, ...] = ()
    failed: bool = False


class Lookup:
    """The counts that are kept, and that are taken when they are not."""

    def __init__(self, wanted: Wanted) -> None:
        if not wanted.config.exists():
            raise StartError(f"no asv configuration {wanted.config}: name one with --config")
        self._wanted = wanted
        self._config = wanted.config.resolve()  # asv goes to its folder
        self._root = self._config.parent / asv_folder.NAME
        self._frames_unknown = False
        self._shelf: Shelf | None = None

    def commit(self, name: str) -> str:
        """The full hash of the commit that `name` stands for: one of which something is kept, or one that git knows."""
        if len(name) >= _HASH_DIGITS:
            found = [commit for commit in records.commits(self._root) if commit.startswith(name)]
            if len(found) == 1:
                return found[0]
        try:
            from harness.asv_plugin.results import repository_of  # not above: the environments under test lack asv
        except ModuleNotFoundError:
            raise RepositoryError(f"nothing is kept of a commit {name!r}: give its hash") from None
        return repository_of(self._config).commit(name)

    def cases(self, commit: str) -> dict[Case, Kept]:
        """What is kept of the chosen cases, with a profile; the newest of each. Counted first where nothing is, and so
        are their views by Python function, if those are wanted."""
        found = self._kept(commit)
        benchmark = self._wanted.benchmark
        if benchmark is None and not found:
            raise SuiteError(f"nothing is kept of {commit[:10]}: count it with `asv run {commit[:10]}^!`")
        if benchmark is not None and (self._wanted.again or not found):
            self._count(commit, "callgrind", benchmark)
            found = self._kept(commit)
        if not found:
            raise CountError(f"{benchmark} could not be counted at {commit[:10]}: see above")
        if self._wanted.python:
            for lacking in sorted({name for (name, _), each in found.items() if each.by_python is None}):
                self._count(commit, "frames", lacking)
        return found

    def view(self, found: Kept) -> View:
        """A case as it is wanted; by C function where it could not be had by Python function."""
        by_python = found.by_python
        if not self._wanted.python:
            return View(found, ("(by Python function: --python)",) if by_python is not None else ())
        if by_python is None:
            remark = "by C function, since the view by Python function could not be had: see above"
            return View(found, (remark,), failed=not self._frames_unknown)
        whole, parts = found.record["instructions per call"], by_python.record["instructions per call"]
        return View(by_python, (f"by Callgrind, which tells no Python: {whole:,.2f} ({(parts - whole) / whole:+.3%})",))

    def views(self, base: Kept, head: Kept) -> tuple[View, View]:
        """The same case at two commits, both by Python function or both by C function."""
        both = self.view(base), self.view(head)
        if both[0].failed != both[1].failed:
            return View(base, failed=True), View(head, failed=True)
        return both

    def _kept(self, commit: str) -> dict[Case, Kept]:
        wanted = assigned(self._wanted.assignments)
        every = records.find(self._root, commit, self._wanted.benchmark)
        newest: dict[Case, Kept] = {}
        for found in sorted(every, key=lambda each: each.kept_at):
            if self._wanted.environment not in (None, found.record["environment"]) or not found.has_profile:
                continue
            if wanted.items() <= found.parameters.items():
                newest[found.case] = found
        return dict(sorted(newest.items()))

    def _count(self, commit: str, counter: str, benchmark: str) -> None:
        """Count the chosen cases as `python -m harness count` does, in the environment with `commit` in it. What it has
        to say goes to standard error; whether it came to something shows by what is kept."""
        if self._frames_unknown and counter == "frames":
            return
        try:
            from harness.asv_plugin.results import Shelf
        except ModuleNotFoundError as error:
            raise StartError(
                f"nothing is kept of {commit[:10]}, and counting it needs asv, which {sys.executable} lacks ({error}): "
                "use the environment asv is run from"
            ) from None
        if self._shelf is None:
            self._shelf = Shelf(self._config)
        shelf = self._shelf
        python = shelf.python(commit, exactly=True)
        if counter == "frames" and (version := _version(python)) != FRAMES_KNOWN:
            self._frames_unknown = True
            print(
                f"no view by Python function: it knows the frames of Python {_dotted(FRAMES_KNOWN)}, this environment "
                f"has {_dotted(version)}",
                file=sys.stderr,
            )
            return
        print(f"counting {benchmark} at {commit[:10]} ({counter})", file=sys.stderr, flush=True)
        command = [python, "-m", "harness", "count", benchmark, "--counter", counter, "--benchmarks", str(shelf.suite)]
        for assignment in self._wanted.assignments:
            command += ["--param", assignment]
        names = {"CONF_DIR": str(shelf.root), "COMMIT": commit, "ENV_NAME": shelf.environment_name("callgrind")}
        surroundings = {**os.environ, **{f"ASV_{name}": value for name, value in names.items()}}
        subprocess.run(command, cwd=shelf.root, env=surroundings, stdout=sys.stderr)


def _version(python: str) -> tuple[int, ...]:
    statement = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([python, "-c", statement], capture_output=True, text=True).stdout
    return tuple(map(int, answer.split()))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
