"""What a suite's server and workers must know of the library under test; these rules know of none.

A suite names its rules with `RULES = "torch"` in its package's `__init__.py`; without that it gets these. Outside
valgrind only `environment`, `packages`, `library` are used, and nothing under test is imported there.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import SuiteError
from harness.inside.counters import Counter, Taken

Body = Callable[[], object]
#: Modules that hold the rules of a library, by the name that suites ask for them with; imported when one does.
_ADAPTERS = {"torch": "harness.inside.pytorch.adapter"}


@dataclasses.dataclass(frozen=True)
class Library:
    """C++ that reaches what only the interface of the library under test does. It is built before the server starts,
    by `source` and the folder `headers` of site-packages, and is there called `name`; it is absent where it cannot be
    built."""

    name: str
    source: Path
    headers: str


@dataclasses.dataclass(frozen=True)
class Reading:
    """What one counted run gave, in instructions for all its calls: the headline number `total`, the file that holds
    its profile (None: there is none), by name what else it tells, and how often it did what notes.py names."""

    total: int
    profile: str | None
    metrics: dict[str, int]
    seen: dict[str, int]


class Region:
    """What is counted: here all of `work`. One object serves one case."""

    #: Further metrics of the same run that asv lists, each as a benchmark `track_<name>`. Readable counters only.
    metrics: tuple[str, ...] = ()

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def count(self, work: Body, calls: int) -> None:
        self.counter.call_counted(work, calls)
        self.counter.take("work")

    def count_nothing(self, nothing: Body, calls: int) -> None:
        """The same with an empty body: the overhead."""
        self.counter.call_counted(nothing, calls)
        self.counter.take("overhead")

    def read(self) -> list[Reading]:
        """What every run gave, once all are made."""
        return [
            Reading(taken.count, taken.profile, self.further_metrics(taken), taken.seen)
            for taken in self.counter.taken()
        ]

    def further_metrics(self, taken: Taken) -> dict[str, int]:
        """The further metrics of one run."""
        return {}


class Rules:
    """For a library that needs nothing special."""

    #: Names that `Workload.region` may have, and what each one counts.
    regions: dict[str, type[Region]] = {"work": Region}

    #: Distributions whose versions belong into the fingerprint.
    packages: tuple[str, ...] = ()

    #: What `preload` finds built, if it can be.
    library: Library | None = None

    #: Functions of extension modules, by their full names, that make objects for ever when they are called.
    initialisers: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """Variables that the server's environment must have besides the harness's own."""
        return {}

    def preload(self) -> None:
        """In the server: import what every worker needs."""

    def rehearse(self) -> None:
        """In the server, after `preload`: do what only happens the first time, so that no worker has to."""

    def enter_worker(self, folder: str) -> None:
        """In a worker, before the workload's module is imported. `folder` is empty and the worker's own."""

    def refuses(self, params: dict[str, object]) -> str | None:
        """In a worker, or natively: why a case with these parameters, by name, cannot be counted on this machine; None
        if it can."""
        return None

    def versions(self) -> dict[str, str]:
        """In the server, after `preload` and again after `rehearse`: what else tells two builds apart."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """In the server, after `preload` and again after `rehearse`: what whoever reads the counts should know of the
        library under test, in sentences. Those of both are told once."""
        return ()


def load(name: str) -> Rules:
    """The rules that a suite asks for by name: an adapter's, or "plain" ones. Raises SuiteError."""
    if name == "plain":
        return Rules()
    if name not in _ADAPTERS:
        raise SuiteError(f'the suite\'s RULES is {name!r}; known are "plain" and "torch"')
    rules: Rules = importlib.import_module(_ADAPTERS[name]).RULES
    return rules


def lacks(names: Sequence[str]) -> str | None:
    """Which of these dotted names leads nowhere, and in which version; None if all are there."""
    for name in names:
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            package = name.partition(".")[0]
            version = getattr(importlib.import_module(package), "__version__", "")
            return f"{package} {version} has no {name}"
    return None
