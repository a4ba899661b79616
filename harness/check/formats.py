"""What a check found, in the forms that people and programs read. Each is a pure function of the same verdicts."""

from __future__ import annotations

import html
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from harness.check import verdicts
from harness.check.run import Checked
from harness.check.verdicts import Change, Kind, Reason, Verdict
from harness.report import columns

#: The version of what `as_json` makes; a change that a reader must know of raises it.
SCHEMA = 1
#: GitHub takes 65,536 characters; the file ends with a line's end.
COMMENT = 65_535
#: The first line of a comment, which GitHub does not show: by it who writes the next one finds this one.
MARKER = "<!-- harness check -->"
_FUNCTIONS_IN_TEXT = 5
_NAME = 100
#: What a comment shows of why cases were skipped, and of remarks on all of it; in characters, before what is escaped.
_REASONS, _SENTENCE, _REMARK = 20, 200, 1000
_NOT_LISTED = (Kind.UNCHANGED, Kind.SKIPPED)


def percent(change: Change, noise: float) -> str:
    """A change as a part of the base, to a tenth of the noise: `+1.11 %`. Further digits would be noise."""
    if math.isinf(change.relative):
        return "from nothing" if change.instructions > 0 else "-inf %"
    digits = max(0, 1 - math.floor(math.log10(100 * noise))) if noise > 0 else 4
    return f"{100 * change.relative:+.{digits}f} %" if change.instructions else "0 %"


def instructions(count: float) -> str:
    return f"{count:,.0f}" if abs(count) >= 1000 else f"{count:,.2f}"


def _difference(change: Change) -> str:
    sign = "+" if change.instructions > 0 else ""
    digits = 0 if max(abs(change.base), abs(change.head)) >= 1000 else 2
    return f"{sign}{change.instructions:,.{digits}f}"


# Text


def as_text(checked: Checked) -> Iterator[str]:
    """Lines for a terminal: the answer, what moved and why, what could not be told, and the rest in a table."""
    on = _binaries(checked)
    for name, side in (("base", checked.base), ("head", checked.head)):
        yield f"{name}  {side.name}" + (f"\n      {on[name]}" if name in on else "")
    yield from [f"both  {on['both']}"] if "both" in on else []
    yield from checked.notes
    yield ""
    explained: set[str] = set()
    for verdict in checked.verdicts:
        if verdict.kind not in _NOT_LISTED:
            yield from [*_lines(verdict, explained), ""]
    yield from _table(checked.verdicts)
    yield from (f"skipped: {number} ({why})" for why, number in _skipped(checked).items())
    if checked.updated is not None:
        yield from [
            "",
            *(f"updated: {line}" for line in checked.updated or ["nothing, no count moved beyond its noise"]),
        ]
    yield ""
    yield f"{verdicts.headline(checked.verdicts)}  ({_how(checked)})"


def _binaries(checked: Checked) -> dict[str, str]:
    """On which binaries the Python lay, and how near they are: by side, or of both where it is the same."""
    base, head = checked.base.binaries, checked.head.binaries
    by_side = {"both": head} if base == head else {"base": base, "head": head}
    return {name: f"on the binaries of {binaries}" for name, binaries in by_side.items() if binaries is not None}


def _skipped(checked: Checked) -> Counter[str]:
    """How many cases were skipped, by reason."""
    return Counter(verdict.why for verdict in checked.verdicts if verdict.kind is Kind.SKIPPED)


def _how(checked: Checked) -> str:
    suite = f"{checked.suite} suite"
    chosen = f", {checked.bench!r} of the {suite}" if checked.bench else f", {suite}"
    return f"counter {checked.counter}{chosen}, {checked.seconds:.0f} s on {checked.cores} cores"


def _lines(verdict: Verdict, explained: set[str]) -> Iterator[str]:
    """Lines about a verdict. What explains several stands whole once: `explained` are the first lines of what did."""
    yield f"{verdict.kind.upper()}  {verdict.case}"
    change = verdict.change
    if change is not None:
        yield (
            f"  {instructions(change.base)} -> {instructions(change.head)} instructions, {_difference(change)} "
            f"({percent(change, verdict.noise.part)}); noise {verdict.noise}"
        )
    for elsewhere in verdict.elsewhere:
        yield f"  {percent(elsewhere, verdict.noise.part)} in another memory layout"
    why = verdict.why.splitlines()
    yield from (f"  {line}" for line in (why[:1] if verdict.why and why[0] in explained else why))
    explained.update(why[:1])
    yield from (f"  note: {note}" for note in verdict.notes)
    for name, moved in verdict.metrics:
        if moved.is_above(verdict.noise.part):
            yield f"  {name}: {_difference(moved)} ({percent(moved, verdict.noise.part)})"
    if verdict.reason is not None:
        yield from (f"  {line}" for line in _because(verdict.reason))


