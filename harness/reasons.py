"""What `explain` and `diff` do: find what is kept of a count (or count anew), read it, and tell where it went.

A count is looked for under asv's folder, `.asv` beside its configuration. What is not there, or is asked for `again`,
is counted in the environment that asv's configuration describes, with the commit installed as asv does, and kept.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import explanation, flame, kept, rules, tables
from harness.counter import FRAMES_KNOWN
from harness.errors import CountError, RepositoryError, StartError, SuiteError
from harness.explanation import Run
from harness.kept import Kept
from harness.names import Function
from harness.seams import Seams

#: Fewer digits of a commit than these are a name, to be asked of git.
_HASH_DIGITS = 7


@dataclasses.dataclass(frozen=True)
class Options:
    """What is looked at, and how it is told. `benchmark` None: all of them. `flame` is a file to write."""

    config: Path
    benchmark: str | None
    assignments: tuple[str, ...] = ()
    environment: str | None = None
    python: bool = False
    again: bool = False
    inclusive: bool = False
    rows: int = 20
    json: bool = False
    flame: Path | None = None

    @property
    def root(self) -> Path:
        return self.config.resolve().parent / ".asv"


def explain(options: Options, name: str) -> int:
    """Print where the instructions of a benchmark's cases go, at the commit `name`. The exit status: 1 where a case's
    view by Python function was asked for and could not be had."""
    library = _Library(options)
    commit = library.commit(name)
    cases = library.cases(commit)
    _one_case(options, list(cases))
    told = []
    status = 0
    for found in cases.values():
        chosen, reason = library.view(found)
        status |= int(options.python and chosen is found and not library.frames_unknown)
        run, seams = _run(chosen), _seams(found)
        heading = [f"{_label(found)}  at {commit[:10]}", f"{_number(run.per_call)} instructions a call{_how(chosen)}"]
        if options.json:
            told.append({**_facts(chosen), "view": _view(run), **_explained(run, seams)})
        else:
            print("\n".join([*heading, *reason, ""]))
            print("\n".join(tables.explained(run, seams, rows=options.rows, inclusive=options.inclusive)))
        if options.flame is not None:
            _write(options.flame, run, seams, f"{_label(found)} at {commit[:10]}")
    if options.json:
        print(json.dumps(told, indent=1))
    return status


def diff(options: Options, base: str, head: str) -> int:
    """Print what moved between two commits, by function. The exit status: 1 as for `explain`."""
    library = _Library(options)
    names = library.commit(base), library.commit(head)
    befores, afters = (library.cases(commit) for commit in names)
    both = [case for case in afters if case in befores]
    if not both:
        raise SuiteError(f"{names[0][:10]} and {names[1][:10]} have no case in common that is kept with a profile")
    _one_case(options, both)
    told = []
    status = 0
    for case in both:
        views = [library.view(found[case])[0] for found in (befores, afters)]
        if options.python and views[0].folder.name != views[1].folder.name:
            views = [befores[case], afters[case]]  # both by the same kind of function
        status |= int(options.python and views[0] is befores[case] and not library.frames_unknown)
        before, after = (_run(view) for view in views)
        seams = _seams(afters[case])
        found = explanation.compare(before, after)
        differing = views[1].differs_from(views[0])
        if options.json:
            told.append(
                {**_facts(views[1]), "base": names[0], "view": _view(after), "not counted alike": differing}
                | _compared(found)
            )
        else:
            for line in differing:
                print(f"not counted alike: {line}")
            print(f"{_label(views[1])}  {_number(found.base)} -> {_number(found.head)}  {_percent(found)}")
            print("".join(f"{line}\n" for line in tables.compared(found, rows=options.rows)), end="")
        if options.flame is not None:
            title = f"{_label(views[1])}, {names[0][:10]} to {names[1][:10]}: {_percent(found)}"
            _write(options.flame, after, seams, title, before)
    if options.json:
        print(json.dumps(told, indent=1))
    return status


class _Library:
    """The counts that are kept, and that are taken when they are not."""

    def __init__(self, options: Options) -> None:
        if not options.config.exists():
            raise StartError(f"no asv configuration {options.config}: name one with --config")
        self._options = options
        self.frames_unknown = False

    def commit(self, name: str) -> str:
        """The full hash of the commit that `name` stands for: one of which something is kept, or one that git knows."""
        if len(name) >= _HASH_DIGITS:
            found = [commit for commit in kept.commits(self._options.root) if commit.startswith(name)]
            if len(found) == 1:
                return found[0]
        try:
            from harness.asv_results import repository_of  # not above: the environments under test lack asv
        except ModuleNotFoundError:
            raise RepositoryError(f"nothing is kept of a commit {name!r}: give its hash") from None
        return repository_of(self._options.config).commit(name)

    def cases(self, commit: str) -> dict[tuple[str, tuple[str, ...]], Kept]:
        """What is kept of the chosen cases, with a profile; the newest of each. Counted first where nothing is."""
        found = self._kept(commit)
        if self._options.benchmark is None:
            if not found:
                raise SuiteError(f"nothing is kept of {commit[:10]}: count it with `asv run {commit[:10]}^!`")
            return found
        if self._options.again or not found:
            self._count(commit, "callgrind", self._options.assignments)
            found = self._kept(commit)
        if not found:
            raise CountError(f"{self._options.benchmark} could not be counted at {commit[:10]}: see above")
        return found

    def view(self, found: Kept) -> tuple[Kept, list[str]]:
        """The view of a case that is wanted, and what is to be said of it. By Python function if that is asked for,
        counted first where it is not there; where it cannot be had, the one by C function."""
        if not self._options.python:
            return found, ["(by Python function: --python)"] if found.by_python is not None else []
        by_python = found.by_python
        if by_python is None:
            assignments = tuple(f"{name}={value}" for name, value in found.parameters.items())
            self._count(found.record["commit"], "frames", assignments, found.record["benchmark"])
            by_python = found.by_python
        if by_python is None:
            return found, ["by C function, since the view by Python function could not be had: see above"]
        whole, parts = found.record["instructions per call"], by_python.record["instructions per call"]
        return by_python, [f"by Callgrind, which tells no Python: {_number(whole)} ({(parts - whole) / whole:+.3%})"]

    def _kept(self, commit: str) -> dict[tuple[str, tuple[str, ...]], Kept]:
        wanted = dict(_assignment(text) for text in self._options.assignments)
        every = kept.find(self._options.root, commit, self._options.benchmark)
        newest: dict[tuple[str, tuple[str, ...]], Kept] = {}
        for found in sorted(every, key=lambda each: (each.folder / "count.json").stat().st_mtime):
            if self._options.environment not in (None, found.record["environment"]) or not found.has_profile:
                continue
            if wanted.items() <= found.parameters.items():
                newest[found.case] = found
        return dict(sorted(newest.items()))

    def _count(self, commit: str, counter: str, assignments: tuple[str, ...], benchmark: str | None = None) -> None:
        """Count as `python -m harness count` does, in the environment with `commit` in it. What it has to say goes to
        standard error; whether it came to something shows by what is kept."""
        if self.frames_unknown and counter == "frames":
            return
        try:
            from harness.asv_results import Shelf
        except ModuleNotFoundError as error:
            raise StartError(
                f"nothing is kept of {commit[:10]}, and counting it needs asv, which {sys.executable} lacks ({error}): "
                "use the environment asv is run from"
            ) from None
        shelf = Shelf(self._options.config)
        python = shelf.python(commit, exactly=True)
        if counter == "frames" and _version(python) != FRAMES_KNOWN:
            self.frames_unknown = True
            print(
                f"no view by Python function: it knows the frames of Python {_dotted(FRAMES_KNOWN)}, this environment "
                f"has {_dotted(_version(python))}",
                file=sys.stderr,
            )
            return
        benchmark = benchmark or str(self._options.benchmark)
        print(f"\ncounting {benchmark} at {commit[:10]} ({counter})", file=sys.stderr, flush=True)
        command = [python, "-m", "harness", "count", benchmark, "--counter", counter, "--suite", str(shelf.suite)]
        for assignment in assignments:
            command += ["--param", assignment]
        names = {"CONF_DIR": str(shelf.root), "COMMIT": commit, "ENV_NAME": shelf.environment_name("callgrind")}
        surroundings = {**os.environ, **{f"ASV_{name}": value for name, value in names.items()}}
        subprocess.run(command, cwd=shelf.root, env=surroundings, stdout=sys.stderr)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SuiteError(f"--param {text!r}: expected name=value")
    return name, value


def _version(python: str) -> tuple[int, ...]:
    statement = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([python, "-c", statement], capture_output=True, text=True).stdout
    return tuple(map(int, answer.split()))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _one_case(options: Options, cases: list[tuple[str, tuple[str, ...]]]) -> None:
    if options.flame is not None and len(cases) != 1:
        raise SuiteError(f"--flame takes one case, and these are {len(cases)}: choose with --param")


def _run(found: Kept) -> Run:
    try:
        return found.run()
    except (OSError, ValueError) as error:
        raise CountError(f"the profile in {found.folder} cannot be read: {error}; count anew with --again") from None


def _seams(found: Kept) -> Seams:
    return rules.load(found.record.get("rules", "plain")).seams


def _part_of(run: Run, seams: Seams) -> Callable[[Function], str]:
    """The part of a box in a flame graph, where machine code may lie under Python."""
    return lambda name: seams.of(name, run.python and name in run.profile.functions)


def _write(path: Path, run: Run, seams: Seams, title: str, before: Run | None = None) -> None:
    how = "every path was seen" if run.profile.exact else "paths are estimated from who called whom"
    what = "Python functions, with the machine code under them" if run.python else "C functions"
    picture = flame.Picture(
        title, f"{_number(run.per_call)} instructions a call; {what}; {how}", lambda n: n / run.calls
    )
    base = None if before is None else before.profile.paths
    try:
        path.write_text(flame.draw(run.profile.paths, picture, _part_of(run, seams), base))
    except OSError as error:
        raise StartError(f"the flame graph could not be written to {path}: {error}") from None
    print(f"flame graph: {path}", file=sys.stderr)


def _label(found: Kept) -> str:
    return "  ".join([found.record["benchmark"], *(f"{name}={value}" for name, value in found.parameters.items())])


def _number(value: float) -> str:
    return f"{value:,.2f}"


def _percent(found: explanation.Comparison) -> str:
    return "no change" if found.change == 0 else f"{found.change / found.base:+.3%}"


def _view(run: Run) -> str:
    return "python" if run.python else "c"


def _how(found: Kept) -> str:
    known = found.fingerprint
    facts = [f"counted by {known.get('counter', 'an unknown counter')}"]
    facts += [f"{name} {known[name].split()[0]}" for name in ("torch", "python") if name in known]
    return f" ({', '.join(facts)})"


def _facts(found: Kept) -> dict[str, Any]:
    record = found.record
    return {
        "benchmark": record["benchmark"],
        "parameters": found.parameters,
        "commit": record["commit"],
        "environment": record["environment"],
        "fingerprint": found.fingerprint,
    }


def _explained(run: Run, seams: Seams) -> dict[str, Any]:
    return {
        "instructions per call": run.per_call,
        "empty body": run.overhead / run.calls,
        "parts": {name: own / run.calls for name, own in explanation.parts(run, seams).items()},
        "libraries": {name: own / run.calls for name, own in explanation.libraries(run).items()},
        "functions": [
            {
                **_named(row.function, row.line, run.python),
                "self": row.own,
                "inclusive": row.inclusive,
                "calls": row.calls,
                **(
                    {"native": [{**_named(n, None, False), "self": own} for n, own in row.native]} if run.python else {}
                ),
            }
            for row in explanation.functions(run)
        ],
    }


def _compared(found: explanation.Comparison) -> dict[str, Any]:
    return {
        "base instructions per call": found.base,
        "head instructions per call": found.head,
        "change": found.change,
        "empty body": -found.overhead,
        "functions": [
            {
                **_named(row.function, row.line, row.line is not None),
                "base": row.base,
                "head": row.head,
                "change": row.change,
            }
            for row in found.rows
        ],
    }


def _named(function: Function, line: int | None, python: bool) -> dict[str, Any]:
    return {
        "function": function.name,
        "file" if python else "library": function.place,
        **({"line": line} if line else {}),
    }
