"""What the author of a workload declares, and the cases that this makes: none of it asks for a count, stores one or
reads the environment.

What of it runs under valgrind is inside/workload.py; what asv calls is in suite/workload.py.
"""

from __future__ import annotations

import abc
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from harness import protocol
from harness.engine import source
from harness.errors import SuiteError
from harness.inside import rules
from harness.inside import workload as inside
from harness.inside.values import representation
from harness.suite import parameters, suites


class _Version:
    """The benchmark's version, read from the source when asv asks for it and not when the class is made."""

    def __get__(self, workload: DeclaredWorkload | None, owner: type[DeclaredWorkload]) -> str:
        return source.version(owner, owner.generated())


class DeclaredWorkload(inside.Workload, abc.ABC):
    """A workload as its author declares it, and its cases. Every one is a Workload, which adds what asv calls."""

    unit = "instructions"
    version = _Version()

    #: Choices of parameters that are no case: skipped, and nothing is started for them.
    skip_params: Sequence[tuple[Any, ...]] = ()
    #: What its worker begins with: nothing of the library under test ("bare": importing it can be what is counted), the
    #: library ("imported"), or also what a first compile leaves ("rehearsed"), which is there seconds later.
    stage = protocol.REHEARSED
    #: The smallest suite that counts it: quick (a first result in minutes), default, or full (what takes minutes each).
    suite = "default"
    #: By how much of itself a count may move although nothing that matters changed; scripts/noise.py measures it.
    noise = 0.004
    #: Seconds of wall time that a case may take under valgrind before it is ended.
    limit_seconds = 1500.0

    # What must be there before a case is counted

    @classmethod
    def needs(cls, *params: Any) -> tuple[str, ...]:
        """Names of what `build` must have built before this case can be counted."""
        return ()

    @classmethod
    def build(cls, need: str, folder: Path, cache: Path) -> None:
        """Build it in `folder`, which is empty; `cache` is for what later runs may use again.

        Called once, for all cases with that need, in a process of its own that runs natively. Raises HarnessError where
        none of them can be counted; what is wrong with one of them, `setup` is to find out.
        """
        raise NotImplementedError(f"{cls.__name__} has needs and no `build`")

    @classmethod
    def suite_of(cls, *params: Any) -> str:
        """The smallest suite that counts a case with these parameters."""
        return cls.suite

    @classmethod
    def generated(cls) -> str:
        """Code that is executed and not in the workload's source: it belongs to the version."""
        return ""

    # Cases

    @classmethod
    def choices(cls) -> list[tuple[Any, ...]]:
        """Every choice of parameters that is a case."""
        return [params for params in cls.product() if params not in cls.skip_params]

    @classmethod
    def places(cls, params: Sequence[Any]) -> tuple[int, ...]:
        """Where in `params` each value of a choice is. Raises SuiteError if it is no case."""
        indices = parameters.places(cls.parameters(), params)
        if indices is None or tuple(params) in cls.skip_params:
            raise SuiteError(f"{cls.benchmark()} has no parameters {tuple(params)!r}; it has {cls.choices()}")
        return indices

    @classmethod
    def labels(cls) -> list[list[str]]:
        """What people call each value of each parameter; two values of one parameter never share one."""
        return [parameters.labels(values) for values in cls.parameters()]

    @classmethod
    def case(cls, params: Sequence[Any]) -> protocol.Case:
        lists, places = cls.parameters(), cls.places(params)
        chosen = [values[place] for values, place in zip(lists, places, strict=True)]
        return protocol.Case(
            module=cls.__module__,
            workload=cls.__qualname__,
            index=parameters.index(lists, places),
            parameters=tuple(texts[place] for texts, place in zip(cls.labels(), places, strict=True)),
            values=tuple(map(representation, chosen)),
            limit_seconds=cls.limit_seconds,
            needs=cls.needs(*chosen),
            stage=cls.stage,
            long=cls.calls == 1,
        )

    @classmethod
    def refused_here(cls, params: Sequence[Any]) -> str | None:
        """Why a case cannot be counted in this environment, as far as is known without a server; None if it may be."""
        refused = rules.lacks(cls.requires)
        return refused or rules.load(rules_name(cls)).refuses(dict(zip(cls.param_names, params, strict=True)))

    @classmethod
    def is_in(cls, suite: str, params: Sequence[Any]) -> bool:
        """Whether the suite of this name counts this case."""
        return suites.holds(suite, cls.suite_of(*params))

    @classmethod
    def asv_name(cls, params: Sequence[Any]) -> str:
        """What asv calls the case, and looks through for what its --bench says."""
        return f"{cls.benchmark()}{protocol.TRACK}({', '.join(map(repr, params))})"

    @classmethod
    def full_name(cls, params: Sequence[Any]) -> str:
        """What people read the case as: its benchmark, and its parameters by name."""
        labels = cls.case(params).parameters
        return parameters.case_name(cls.benchmark(), dict(zip(cls.param_names, labels, strict=True)))

    @classmethod
    def benchmark(cls) -> str:
        """The name asv uses, less `.track_instructions`."""
        return ".".join([*cls.__module__.split(".")[1:], cls.__name__])


#: Any kind of them.
Declared = TypeVar("Declared", bound=DeclaredWorkload)


def suite_package(workload: type[DeclaredWorkload]) -> ModuleType:
    """The package or module of the suite that a workload belongs to."""
    return sys.modules[workload.__module__.partition(".")[0]]


def rules_name(workload: type[DeclaredWorkload]) -> str:
    """The name of the rules by which a workload is counted."""
    return rules_of(suite_package(workload))


def rules_of(suite: ModuleType) -> str:
    """The name of the rules that a suite asks for."""
    return str(getattr(suite, "RULES", "plain"))


def chosen(
    workloads: Iterable[type[Declared]], suite: str, bench: re.Pattern[str]
) -> Iterator[tuple[type[Declared], tuple[Any, ...]]]:
    """The cases that the suite of this name counts and whose asv name `bench` finds: workloads with parameters."""
    for workload in workloads:
        for params in workload.choices():
            if workload.is_in(suite, params) and bench.search(workload.asv_name(params)):
                yield workload, params


def workloads_of(name: str) -> list[type[DeclaredWorkload]]:
    """The workloads imported here of the suite that `name`, a package or a module in it, belongs to; in asv's order.

    With asv's fork server that is all of them.
    """
    package = name.partition(".")[0]
    return sorted(
        (
            other
            for other in set(_subclasses(DeclaredWorkload))  # type: ignore[type-abstract]
            if other.__module__.partition(".")[0] == package and not getattr(other, "__abstractmethods__", None)
        ),
        key=lambda other: other.benchmark(),
    )


def base_classes() -> list[type[DeclaredWorkload]]:
    """The harness's own classes that a suite may inherit from."""
    top = __name__.partition(".")[0]
    return [other for other in _subclasses(DeclaredWorkload) if other.__module__.partition(".")[0] == top]  # type: ignore[type-abstract]


def _subclasses(workload: type[DeclaredWorkload]) -> Iterator[type[DeclaredWorkload]]:
    for subclass in workload.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
