"""Workload: the abstract asv class. A subclass says what to set up and what to call; this class gets it counted.

What of it runs under valgrind is inside/workload.py.
"""

from __future__ import annotations

import abc
import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from harness import protocol
from harness.engine import client, source
from harness.engine.configuration import Configuration
from harness.engine.counters import COUNTER_KINDS
from harness.engine.settings import Settings
from harness.errors import CaseSkipped, SuiteError
from harness.inside import rules
from harness.inside import workload as inside
from harness.inside.values import representation
from harness.store import asking, records
from harness.suite import asv_list, declarations, parameters, suites


class _Version:
    """The benchmark's version, read from the source when asv asks for it and not when the class is made."""

    def __get__(self, workload: Workload | None, owner: type[Workload]) -> str:
        return source.version(owner, owner.generated())


class _Track:
    """What asv finds as `track_<metric>`, where a metric is the name of one of the numbers that a run gives.

    On an instance it is a function of that workload's own, because asv shows the function's `pretty_source` on the
    benchmark's page and all workloads inherit this attribute.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric

    def __get__(self, workload: Workload | None, owner: type[Workload]) -> Callable[..., float]:
        def track(*params: object) -> float:
            if workload is None:
                raise TypeError(f"track_{self._metric} is called on an instance of the workload")
            return workload.count_metric(self._metric, *params)

        track.__name__ = f"track_{self._metric}"
        if workload is not None:  # asv puts what else a function has into its list of benchmarks
            track.pretty_source, track.noise = source.text(owner), owner.noise  # type: ignore[attr-defined]
        return track


class Workload(inside.Workload, abc.ABC):
    """One benchmark: asv lists it as `<module>.<class>.track_instructions`, in instructions per call.

    asv calls `track_instructions`; `setup`, `prepare` and `work` run in a worker under valgrind, never in asv itself.
    What else a run tells in its region (the phases of a compile) asv lists as benchmarks `track_<metric>`; they are
    skipped under a counter that cannot tell, and cost no run of their own under one that can.
    """

    unit = "instructions"
    version = _Version()
    track_instructions = _Track(protocol.HEADLINE)

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

    # What asv needs

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        regions = rules.load(_rules_name(cls)).regions
        declarations.check(cls, Workload, regions)
        cls.skip_params = parameters.Choices(cls.skip_params)  # so that asv does not take 1 for True either
        region = regions.get(cls.region)
        for metric in region.metrics if region else ():
            setattr(cls, f"track_{metric}", _Track(metric))

    @property
    def timeout(self) -> float:
        """asv's limit, in seconds: twice ours and some, since a case may wait for one that was run ahead of it."""
        return 60 + 2 * self.limit_seconds

    def __dir__(self) -> list[str]:
        """Without `setup`: asv would find it and run it natively, for nothing."""
        return [name for name in super().__dir__() if name != "setup"]

    @classmethod
    def setup_cache(cls) -> None:
        """asv calls this once per environment and commit, in the folder that every benchmark process will stand in.

        All workloads inherit it, so asv takes it as one, and one fork server serves them all until asv deletes the
        folder. It returns None, so nothing is added to the parameters.
        """
        client.start(configuration_for(cls, directory=os.getcwd(), owner=os.getppid()))

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
        return refused or rules.load(_rules_name(cls)).refuses(dict(zip(cls.param_names, params, strict=True)))

    @classmethod
    def is_in(cls, suite: str, params: Sequence[Any]) -> bool:
        """Whether the suite of this name counts this case."""
        return suites.holds(suite, cls.suite_of(*params))

    @classmethod
    def asv_name(cls, params: Sequence[Any]) -> str:
        """What asv calls the case, and looks through for what its --bench says."""
        return f"{cls.benchmark()}{protocol.TRACK}({', '.join(map(repr, params))})"

    @classmethod
    def benchmark(cls) -> str:
        """The name asv uses, less `.track_instructions`."""
        return ".".join([*cls.__module__.split(".")[1:], cls.__name__])

    def count_metric(self, metric: str, *params: Any) -> float:
        """One of the numbers of one case, by its name, from the supervisor in the current folder, or from one of its
        own.

        Raises CountError with the worker's traceback and where the evidence lies. Skips as asv understands it.
        """
        try:
            settings = Settings.from_environment()
            configuration = configuration_for(type(self))
            self._is_what_asv_listed(params)
            if metric != protocol.HEADLINE and not COUNTER_KINDS[configuration.counter].readable:
                raise CaseSkipped(
                    f"the counter {configuration.counter!r} gives one number a run; the readable one gives this one too"
                )
            in_suite = self.is_in(settings.suite, params)
            # Where that was asked for, or no other count would be taken.
            earlier = self._counted_earlier(params, settings.counter) if settings.resume or not in_suite else None
            if earlier is not None:
                print("counted in an earlier run", file=sys.stderr)
                return asking.metric_of(earlier, metric)
            if not in_suite:
                own = self.suite_of(*params)
                raise CaseSkipped(f"only the {own} suite counts it: `make bench SUITE={own}`, or HARNESS_SUITE={own}")
            here = Path.cwd()
            running = contextlib.nullcontext(here) if client.running_in(here) else client.session(configuration)
            with running as directory:
                counted = ask(type(self), params, directory, metric)
                self._say_what_was_counted(counted, first=client.is_first_count(directory))
                return asking.metric_of(counted, metric)
        except CaseSkipped as reason:
            from asv_runner.benchmarks.mark import SkipNotImplemented

            print(f"skipped: {reason}", file=sys.stderr)
            raise SkipNotImplemented(str(reason)) from None

    def _is_what_asv_listed(self, params: tuple[Any, ...]) -> None:
        """Raises SuiteError where asv lists another case under the number by which it asks for this one."""
        folder = os.environ.get("ASV_CONF_DIR")
        name, names = f"{self.benchmark()}{protocol.TRACK}", tuple(self.param_names)
        case = (str(self.version), self.parameters(), self.places(params), names)
        reason = None if folder is None else asv_list.disagreement(Path(folder), name, *case)
        if reason is not None:
            raise SuiteError(reason)

    def _counted_earlier(self, params: tuple[Any, ...], counter: str) -> protocol.Counted | None:
        """What is kept of this case at this commit; None where nothing is, and outside asv."""
        place = records.place_of(self.benchmark(), self.case(params).parameters)
        return None if place is None else records.earlier(place, str(self.version), counter)

    def _say_what_was_counted(self, counted: protocol.Counted, first: bool) -> None:
        """What is to be known with the number; asv shows it with --show-stderr. With a server's first count: where a
        commit's Python lay over a wheel's binaries."""
        for note in counted.notes:
            print(f"note: {note}", file=sys.stderr)
        fingerprint = counted.fingerprint or {}
        if first and "binaries" in fingerprint:
            print(
                f"Python of {fingerprint['python of commit'][:10]} on the binaries of {fingerprint['binaries']}",
                file=sys.stderr,
            )


