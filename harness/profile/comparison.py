"""Where a count's instructions went, and where two counts differ: profiles -> rows, in instructions per call. Pure.

All figures are in the unit of the number that asv shows. That number is a run's total less an empty body's, divided by
the calls; so an explanation has that empty body as a row of its own, with a minus, and its rows add up to the number.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from harness.profile.components import Components
from harness.profile.model import Profile
from harness.profile.symbols import Function


@dataclasses.dataclass(frozen=True)
class Run:
    """A profile, and what makes its total the number: instructions of the overhead, and how many calls both hold."""

    profile: Profile
    overhead: int
    calls: int

    @property
    def per_call(self) -> float:
        return (self.profile.total - self.overhead) / self.calls

    @property
    def python(self) -> bool:
        """Whether its functions are Python's."""
        return bool(self.profile.native)

    def is_python(self, function: Function) -> bool:
        """Whether a function on its paths is Python's: machine code lies under those that are."""
        return self.python and function in self.profile.functions


@dataclasses.dataclass(frozen=True)
class Row:
    """A function's instructions per call, and its calls per call of `work`. `native` is, for a function of Python, the
    machine code in which its own instructions were executed, largest first."""

    function: Function
    line: int | None
    own: float
    inclusive: float
    calls: float
    native: tuple[tuple[Function, float], ...]


def functions(run: Run, *, inclusive: bool = False) -> list[Row]:
    """Every function, the one with most instructions of its own first (or, `inclusive`, with what it called)."""
    rows = []
    for function, spent in run.profile.functions.items():
        if not spent.seen:
            continue
        below = run.profile.native.get(function, {})
        native = tuple(
            (name, own / run.calls) for name, own in sorted(below.items(), key=lambda item: (-item[1], item[0]))
        )
        line = run.profile.lines.get(function)
        own, whole, calls = (figure / run.calls for figure in (spent.own, spent.inclusive, spent.calls))
        rows.append(Row(function, line, own, whole, calls, native))
    key: Callable[[Row], float] = (lambda row: row.inclusive) if inclusive else (lambda row: row.own)
    return sorted(rows, key=lambda row: (-key(row), row.function))


def libraries(run: Run) -> dict[str, int]:
    """Instructions of the run by library, largest first. The machine code under Python functions counts where it
    lies."""
    totals: dict[str, int] = collections.defaultdict(int)
    if run.python:
        for below in run.profile.native.values():
            for name, own in below.items():
                totals[name.place] += own
    else:
        for name, spent in run.profile.functions.items():
            totals[name.place] += spent.own
    return _largest_first(totals)


def parts(run: Run, components: Components) -> dict[str, int]:
    """Instructions of the run by the program's parts, largest first. Under Python functions machine code belongs to the
    part that they belong to."""
    totals: dict[str, int] = collections.defaultdict(int)
    python = run.python
    for name, spent in run.profile.functions.items():
        totals[components.of(name, python)] += spent.own
    return _largest_first(totals)


def _largest_first(totals: dict[str, int]) -> dict[str, int]:
    return {name: own for name, own in sorted(totals.items(), key=lambda item: (-item[1], item[0])) if own}


class MovedFunction(NamedTuple):
    """What a function itself executed before and after, in instructions per call. 0.0: it was not there."""

    function: Function
    line: int | None
    base: float
    head: float

    @property
    def change(self) -> float:
        return self.head - self.base


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two runs of one case. The changes of `rows`, largest first, less the overhead's, add up to the number's."""

    base: float
    head: float
    rows: tuple[MovedFunction, ...]
    overhead: float

    @property
    def change(self) -> float:
        return self.head - self.base

    def rest(self, shown: int) -> tuple[int, float]:
        """How many rows there are after the first `shown`, and what they come to together."""
        left = self.rows[shown:]
        return len(left), sum(row.change for row in left)


def compare(base: Run, head: Run) -> Comparison:
    rows = []
    before, after = base.profile.functions, head.profile.functions
    for function in before.keys() | after.keys():
        spent = before.get(function), after.get(function)
        was, is_now = (0 if cost is None else cost.own for cost in spent)
        if was * head.calls != is_now * base.calls:
            line = head.profile.lines.get(function, base.profile.lines.get(function))
            rows.append(MovedFunction(function, line, was / base.calls, is_now / head.calls))
    rows.sort(key=lambda row: (-abs(row.change), row.function))
    overhead = head.overhead / head.calls - base.overhead / base.calls
    return Comparison(base.per_call, head.per_call, tuple(rows), overhead)
