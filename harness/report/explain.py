"""What `explain` and `diff` do: look up what is kept of a count, and tell where it went or what moved."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from harness.errors import CountError, StartError, SuiteError
from harness.profile import comparison, flame
from harness.profile.comparison import Run
from harness.profile.components import Seams
from harness.report import tables
from harness.report.resolve import Case, Lookup, View, Wanted
from harness.store.records import Kept


@dataclasses.dataclass(frozen=True)
class Options:
    """What is looked at, and how it is told. `flame` is a file to write."""

    wanted: Wanted
    inclusive: bool = False
    rows: int = 20
    json: bool = False
    flame: Path | None = None


def explain(options: Options, name: str) -> int:
    """Print where the instructions of a benchmark's cases go, at the commit `name`. The exit status: 1 where a case's
    view by Python function was asked for and could not be had."""
    lookup = Lookup(options.wanted)
    commit = lookup.commit(name)
    cases = lookup.cases(commit)
    _one_case(options, list(cases))
    told, views = [], []
    for found in cases.values():
        view = lookup.view(found)
        views.append(view)
        run, seams = _run(view.kept), found.seams
        if options.json:
            told.append({**_facts(view.kept), **tables.facts_of(run, seams)})
        else:
            print(f"{_label(found)}  at {commit[:10]}\n{run.per_call:,.2f} instructions a call ({_how(view.kept)})")
            print("\n".join([*found.notes, *view.remarks, ""]))
            print("\n".join(tables.explained(run, seams, rows=options.rows, inclusive=options.inclusive)))
        if options.flame is not None:
            _write(options.flame, run, seams, f"{_label(found)} at {commit[:10]}")
    return _end(options, told, views)


def diff(options: Options, base: str, head: str) -> int:
    """Print what moved between two commits, by function. The exit status: 1 as for `explain`."""
    lookup = Lookup(options.wanted)
    names = lookup.commit(base), lookup.commit(head)
    befores, afters = (lookup.cases(commit) for commit in names)
    both = [case for case in afters if case in befores]
    if not both:
        raise SuiteError(f"{names[0][:10]} and {names[1][:10]} have no case in common that is kept with a profile")
    _one_case(options, both)
    told, views = [], []
    for case in both:
        was, is_now = lookup.views(befores[case], afters[case])
        views.append(is_now)
        before, after, seams = _run(was.kept), _run(is_now.kept), afters[case].seams
        found = comparison.compare(before, after)
        differing = is_now.kept.differs_from(was.kept)
        change = "no change" if found.change == 0 else f"{found.change / found.base:+.3%}"
        if options.json:
            facts = {**_facts(is_now.kept), "base": names[0], "not counted alike": differing}
            told.append({**facts, **tables.facts_compared(found, after.python)})
        else:
            for line in differing:
                print(f"not counted alike: {line}")
            print(f"{_label(is_now.kept)}  {found.base:,.2f} -> {found.head:,.2f}  {change}")
            for line in tables.compared(found, rows=options.rows):
                print(line)
        if options.flame is not None:
            title = f"{_label(is_now.kept)}, {names[0][:10]} to {names[1][:10]}: {change}"
            _write(options.flame, after, seams, title, before)
    return _end(options, told, views)


def _end(options: Options, told: list[dict[str, Any]], views: list[View]) -> int:
    if options.json:
        print(json.dumps(told, indent=1))
    return int(any(view.failed for view in views))


def _one_case(options: Options, cases: list[Case]) -> None:
    if options.flame is not None and len(cases) != 1:
        raise SuiteError(f"--flame takes one case, and these are {len(cases)}: choose with --param")


def _run(found: Kept) -> Run:
    try:
        return found.run()
    except (OSError, ValueError) as error:
        raise CountError(f"the profile in {found.folder} cannot be read: {error}; count anew with --again") from None


def _write(path: Path, run: Run, seams: Seams, title: str, before: Run | None = None) -> None:
    how = "every path was seen" if run.profile.exact else "paths are estimated from who called whom"
    what = "Python functions, with the machine code under them" if run.python else "C functions"
    subtitle = f"{run.per_call:,.2f} instructions a call; {what}; {how}"
    text = flame.picture(flame.graph(run, seams, before), title, subtitle, by_change=before is not None)
    try:
        path.write_text(text, encoding="utf-8")  # as XML is that does not say
    except OSError as error:
        raise StartError(f"the flame graph could not be written to {path}: {error}") from None
    print(f"flame graph: {path}", file=sys.stderr)


def _label(found: Kept) -> str:
    return "  ".join([found.record["benchmark"], *(f"{name}={value}" for name, value in found.parameters.items())])


def _how(found: Kept) -> str:
    known = found.fingerprint
    facts = [f"counted by {known.get('counter', 'an unknown counter')}"]
    return ", ".join(facts + [f"{name} {known[name].split()[0]}" for name in ("torch", "python") if name in known])


def _facts(found: Kept) -> dict[str, Any]:
    record = found.record
    return {
        "benchmark": record["benchmark"],
        "parameters": found.parameters,
        "commit": record["commit"],
        "environment": record["environment"],
        "notes": found.notes,
        "fingerprint": found.fingerprint,
    }
