"""The text of one callgrind.out file -> Counts. Pure but for `read_total`, which looks at a file's end only.

The format is described in valgrind's manual, "Callgrind Format Specification". Names are compressed: `fn=(12) name`
the first time, `fn=(12)` later; the ids of files, objects and functions count apart.
"""

from __future__ import annotations

import os
import re
from collections import Counter as Tally

from harness.counts import Counts

_TAIL_BYTES = 4096
#: More than any worker could execute: a count that wrapped below zero in 64 bits is above it.
_WRAPPED = 1 << 62
_NAME = re.compile(r"\((\d+)\)(?: (.*))?$")


def total(text: str) -> int:
    """The `totals:` line's instructions. Raises ValueError if it is missing, 0 or wrapped.

    `summary:` is not read: it is 0 in dumps that a client request asked for.
    """
    for line in reversed(text.splitlines()):
        if line.startswith("totals:"):
            number = int(line.split()[1])
            if number == 0:
                raise ValueError("the total is 0 instructions: nothing ran while counting was on")
            if number >= _WRAPPED:
                raise ValueError(f"the total is {number:,}, a count that wrapped below zero")
            return number
    raise ValueError("no `totals:` line, so the file is incomplete; is the disk that holds it full?")


def read_total(path: str) -> int:
    """`total` of the file at `path`, reading its last bytes only."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        return total(file.read().decode("utf-8", "replace"))


def parse(text: str) -> Counts:
    """Self instructions of every function of a dump with the one event Ir."""
    names: dict[str, str] = {}
    functions: Tally[str] = Tally()
    current: str | None = None
    skip_next = False
    for line in text.splitlines():
        if line.startswith("fn="):
            current = _name(line[3:], names)
        elif line.startswith("cfn="):
            _name(line[4:], names)
        elif line.startswith("calls="):
            skip_next = True
        elif line[:1] in "0123456789+-*" and line:
            if skip_next:
                skip_next = False
            elif current is not None:
                functions[current] += int(line.split()[1])
        elif line.startswith("events:") and line.split()[1:] != ["Ir"]:
            raise ValueError(f"expected the one event Ir, found {line!r}")
    return Counts(total(text), dict(functions))


def _name(reference: str, names: dict[str, str]) -> str:
    match = _NAME.match(reference)
    if match is None:
        return reference
    number, name = match.groups()
    if name is not None:
        names[number] = name
    return names.get(number, f"({number})")
