"""Show a count: print where its instructions go, or which functions moved between two commits (`explain`, `diff`)."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import CountError, StartError, SuiteError
from harness.profile import comparison, flame
from harness.profile.comparison import Run
from harness.profile.components import Components
from harness.report import resolve, tables
from harness.report.resolve import View, Wanted
from harness.store.noise import Noise
from harness.store.records import KeptCount
from harness.suite.parameters import case_name


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
    views = resolve.at_commit(options.wanted, name)
    _one_case(options, len(views))
    answers = []
    for view in views:
        run, components = _run(view.shown), view.count.components
        if options.json:
            answers.append({**_facts(view.shown), **tables.facts_of(run, components)})
        else:
            print(f"{_label(view.count)}  at {view.commit[:10]}")
            print(f"{run.per_call:,.2f} instructions a call ({_how(view.shown)})")
            print("\n".join([*view.count.notes, *view.remarks, ""]))
            print("\n".join(tables.explained(run, components, rows=options.rows, inclusive=options.inclusive)))
        if options.flame is not None:
            _write(options.flame, run, components, f"{_label(view.count)} at {view.commit[:10]}")
    return _end(options, answers, views)


def diff(options: Options, base: str, head: str) -> int:
    """Print what moved between two commits, by function, and how noisy the case is. The exit status: 1 as for
    `explain`."""
    measured = resolve.noise(options.wanted)  # before asv goes to its own folder
    pairs = resolve.between_commits(options.wanted, base, head)
    _one_case(options, len(pairs))
    answers = []
    for was, is_now in pairs:
        before, after, components = _run(was.shown), _run(is_now.shown), is_now.count.components
        difference = comparison.compare(before, after)
        differing = is_now.shown.differs_from(was.shown)
        change = "no change" if difference.change == 0 else f"{difference.change / difference.base:+.3%}"
        noise = measured.of(_label(is_now.count), 0.0, is_now.shown.fingerprint)
        if options.json:
            known = noise.part if noise.measured else None
            facts = {**_facts(is_now.shown), "base": was.commit, "not counted alike": differing, "noise": known}
            answers.append({**facts, **tables.facts_compared(difference, after.python)})
        else:
            for line in differing:
                print(f"not counted alike: {line}")
            print(f"{_label(is_now.count)}  {difference.base:,.2f} -> {difference.head:,.2f}  {change}")
            if difference.change != 0:
                print(_beside(noise, abs(difference.change / difference.base)))
            for line in tables.compared(difference, rows=options.rows):
                print(line)
        if options.flame is not None:
            title = f"{_label(is_now.count)}, {was.commit[:10]} to {is_now.commit[:10]}: {change}"
            _write(options.flame, after, components, title, before)
    return _end(options, answers, [after for _, after in pairs])


def _beside(noise: Noise, change: float) -> str:
    """What the noise says of a change."""
    if not noise.measured:
        return "how noisy the case is was not measured: `harness noise` does"
    return f"noise {noise}" + (": this change is none" if change <= noise.part else "")


def _end(options: Options, answers: list[dict[str, Any]], views: Sequence[View]) -> int:
    if options.json:
        print(json.dumps(answers, indent=1))
    return int(any(view.failed for view in views))


def _one_case(options: Options, cases: int) -> None:
    if options.flame is not None and cases != 1:
        raise SuiteError(f"--flame takes one case, and these are {cases}: choose with --param")


def _run(count: KeptCount) -> Run:
    try:
        return count.run()
    except (OSError, ValueError) as error:
        raise CountError(f"the profile in {count.folder} cannot be read: {error}; count anew with --again") from None


def _write(path: Path, run: Run, components: Components, title: str, before: Run | None = None) -> None:
    how = "every path was seen" if run.profile.exact else "paths are estimated from who called whom"
    what = "Python functions, with the machine code under them" if run.python else "C functions"
    subtitle = f"{run.per_call:,.2f} instructions a call; {what}; {how}"
    text = flame.picture(flame.graph(run, components, before), title, subtitle, by_change=before is not None)
    try:
        path.write_text(text, encoding="utf-8")  # as XML is that does not say
    except OSError as error:
        raise StartError(f"the flame graph could not be written to {path}: {error}") from None
    print(f"flame graph: {path}", file=sys.stderr)


def _label(count: KeptCount) -> str:
    return case_name(count.record["benchmark"], count.parameters)


def _how(count: KeptCount) -> str:
    known = count.fingerprint
    facts = [f"counted by {known.get('counter', 'an unknown counter')}"]
    return ", ".join(facts + [f"{name} {known[name].split()[0]}" for name in ("torch", "python") if name in known])


def _facts(count: KeptCount) -> dict[str, Any]:
    record = count.record
    return {
        "benchmark": record["benchmark"],
        "parameters": count.parameters,
        "commit": record["commit"],
        "environment": record["environment"],
        "notes": count.notes,
        "fingerprint": count.fingerprint,
    }
