"""The text that frames_tool.c dumps -> a Profile by Python function. Pure. The form is told at the tool's beginning.

A function's inclusive instructions are those of every path that it is in, once, however often it is in it: a recursion
cannot count twice.
"""

from __future__ import annotations

import collections
import dataclasses

from harness.inside.counters import total
from harness.profile import symbols
from harness.profile.model import CallPath, FunctionCost, Profile
from harness.profile.symbols import Function

#: What is executed where there is no Python, or only the harness's own that calls `work`.
OUTSIDE = Function("(outside of the workload's Python)", "")
#: Paths that hold less of the total than this are not told apart.
_LEAST = 0.0005


@dataclasses.dataclass(slots=True)
class _Node:
    """One call path. Node 0 is the one with nothing of Python in it."""

    function: Function
    calls: int
    native: dict[Function, int] = dataclasses.field(default_factory=dict)
    below: list[_Node] = dataclasses.field(default_factory=list)
    inclusive: int = 0


def parse(text: str) -> Profile:
    """Raises ValueError for a file that is not whole, or whose parts do not add up to its total."""
    whole = total(text)
    root, lines = _read(text)
    order = _callers_first(root)
    for node, _ in reversed(order):
        node.inclusive = sum(node.native.values()) + sum(below.inclusive for below in node.below)
    if root.inclusive != whole:
        raise ValueError(f"the parts add up to {root.inclusive:,} instructions, the total is {whole:,}")

    functions: dict[Function, FunctionCost] = collections.defaultdict(FunctionCost)
    native: dict[Function, dict[Function, int]] = collections.defaultdict(lambda: collections.defaultdict(int))
    for node, above in order:
        spent = functions[node.function]
        spent.calls += node.calls
        for function, instructions in node.native.items():
            spent.own += instructions
            native[node.function][function] += instructions
        if node.function not in above:
            spent.inclusive += node.inclusive
    functions[OUTSIDE].inclusive = functions[OUTSIDE].own
    drawn = CallPath()
    _draw(root, drawn, whole * _LEAST)
    machine_code = {function: dict(instructions_by_function) for function, instructions_by_function in native.items()}
    return Profile(whole, dict(functions), drawn, exact=True, lines=lines, native=machine_code)


def _read(text: str) -> tuple[_Node, dict[Function, int]]:
    """The root of all paths, and where each function begins."""
    codes: dict[str, Function] = {}
    natives: dict[str, Function] = {}
    lines: dict[Function, int] = {}
    node_lines: list[list[str]] = []
    cost_lines: list[list[str]] = []
    for line in text.split("\n"):  # and at nothing else, which names may hold
        kind, _, rest = line.partition(" ")
        if kind == "cost":
            cost_lines.append(rest.split())
        elif kind == "node":
            node_lines.append(rest.split())
        elif kind == "code":
            fields = rest.split("\t")
            number, begin = fields[0].split()
            function = codes[number] = Function(symbols.python(fields[2]), symbols.file(fields[1]))
            lines[function] = min(int(begin), lines.get(function, int(begin)))
        elif kind == "native":
            number, library, name = rest.split("\t")
            natives[number] = Function(symbols.native(name), symbols.library(library))
    root = _Node(OUTSIDE, 0)
    nodes = {"0": root}
    for number, parent, code, calls in sorted(
        node_lines, key=lambda fields: int(fields[0])
    ):  # parents have smaller numbers
        above = nodes[parent]
        function = codes[code]
        if above.function is OUTSIDE and _calls_work(function):
            function = OUTSIDE
        node = nodes[number] = _Node(function, int(calls))
        above.below.append(node)
    for number, name, instructions in cost_lines:
        node = nodes[number]
        function = natives[name]
        node.native[function] = node.native.get(function, 0) + int(instructions)
    return root, lines


def _calls_work(function: Function) -> bool:
    """Whether this is what runs a workload, where it is the outermost."""
    return function.place.startswith("harness/") or function.place == "<string>"


def _callers_first(root: _Node) -> list[tuple[_Node, frozenset[Function]]]:
    """Every path, with the functions that are above it."""
    paths: list[tuple[_Node, frozenset[Function]]] = [(root, frozenset())]
    for node, above in paths:
        inside = above if node.function in above else above | {node.function}
        paths.extend((below, inside) for below in node.below)
    return paths


def _draw(node: _Node, path: CallPath, least: float) -> None:
    for function, instructions in node.native.items():
        (path if instructions < least else path.at(function)).own += instructions
    for below in node.below:
        if below.function is OUTSIDE:
            _draw(below, path, least)
        elif below.inclusive < least:
            path.own += below.inclusive
        else:
            _draw(below, path.at(below.function), least)
