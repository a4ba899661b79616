"""A workload's parameters: each value has a place in its list, a text that tells it from others, and a label. Pure.

A value is found by its place in `params`, never by `==`: 1, 1.0 and True are equal and cost differently, NaN equals
nothing, and comparing arrays gives an array.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any

#: Where an object lies differs from process to process, and says nothing of the object.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
#: A longer text is cut, and its digest put behind it: an order to a worker has room for so much.
_CHARACTERS = 200


def lists(params: Iterable[Any]) -> list[list[Any]]:
    """`params` as asv reads it: a list of lists; one list alone is that of the only parameter."""
    params = list(params)
    if params and not isinstance(params[0], tuple | list):
        params = [params]
    return [list(values) for values in params]


def bare(text: str) -> str:
    """A `repr` less addresses."""
    return _ADDRESS.sub("", text)


def representation(value: object) -> str:
    """`repr(value)` less addresses: the same in every process that makes the same value. Cut where it is long."""
    text = bare(repr(value))
    if len(text) <= _CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[:_CHARACTERS]}... ({len(text):,} characters, sha256 {digest})"


def asv_names(values: Sequence[object]) -> list[str]:
    """What asv lists the values as: each `repr`, with a number behind those that look alike."""
    return _numbered([bare(repr(value)) for value in values])


def labels(values: Sequence[object]) -> list[str]:
    """What people call each value, all different: its `str`; where two share that, what asv lists it as."""
    texts = [bare(str(value)) for value in values]
    found = [name if texts.count(text) > 1 else text for text, name in zip(texts, asv_names(values), strict=True)]
    for place, label in enumerate(found):
        number = 0
        while found[place] in found[:place]:  # somebody's `str` looks like another one's number
            number += 1
            found[place] = f"{label} ({number})"
    return found


def _numbered(texts: list[str]) -> list[str]:
    return [
        f"{text} ({texts[:place].count(text)})" if texts.count(text) > 1 else text for place, text in enumerate(texts)
    ]


def places(params: Sequence[Sequence[object]], chosen: Sequence[object]) -> tuple[int, ...] | None:
    """The place of each value of `chosen` in its list of `params`; None if it is no choice of them. A value is the very
    object that its list holds or, made anew, one of the same type with the same `repr`."""
    if len(params) != len(chosen):
        return None
    found = [_place(values, value) for values, value in zip(params, chosen, strict=True)]
    return None if None in found else tuple(place for place in found if place is not None)


def index(params: Sequence[Sequence[object]], places: Sequence[int]) -> int:
    """Which choice of `product` has its values at these places."""
    found = 0
    for values, place in zip(params, places, strict=True):
        found = found * len(values) + place
    return found


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


def unlike(own: Sequence[str], asked: Sequence[str], names: Sequence[str]) -> str | None:
    """Why a case is not counted whose values here, `own`, are others than those it was asked for by; None if they are
    the same. All are representations."""
    if tuple(own) == tuple(asked):
        return None
    named = [*names, *(f"parameter {number}" for number in range(len(names) + 1, 1 + max(len(own), len(asked))))]
    name, here, there = next(
        (name, here, there)
        for name, here, there in itertools.zip_longest(named, own, asked, fillvalue="missing")
        if here != there
    )
    return (
        f"the parameter {name!r} of this case is {there} where it was asked for and {here} where it is counted, so the "
        "count would be of another case: does the list of its values come from a set, a folder's listing, the "
        "environment, the clock or chance? Sort it, or write it out"
    )