def _because(reason: Reason) -> Iterator[str]:
    if reason.lacking is not None:
        yield f"no reason can be told: {reason.lacking}"
        return
    if not reason.functions:
        yield "no function moved"
        return
    shown = reason.functions[:_FUNCTIONS_IN_TEXT]
    rest = reason.rest + sum(moved.head - moved.base for moved in reason.functions[_FUNCTIONS_IN_TEXT:])
    rows = [
        [f"{moved.head - moved.base:+,.0f}", _shortened(f"{moved.function}  {moved.place}".rstrip())] for moved in shown
    ]
    rows += [[f"{rest:+,.0f}", "all others"]] if rest else []
    kind = "Python function" if reason.view == "python" else "C function"
    yield from columns.lines(["instructions", kind], rows)
    if reason.parts:
        yield "parts: " + ", ".join(f"{name} {by:+,.0f}" for name, by in reason.parts[:3])


def _shortened(text: str, length: int = _NAME) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _table(found: Sequence[Verdict]) -> Iterator[str]:
    rows = [
        [
            verdict.kind,
            str(verdict.case),
            instructions(verdict.change.base),
            instructions(verdict.change.head),
            percent(verdict.change, verdict.noise.part),
            f"{100 * verdict.noise.part:.2g} %",
        ]
        for verdict in found
        if verdict.change is not None
    ]
    if rows:
        yield from columns.lines(["verdict", "case", "base", "head", "change", "noise"], rows, names=(0, 1))


# JSON


def as_json(checked: Checked) -> str:
    """One object; docs/reference/check.schema.json describes it."""
    facts = {
        "schema": SCHEMA,
        "verdict": verdicts.headline(checked.verdicts),
        "status": checked.status,
        "base": _side_facts(checked.base),
        "head": _side_facts(checked.head),
        "counter": checked.counter,
        "suite": checked.suite,
        "bench": checked.bench,
        "fingerprint": dict(checked.fingerprint),
        "notes": list(checked.notes),
        "seconds": checked.seconds,
        "cores": checked.cores,
        "updated": None if checked.updated is None else list(checked.updated),
        "cases": [_case_facts(verdict) for verdict in checked.verdicts],
    }
    return json.dumps(facts, indent=1)


def _side_facts(side: Any) -> dict[str, Any]:
    return {"commit": side.commit or None, "name": side.name, "binaries": side.binaries}


def _case_facts(verdict: Verdict) -> dict[str, Any]:
    case = verdict.case
    return {
        "benchmark": case.benchmark,
        "parameters": dict(zip(case.names, case.parameters, strict=True)),
        "verdict": verdict.kind.value,
        "why": verdict.why,
        "noise": verdict.noise.part,
        "noise measured": verdict.noise.measured,
        "change": _change_facts(verdict.change),
        "elsewhere": [_change_facts(change) for change in verdict.elsewhere],
        "notes": list(verdict.notes),
        "metrics": {name: _change_facts(change) for name, change in verdict.metrics},
        "reason": _reason_facts(verdict.reason),
    }


def _change_facts(change: Change | None) -> dict[str, float | None] | None:
    if change is None:
        return None
    relative = None if math.isinf(change.relative) else change.relative
    return {"base": change.base, "head": change.head, "instructions": change.instructions, "relative": relative}


def _reason_facts(reason: Reason | None) -> dict[str, Any] | None:
    if reason is None:
        return None
    return {
        "view": reason.view,
        "functions": [
            {"function": moved.function, "place": moved.place, "base": moved.base, "head": moved.head}
            for moved in reason.functions
        ],
        "rest": reason.rest,
        "parts": dict(reason.parts),
        "lacking": reason.lacking,
    }


# Markdown


