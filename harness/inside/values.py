"""The texts that tell a case's values from others. Asker and worker each make them, and they must agree. Pure."""

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