def count(workload: type[Workload], params: Sequence[Any] = (), **memory_layout: Any) -> float:
    """The instructions per call of one case, counted by a fork server of its own: asv's number without asv.

    `memory_layout` may hold `padding` and `import_first` (see Configuration). Raises HarnessError; CaseSkipped where
    the workload says that it cannot run here.
    """
    with client.session(configuration_for(workload, **memory_layout)) as directory:
        return ask(workload, params, directory).instructions_per_call


def ask(
    workload: type[Workload],
    params: Sequence[Any],
    directory: Path,
    metric: str = protocol.HEADLINE,
    place: records.Place | None = None,
    *,
    twice: bool = False,
) -> protocol.Counted:
    """Ask the supervisor in `directory` for a case, keep what it left (in `place`, else where asv's variables say), and
    return the count.

    Asking again for the same metric counts anew; asking for another `metric` gives the run that is there. With `twice`
    the same worker counts a second time.
    """
    case = workload.case(params)
    settings = Settings.from_environment()
    every = workloads_of(workload.__module__)
    order = tuple(other.case(choice) for other, choice in chosen(every, settings.suite, settings.bench))
    text = protocol.Source(roots := source.roots(workload), source.digest(roots, source.of_imported))
    listed = zip(map(parameters.asv_names, workload.parameters()), workload.places(params), strict=True)
    texts = tuple(names[place] for names, place in listed)
    facts = records.BenchmarkFacts(tuple(workload.param_names), str(workload.version), _rules_name(workload), texts)
    return asking.ask_and_keep(
        protocol.Ask(case, order, metric, text, twice), workload.benchmark(), directory, place, facts
    )


