"""Tables in text: `tabulate` makes their columns as wide as what stands in them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence

from harness.errors import StartError
from harness.system import printable


def lines(heads: Sequence[str], rows: Iterable[Sequence[str]], names: Collection[int] = (-1,)) -> list[str]:
    """A table's lines. Figures end at the right of their columns; the columns `names` begin at the left. Raises
    StartError where tabulate is not installed."""
    try:
        from tabulate import (
            tabulate,
        )  # not above: the environments under test lack it, and load this with the command line
    except ModuleNotFoundError:
        raise StartError(
            f"tables take the package tabulate, which {sys.executable} lacks: use the environment asv is run from"
        ) from None
    left = {number % len(heads) for number in names}
    text: str = tabulate(
        # Shown before they are laid out: an escape is wider than the character that it stands for.
        [[printable.shown(cell) for cell in row] for row in [heads, *rows]],
        tablefmt="plain",
        disable_numparse=True,
        preserve_whitespace=True,
        colalign=["left" if number in left else "right" for number in range(len(heads))],
    )
    return [line.rstrip() for line in text.split("\n")]
