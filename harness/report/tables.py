"""Explanations and comparisons: as text for a terminal, and as what JSON is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.profile import comparison
from harness.profile.comparison import Comparison, Run
from harness.profile.components import Components
from harness.profile.symbols import Function
from harness.report import columns

#: Names are cut to this many characters; --json has them whole.
_NAME = 100
_NATIVE_ROWS = 3
#: Parts and libraries with less of the total than this share a row.
_LEAST = 0.0005
_EMPTY_BODY = "an empty body, called alike, is taken off"


def explained(run: Run, components: Components, *, rows: int, inclusive: bool) -> Iterator[str]:
    """Lines: by part, by library, by function, whose first columns each add up to the number."""
    total = run.per_call
    for title, figures in (("part", comparison.parts(run, components)), ("library", comparison.libraries(run))):
        shown = {name: own for name, own in figures.items() if own >= run.profile.total * _LEAST}
        table = [[*_share(own / run.calls, total), name] for name, own in shown.items()]
        small = (sum(figures.values()) - sum(shown.values())) / run.calls
        table += _ending(len(figures) - len(shown), small, run, "smaller", [])
        yield from [*columns.lines(["instructions", "", title], table), ""]

    functions = comparison.functions(run, inclusive=inclusive)
    table = []
    for row in functions[:rows]:
        figures_of_row = [*_share(row.own, total), *_share(row.inclusive, total), f"{row.calls:,.2f}"]
        table.append([*figures_of_row, _name(row.function, row.line)])
        for function, own in row.native[:_NATIVE_ROWS]:
            table.append([f"{own:,.2f}", "", "", "", "", f"    in {_name(function)}"])
    table += _ending(
        len(functions[rows:]), sum(row.own for row in functions[rows:]), run, "more: the rest", ["", "", ""]
    )
    heads = ["self", "", "inclusive", "", "calls", f"{'Python ' if run.python else ''}function"]
    yield from [*columns.lines(heads, table), ""]


def _share(instructions: float, total: float) -> list[str]:
    return [f"{instructions:,.2f}", f"{instructions / total:.1%}"]


def _ending(left: int, own: float, run: Run, of: str, blank: list[str]) -> Iterator[list[str]]:
    """The last rows of a table; `blank` stands in the columns between the share and the name."""
    if left:
        yield [*_share(own, run.per_call), *blank, f"{left:,} {of}"]
    if run.overhead:
        yield [f"{-run.overhead / run.calls:,.2f}", "", *blank, _EMPTY_BODY]
    yield [f"{run.per_call:,.2f}", "", *blank, "in all"]


def compared(difference: Comparison, *, rows: int) -> Iterator[str]:
    """Lines, whose first column adds up to the number's change; none where nothing moved."""
    if not difference.rows and not difference.overhead:
        return

    def change(instructions: float) -> list[str]:
        return [f"{instructions:+,.2f}", f"{instructions / difference.base:+.3%}"]

    table = [
        [*change(row.change), f"{row.base:,.2f}", f"{row.head:,.2f}", _name(row.function, row.line)]
        for row in difference.rows[:rows]
    ]
    left, rest = difference.rest(rows)
    if left:
        table.append([*change(rest), "", "", f"{left:,} more: the rest"])
    if difference.overhead:
        table.append([f"{-difference.overhead:+,.2f}", "", "", "", _EMPTY_BODY])
    table.append([*change(difference.change), f"{difference.base:,.2f}", f"{difference.head:,.2f}", "in all"])
    yield from columns.lines(["change", "", "base", "head", "function"], table)


def _name(function: Function, line: int | None = None) -> str:
    name = function.name if len(function.name) <= _NAME else f"{function.name[: _NAME - 1]}…"
    return f"{name}  {function.place}{'' if line is None else f':{line}'}".rstrip()


def facts_of(run: Run, components: Components) -> dict[str, Any]:
    """Everything that `explained` could show, in instructions per call."""
    return {
        "view": "python" if run.python else "c",
        "instructions per call": run.per_call,
        "empty body": run.overhead / run.calls,
        "parts": {name: own / run.calls for name, own in comparison.parts(run, components).items()},
        "libraries": {name: own / run.calls for name, own in comparison.libraries(run).items()},
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
            for row in comparison.functions(run)
        ],
    }


def facts_compared(difference: Comparison, python: bool) -> dict[str, Any]:
    """Everything that `compared` could show; by Python function if `python`."""
    return {
        "view": "python" if python else "c",
        "base instructions per call": difference.base,
        "head instructions per call": difference.head,
        "change": difference.change,
        "empty body": -difference.overhead,
        "functions": [
            {**_named(row.function, row.line, python), "base": row.base, "head": row.head, "change": row.change}
            for row in difference.rows
        ],
    }


def _named(function: Function, line: int | None, python: bool) -> dict[str, Any]:
    place = {"file" if python else "library": function.place}
    return {"function": function.name, **place, **({"line": line} if line else {})}
