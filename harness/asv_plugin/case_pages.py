"""What the published pages show of a count, as JSON: one bundle a benchmark and commit, read by site/reasons.js. Pure.

    {"names": [[name, place], ...], "parts": [[part, hue], ...],
     "cases": [{"parameters": {...}, "fingerprint": {...}, "before": commit, "differs": [...],
                "views": {"c": view, "python": view}}]}

A view has counts of the whole run, in instructions, which the page divides by "calls":

    {"total", "overhead", "calls", "exact", "parts": [[part, own]], "libraries": [[name, own]],
     "functions": [[name, own, inclusive, calls, line, [[name, own], ...]]], "functions left": [number, own],
     "flame": the text of an SVG element (profile/flame.py),
     "moved": {"base", "head", "overhead": per call, "rows": [[name, base, head, line]], "left": [number, change]}}

Names are numbers into "names", parts into "parts". Small things are left out: a page is looked at, `explain --json` has
everything.
"""

from __future__ import annotations

import heapq
from typing import Any

from harness.profile import comparison, flame
from harness.profile.comparison import Run
from harness.profile.components import Components
from harness.profile.symbols import Function

#: How many functions are shown by their own and by their inclusive instructions, and how many that moved.
_FUNCTIONS, _MOVED, _NATIVE = 25, 25, 3
#: Paths of less than this part of the total are not drawn.
_LEAST = 0.005
_NAME = 160


class Bundle:
    """The cases of one benchmark at one commit, as they are added."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._numbers: dict[Function, int] = {}
        self._names: list[list[str]] = []
        self._parts: dict[str, int] = {}
        self._cases: list[dict[str, Any]] = []

    def add(self, case: dict[str, Any], views: dict[str, tuple[Run, Run | None]]) -> dict[str, Any]:
        """`case` says whose they are; `views` are runs by "c" and "python", each with the one at the commit before.

        Returns what a page of many cases shows of it, by Python function where there is that: the shares of its parts,
        and the function that moved most (name, place, instructions a call), None where none did."""
        shown = {name: self._view(*runs) for name, runs in views.items()}
        self._cases.append({**case, "views": shown})
        chosen = "python" if "python" in shown else "c"
        whole = shown[chosen]["total"] - shown[chosen]["overhead"]
        parts = list(self._parts)
        moved = shown[chosen].get("moved", {}).get("rows")
        if moved:
            number, base, head, _ = moved[0]
            moved = [*self._names[number][:2], head - base]
        return {
            "parts": {parts[part]: own / whole for part, own in shown[chosen]["parts"] if own > 0},
            "moved": moved or None,
        }

    def told(self) -> dict[str, Any]:
        parts = [[part, flame.hue(number)] for part, number in self._parts.items()]
        return {"names": self._names, "parts": parts, "cases": self._cases}

    def _view(self, run: Run, before: Run | None) -> dict[str, Any]:
        profile = run.profile
        spent = profile.functions
        shown = {
            *heapq.nlargest(_FUNCTIONS, spent, key=lambda name: spent[name].own),
            *heapq.nlargest(_FUNCTIONS, spent, key=lambda name: spent[name].inclusive),
        }
        functions: list[list[Any]] = []
        for name in sorted(shown, key=lambda name: (-spent[name].own, name)):
            cost = spent[name]
            if cost.seen:
                below = profile.native.get(name, {})
                largest = sorted(below.items(), key=lambda item: -item[1])[:_NATIVE]
                under = [[self._number(native), instructions] for native, instructions in largest]
                line = profile.lines.get(name, 0)
                functions.append([self._number(name), cost.own, cost.inclusive, cost.calls, line, under])
        left = sum(cost.own for cost in spent.values()) - sum(row[1] for row in functions)
        view = {
            "total": profile.total,
            "overhead": run.overhead,
            "calls": run.calls,
            "exact": profile.exact,
            "parts": [[self._part(name), own] for name, own in comparison.parts(run, self._components).items()],
            "libraries": list(comparison.libraries(run).items()),
            "functions": functions,
            "functions left": [len(spent) - len(functions), left],
            "flame": flame.graph(run, self._components, before, least=_LEAST, parts=self._parts).text,
        }
        return view if before is None else {**view, "moved": self._moved(before, run)}

    def _moved(self, before: Run, run: Run) -> dict[str, Any]:
        difference = comparison.compare(before, run)
        return {
            "base": difference.base,
            "head": difference.head,
            "overhead": difference.overhead,
            "rows": [
                [self._number(row.function), row.base, row.head, row.line or 0] for row in difference.rows[:_MOVED]
            ],
            "left": list(difference.rest(_MOVED)),
        }

    def _number(self, name: Function) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._names)
            self._names.append([name.name[:_NAME], name.place])
        return number

    def _part(self, part: str) -> int:
        return self._parts.setdefault(part, len(self._parts))
