"""The half of a workload that runs under valgrind: what its author writes, and what its worker calls.

Outside, suite/workload.py adds what asv and whoever asks for a count need. A worker never sees that half, so that an
edit there moves no count.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.inside.values import lists


class Workload(abc.ABC):
    """One benchmark: what is set up, and what is counted of it."""

    #: The values of each parameter; a list alone is that of the only one.
    params: Sequence[Any] = ()
    param_names: Sequence[str] = ()

    #: What is counted: "work", or a region that the suite's rules know ("compile" for torch).
    region = "work"
    #: How many calls one count holds. One call right after a collection of garbage costs more than the average of many.
    calls = 1
    #: Dotted names that the library under test must have: where it has not, in an older release, the cases are skipped.
    requires: Sequence[str] = ()
    #: Attributes and the values they have while it warms up: smaller sizes, which meet the same code with less work.
    small: Mapping[str, Any] = {}
    #: Whether Python's collector of garbage runs while `work` is counted, as in an ordinary program. Off, a count
    #: depends on `work` alone.
    collect_garbage = False
    #: How many counts the median is taken of. With more than one, what `work` looks up on types gets places of its own
    #: in Python's cache of these, which takes some hundred calls of `work`: worth its time where that is small.
    layouts = 1
    #: In a worker: the folder that holds a folder for each of the case's needs.
    built: Path

    def setup(self, *params: Any) -> None:  # noqa: B027 - most workloads need only one of these two
        """Build the inputs once. NotImplementedError skips the case; its text is the reason."""

    def prepare(self) -> None:  # noqa: B027
        """Reset before each counted run; not counted."""

    def warm_up(self) -> None:
        """Before anything is counted, what happens only the first time: one call of `work`, as `small` as it gets."""
        before = {name: getattr(self, name) for name in self.small}
        self._set(self.small)  # and not through `vars`: with a dictionary of its own every attribute costs more
        self.prepare()
        self.work()
        self._set(before)

    def _set(self, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    @abc.abstractmethod
    def work(self) -> object:
        """The counted body."""

    def nothing(self) -> object:  # noqa: B027
        """An empty body, called as `work` is: its count is the overhead."""

    @classmethod
    def parameters(cls) -> list[list[Any]]:
        """`params` as a list of lists, as asv reads it."""
        return lists(cls.params)

    @classmethod
    def product(cls) -> list[tuple[Any, ...]]:
        """Every choice of parameters, in asv's order."""
        return list(itertools.product(*cls.parameters()))