def as_markdown(checked: Checked, limit: int = COMMENT) -> str:
    """A comment on a pull request: the verdict in one line, a table of what moved, the rest folded. Where it is longer
    than `limit` characters, the folded rows go first, then what moved least, then the remarks on all of it."""
    found = checked.verdicts
    listed = [verdict for verdict in found if verdict.kind not in _NOT_LISTED]
    rest = [verdict for verdict in found if verdict.kind in _NOT_LISTED and verdict.change is not None]
    remarks = [f"{name}: {on}" for name, on in _binaries(checked).items()] + list(checked.notes)
    for shown, folded, remarked in [
        (len(listed), len(rest), len(remarks)),
        *((len(listed), some, len(remarks)) for some in _halves(len(rest))),
        *((some, 0, len(remarks)) for some in _halves(len(listed))),
        *((0, 0, some) for some in _halves(len(remarks))),
    ]:
        text = "\n".join(_markdown(checked, listed, shown, rest, folded, remarks, remarked))
        if len(text) <= limit:
            break
    return text


def _halves(number: int) -> list[int]:
    """A half of it, a quarter, and so on down to nothing."""
    return [number // 2**power for power in range(1, number.bit_length() + 1)]


def _markdown(
    checked: Checked,
    listed: Sequence[Verdict],
    shown: int,
    rest: Sequence[Verdict],
    folded: int,
    remarks: Sequence[str],
    remarked: int,
) -> Iterator[str]:
    marks = {verdicts.NOTHING_REGRESSED: "✅", verdicts.CANNOT_TELL: "❔"}
    yield MARKER
    yield f"{marks.get(checked.status, '❌')} **{verdicts.headline(checked.verdicts)}** ({_how(checked)})"
    if listed:
        yield from ["", "| | case | base | head | change | noise | most of it |", "|---|---|--:|--:|--:|--:|---|"]
        yield from (_row(verdict, full=True) for verdict in listed[:shown])
        yield from [f"| … | {len(listed) - shown} more | | | | | |"] if shown < len(listed) else []
    if rest:
        yield from ["", f"<details><summary>{len(rest)} unchanged</summary>", ""]
        yield from ["| | case | base | head | change | noise |", "|---|---|--:|--:|--:|--:|"]
        yield from (_row(verdict, full=False) for verdict in rest[:folded])
        yield from [f"| … | {len(rest) - folded} more | | | | |"] if folded < len(rest) else []
        yield from ["", "</details>"]
    skipped = _skipped(checked)
    if skipped:
        yield from ["", f"<details><summary>{skipped.total()} skipped</summary>", ""]
        most = skipped.most_common(_REASONS)
        yield from (f"- {number}: {_plain(_shortened(why, _SENTENCE))}" for why, number in most)
        yield from [f"- … {len(skipped) - len(most)} other reasons"] if len(skipped) > len(most) else []
        yield from ["", "</details>"]
    yield from ["", f"base: {_plain(_shortened(checked.base.name))}  "]
    yield f"head: {_plain(_shortened(checked.head.name))}"
    yield from (f"\n{_plain(_shortened(remark, _REMARK))}" for remark in remarks[:remarked])
    yield from [f"\n… {len(remarks) - remarked} more remarks"] if remarked < len(remarks) else []


def _row(verdict: Verdict, full: bool) -> str:
    change, noise = verdict.change, verdict.noise.part
    figures = (
        ["", "", ""]
        if change is None
        else [instructions(change.base), instructions(change.head), percent(change, noise)]
    )
    cells = [verdict.kind.value, _code(str(verdict.case)), *figures, f"{100 * noise:.2g} %"]
    if full:
        reason = verdict.reason
        largest = reason.functions[0] if reason and reason.functions else None
        because = f"{_code(_shortened(largest.function))} {largest.head - largest.base:+,.0f}" if largest else ""
        cells.append(because or _plain((verdict.why.splitlines() or [""])[0]))
    return "| " + " | ".join(cells) + " |"


def _code(text: str) -> str:
    """A name, shown as it is; also in a table's cell."""
    return "`" + " ".join(text.replace("`", "'").replace("|", "\\|").split("\n")) + "`"


def _plain(text: str) -> str:
    """Words of which nothing is Markdown or HTML, and which call no user and no issue; also in a table's cell."""
    escaped = re.sub(r"([\\`*_|\[\]~])", r"\\\1", html.escape(" ".join(text.split("\n")), quote=False))
    return re.sub(r"[@#]", r"\g<0><!-- -->", escaped)
