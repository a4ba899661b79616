"""A workload's parameters: each value has a place in its list, a text that tells it from others, and a label. Pure.

A value is found by its place in `params`, never by `==`: 1, 1.0 and True are equal and cost differently, NaN equals
nothing, and comparing arrays gives an array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.inside.values import bare


def asv_names(values: Sequence[object]) -> list[str]:
    """What asv lists the values as: each `repr`, with a number behind those that look alike."""
    return _numbered([bare(repr(value)) for value in values])


def labels(values: Sequence[object]) -> list[str]:
    """What people call each value, all different: its `str`; where two share that, what asv lists it as."""
    texts = [bare(str(value)) for value in values]
    labelled = [name if texts.count(text) > 1 else text for text, name in zip(texts, asv_names(values), strict=True)]
    for place, label in enumerate(labelled):
        number = 0
        while labelled[place] in labelled[:place]:  # somebody's `str` looks like another one's number
            number += 1
            labelled[place] = f"{label} ({number})"
    return labelled


def assignments(labelled: Mapping[str, str]) -> list[str]:
    """Each parameter of a case with its label, written as --param takes it: `name=value`."""
    return [f"{name}={label}" for name, label in labelled.items()]


def case_name(benchmark: str, labelled: Mapping[str, str], gap: str = "  ") -> str:
    """What people read a case as: its benchmark, then its parameters."""
    return gap.join([benchmark, *assignments(labelled)])


def _numbered(texts: list[str]) -> list[str]:
    return [
        f"{text} ({texts[:place].count(text)})" if texts.count(text) > 1 else text for place, text in enumerate(texts)
    ]


def places(params: Sequence[Sequence[object]], chosen: Sequence[object]) -> tuple[int, ...] | None:
    """The place of each value of `chosen` in its list of `params`; None if it is no choice of them. A value is the very
    object that its list holds or, made anew, one of the same type with the same `repr`."""
    if len(params) != len(chosen):
        return None
    indices = [_place(values, value) for values, value in zip(params, chosen, strict=True)]
    return None if None in indices else tuple(place for place in indices if place is not None)


def index(params: Sequence[Sequence[object]], places: Sequence[int]) -> int:
    """Which choice of `product` has its values at these places."""
    position = 0
    for values, place in zip(params, places, strict=True):
        position = position * len(values) + place
    return position


def _place(values: Sequence[object], value: object) -> int | None:
    for place, other in enumerate(values):
        if other is value:
            return place
    key = _key(value)
    return next((place for place, other in enumerate(values) if _key(other) == key), None)


def _key(value: object) -> tuple[type, str]:
    return type(value), repr(value)


class Choices(tuple[tuple[Any, ...], ...]):
    """Some choices of values; `in` tells values apart as `index` does. asv asks it which choices are to be skipped."""

    _keys: frozenset[tuple[tuple[type, str], ...]]

    def __new__(cls, choices: Iterable[Iterable[Any]] = ()) -> Choices:
        made = super().__new__(cls, (tuple(choice) for choice in choices))
        made._keys = frozenset(tuple(map(_key, choice)) for choice in made)
        return made

    def __contains__(self, choice: object) -> bool:
        return isinstance(choice, tuple) and tuple(map(_key, choice)) in self._keys