def configuration_for(workload: type[Workload], **changes: Any) -> Configuration:
    """How a supervisor for this workload's suite is started: as the user's settings say, with `changes`. Raises
    SuiteError."""
    return configuration_of(sys.modules[workload.__module__.partition(".")[0]], **changes)


def configuration_of(suite: ModuleType, /, **changes: Any) -> Configuration:
    """The same for a suite, by its package or module."""
    if suite.__file__ is None:
        raise SuiteError(f"the suite {suite.__name__!r} is no file or folder that a server could import")
    file = Path(suite.__file__)
    settings = Settings.from_environment()
    fields: dict[str, Any] = {
        "directory": "",
        "owner": 0,
        "suite": str(file.parent if file.name == "__init__.py" else file),
        "rules": _rules_of(suite),
        "counter": settings.counter,
        "cores": settings.cores,
        "ahead": settings.ahead,
        "native": settings.native,
        "progress": None if settings.progress is None else str(settings.progress),
    }
    return Configuration(**{**fields, **changes})


def chosen(
    workloads: Iterable[type[Workload]], suite: str, bench: re.Pattern[str]
) -> Iterator[tuple[type[Workload], tuple[Any, ...]]]:
    """The cases that the suite of this name counts and whose asv name `bench` finds: workloads with parameters."""
    for workload in workloads:
        for params in workload.choices():
            if workload.is_in(suite, params) and bench.search(workload.asv_name(params)):
                yield workload, params


def _rules_name(workload: type[Workload]) -> str:
    return _rules_of(sys.modules[workload.__module__.partition(".")[0]])


def _rules_of(suite: ModuleType) -> str:
    return str(getattr(suite, "RULES", "plain"))


def workloads_of(name: str) -> list[type[Workload]]:
    """The workloads imported here of the suite that `name`, a package or a module in it, belongs to; in asv's order.

    With asv's fork server that is all of them.
    """
    package = name.partition(".")[0]
    return sorted(
        (
            other
            for other in set(_subclasses(Workload))  # type: ignore[type-abstract]
            if other.__module__.partition(".")[0] == package and not getattr(other, "__abstractmethods__", None)
        ),
        key=lambda other: other.benchmark(),
    )


def base_classes() -> list[type[Workload]]:
    """The harness's own classes that a suite may inherit from."""
    top = __name__.partition(".")[0]
    return [Workload, *(other for other in _subclasses(Workload) if other.__module__.partition(".")[0] == top)]  # type: ignore[type-abstract]


def _subclasses(workload: type[Workload]) -> Iterator[type[Workload]]:
    for subclass in workload.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


# asv reads these off the function: its limit in seconds, and what to show of it on a benchmark's page, which is nothing
# (a name without a class keeps asv from adding an empty `class Workload:`).
_setup_cache: Any = Workload.setup_cache.__func__  # type: ignore[attr-defined]
_setup_cache.timeout = 1200.0
_setup_cache.pretty_source = ""
_setup_cache.__qualname__ = "setup_cache"
