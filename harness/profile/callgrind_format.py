"""The text of one callgrind.out file -> Profile. Pure.

The format is described in valgrind's manual, "Callgrind Format Specification". Names are compressed: `fn=(12) name`
the first time, `fn=(12)` later; the ids of files, objects and functions count apart. `cob=` holds for the call that
follows it only.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Collection
from typing import NamedTuple

from harness.inside.counters import total
from harness.profile import symbols
from harness.profile.model import CallPath, FunctionCost, Profile
from harness.profile.symbols import Function

#: Paths that hold less of the total than this are not told apart; nor what is below a recursion's last round.
_LEAST = 0.002
_ROUNDS = 2


def parse(text: str) -> Profile:
    """The profile in a dump with the one event Ir. Its paths are estimated: Callgrind tells who called whom, at what
    cost, but not on whose behalf.

    Callgrind keeps a function's recursive calls apart from its outermost one (`f'2`, its option --separate-recs), and
    outermost calls never lie inside each other: so their cost, with what they called, is the function's inclusive one.
    """
    whole = total(text)
    graph = _read(text)
    functions: dict[Function, FunctionCost] = collections.defaultdict(FunctionCost)
    for node, own in graph.own.items():
        spent = functions[node.function]
        spent.own += own
        if not node.recursive:
            spent.inclusive += own
    for caller, called in graph.calls.items():
        for callee, (calls, inclusive) in called.items():
            functions[callee.function].calls += calls
            # A function's parts, which share its name, may call each other; what is below them is theirs already.
            if not caller.recursive and (callee.recursive or caller.function != callee.function):
                functions[caller.function].inclusive += inclusive
    for spent in functions.values():
        # Functions that share a name may call each other, and what is below them then counts twice.
        spent.inclusive = min(max(spent.inclusive, spent.own), whole)
    return Profile(whole, dict(functions), _estimate(graph, whole), exact=False)


def calls_of(text: str, library: str, functions: Collection[str]) -> dict[str, int]:
    """How often each of these functions of a library was called from outside of it, of those that were at all.

    Looks for these only and is quick. A call into another library is where `cob=` stands before `cfn=`.
    """
    named = {number: _plain(name) for number, name in _NAMED.findall(text)}
    wanted = {number: name for number, name in named.items() if name in functions}
    inside = {number for number, path in _OBJECT.findall(text) if symbols.library(path) == library}
    calls_by_function: dict[str, int] = collections.defaultdict(int)
    for called_object, function, times in _CALL.findall(text):
        if function in wanted and called_object in inside:
            calls_by_function[wanted[function]] += int(times)
    return dict(calls_by_function)


def _plain(name: str) -> str:
    """A function of the C library under its public name: `__libc_fork` and `fork@@GLIBC_2.2.5` are `fork`."""
    return re.sub(r"^(__libc_|__GI_)?_*|@.*$", "", symbols.RECURSION.sub("", name))


_NAMED = re.compile(r"^c?fn=\((\d+)\) (\S+)$", re.MULTILINE)
_OBJECT = re.compile(r"^c?ob=\((\d+)\) (.+)$", re.MULTILINE)
_CALL = re.compile(r"^cob=\((\d+)\).*\n(?:cf[il]=.*\n)?cfn=\((\d+)\).*\ncalls=(\d+)", re.MULTILINE)


class _Node(NamedTuple):
    """A function as Callgrind tells it apart, and whether it is a call of itself from below itself."""

    function: Function
    recursive: bool


@dataclasses.dataclass
class _Graph:
    own: dict[_Node, int]
    calls: dict[_Node, dict[_Node, tuple[int, int]]]  # caller -> callee -> calls, instructions


def _read(text: str) -> _Graph:
    name_of: dict[str, str] = {}
    object_of: dict[str, str] = {}
    nodes: dict[tuple[str, str], _Node] = {}

    def node(name: str, library: str) -> _Node:
        known = nodes.get((name, library))
        if known is None:
            function = Function(symbols.native(name), symbols.library(library))
            known = nodes[name, library] = _Node(function, symbols.RECURSION.search(name) is not None)
        return known

    own: dict[_Node, int] = collections.defaultdict(int)
    calls: dict[_Node, dict[_Node, tuple[int, int]]] = collections.defaultdict(dict)
    library = called_library = "???"
    callee_name = ""
    current = None
    times: int | None = None
    for line in text.split("\n"):  # and at nothing else, which names may hold
        if line[:1] in _COST:
            cost = int(line.split(None, 2)[1])
            if current is None:
                raise ValueError(f"a cost before any function: {line!r}")
            if times is None:
                own[current] += cost
                continue
            callee = node(callee_name, called_library)
            before = calls[current].get(callee, (0, 0))
            calls[current][callee] = before[0] + times, before[1] + cost
            times, called_library = None, library
        elif line.startswith("calls="):
            times = int(line[6:].split()[0])
        elif line.startswith("cfn="):
            callee_name = _name(line[4:], name_of)
        elif line.startswith("fn="):
            current = node(_name(line[3:], name_of), library)
        elif line.startswith("cob="):
            called_library = _name(line[4:], object_of)
        elif line.startswith("ob="):
            library = called_library = _name(line[3:], object_of)
        elif line.startswith("events:") and line.split()[1:] != ["Ir"]:
            raise ValueError(f"expected the one event Ir, found {line!r}")
    return _Graph(dict(own), dict(calls))


_COST = frozenset("0123456789+-*")
_NAME = re.compile(r"\((\d+)\)(?: (.*))?$")


def _name(reference: str, known: dict[str, str]) -> str:
    match = _NAME.match(reference)
    if match is None:
        return reference
    number, name = match.groups()
    if name is not None:
        known[number] = name
    return known.get(number, f"({number})")


def _estimate(graph: _Graph, whole: int) -> CallPath:
    """Call paths, as if a function spent its instructions alike whoever called it. Where a recursion comes round for
    the third time the path ends, with all that is spent below it."""
    inside: dict[_Node, int] = collections.defaultdict(int)
    entered: dict[_Node, int] = collections.defaultdict(int)
    for node, own in graph.own.items():
        inside[node] += own
    for caller, called in graph.calls.items():
        for callee, (_, inclusive) in called.items():
            entered[callee] += inclusive
            inside[caller] += inclusive
    root = CallPath()
    least = max(1.0, whole * _LEAST)
    roots = {node: inside[node] - entered[node] for node in inside if inside[node] - entered[node] >= least}
    scale = whole / max(1, sum(roots.values()))

    def spread(node: _Node, amount: float, path: CallPath, above: tuple[_Node, ...]) -> None:
        left = amount
        if above.count(node) < _ROUNDS:
            share = amount / max(1, inside[node])
            for callee, (_, inclusive) in graph.calls.get(node, {}).items():
                part = inclusive * share
                if part >= least:
                    left -= part
                    nameless = callee.function.name == symbols.NAMELESS  # a jump on the way, mostly
                    spread(callee, part, path if nameless else path.at(callee.function), (*above, node))
        path.own += round(left)

    for node, amount in sorted(roots.items(), key=lambda item: -item[1]):
        spread(node, amount * scale, root.at(node.function), ())
    root.own = max(0, whole - sum(below.inclusive for below in root.called.values()))
    return root
