"""Explanations and comparisons: as text for a terminal, and as what JSON is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.profile import comparison
from harness.profile.comparison import Comparison, Run
from harness.profile.components import Components
from harness.profile.symbols import Function

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
        yield f"{'instructions':>18} {'':>7}  {title}"
        shown = {name: own for name, own in figures.items() if own >= run.profile.total * _LEAST}
        for name, instructions in shown.items():
            yield f"{instructions / run.calls:>18,.2f} {instructions / run.calls / total:>7.1%}  {name}"
        small = (sum(figures.values()) - sum(shown.values())) / run.calls
        yield from _ending(len(figures) - len(shown), small, run, "smaller")

    found = comparison.functions(run, inclusive=inclusive)
    yield f"{'self':>18} {'':>7} {'inclusive':>18} {'':>7} {'calls':>12}  {'Python ' if run.python else ''}function"
    for row in found[:rows]:
        yield (
            f"{row.own:>18,.2f} {row.own / total:>7.1%} {row.inclusive:>18,.2f} {row.inclusive / total:>7.1%} "
            f"{row.calls:>12,.2f}  {_name(row.function, row.line)}"
        )
        for function, own in row.native[:_NATIVE_ROWS]:
            yield f"{own:>18,.2f} {'':>7} {'':>18} {'':>7} {'':>12}      in {_name(function)}"
    yield from _ending(len(found[rows:]), sum(row.own for row in found[rows:]), run, "more: the rest")


def _ending(left: int, own: float, run: Run, of: str) -> Iterator[str]:
    if left:
        yield f"{own:>18,.2f} {own / run.per_call:>7.1%}  {left:,} {of}"
    if run.overhead:
        yield f"{-run.overhead / run.calls:>18,.2f} {'':>7}  {_EMPTY_BODY}"
    yield f"{run.per_call:>18,.2f}          in all"
    yield ""


def compared(found: Comparison, *, rows: int) -> Iterator[str]:
    """Lines, whose first column adds up to the number's change; none where nothing moved."""
    if not found.rows and not found.overhead:
        return
    yield f"{'change':>18} {'':>9} {'base':>18} {'head':>18}  function"
    for row in found.rows[:rows]:
        yield (
            f"{row.change:>+18,.2f} {row.change / found.base:>+9.3%} {row.base:>18,.2f} {row.head:>18,.2f}  "
            f"{_name(row.function, row.line)}"
        )
    left, change = found.rest(rows)
    if left:
        yield f"{change:>+18,.2f} {change / found.base:>+9.3%} {'':>18} {'':>18}  {left:,} more: the rest"
    if found.overhead:
        yield f"{-found.overhead:>+18,.2f} {'':>9} {'':>18} {'':>18}  {_EMPTY_BODY}"
    whole = f"{found.change:>+18,.2f} {found.change / found.base:>+9.3%}"
    yield f"{whole} {found.base:>18,.2f} {found.head:>18,.2f}  in all"


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


def facts_compared(found: Comparison, python: bool) -> dict[str, Any]:
    """Everything that `compared` could show; by Python function if `python`."""
    return {
        "view": "python" if python else "c",
        "base instructions per call": found.base,
        "head instructions per call": found.head,
        "change": found.change,
        "empty body": -found.overhead,
        "functions": [
            {**_named(row.function, row.line, python), "base": row.base, "head": row.head, "change": row.change}
            for row in found.rows
        ],
    }


def _named(function: Function, line: int | None, python: bool) -> dict[str, Any]:
    place = {"file" if python else "library": function.place}
    return {"function": function.name, **place, **({"line": line} if line else {})}
