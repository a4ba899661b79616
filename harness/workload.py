"""Workload: the abstract asv class. A subclass says what to set up and what to call; this class gets it counted."""

from __future__ import annotations

import abc
import contextlib
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import kept, messages, rules, session, source
from harness.configuration import Configuration
from harness.counter import KINDS
from harness.errors import CaseSkipped, CountError, SuiteError


class _Version:
    """The benchmark's version, read from the source when asv asks for it and not when the class is made."""

    def __get__(self, workload: Workload | None, owner: type[Workload]) -> str:
        return source.version(owner, owner.generated())


class _Track:
    """What asv finds as `track_<number>`.

    On an instance it is a function of that workload's own, because asv shows the function's `pretty_source` on the
    benchmark's page and all workloads inherit this attribute.
    """

    def __init__(self, number: str) -> None:
        self._number = number

    def __get__(self, workload: Workload | None, owner: type[Workload]) -> Callable[..., float]:
        def track(*params: object) -> float:
            if workload is None:
                raise TypeError(f"track_{self._number} is called on an instance of the workload")
            return workload.number(self._number, *params)

        track.__name__ = f"track_{self._number}"
        if workload is not None:
            track.pretty_source = source.text(owner)  # type: ignore[attr-defined]
        return track


class Workload(abc.ABC):
    """One benchmark: asv lists it as `<module>.<class>.track_instructions`, in instructions per call.

    asv calls `track_instructions`; `setup`, `prepare` and `work` run in a worker under valgrind, never in asv itself.
    What else a run tells in its region (the phases of a compile) asv lists as benchmarks `track_<number>`; they are
    skipped under a counter that cannot tell, and cost no run of their own under one that can.
    """

    # asv's own attributes
    params: Sequence[Any] = ()
    param_names: Sequence[str] = ()
    #: Choices of parameters that are no case: skipped, and nothing is started for them.
    skip_params: Sequence[tuple[Any, ...]] = ()
    unit = "instructions"
    version = _Version()
    track_instructions = _Track(messages.HEADLINE)

    #: What is counted: "work", or a region that the suite's rules know ("compile" for torch).
    region = "work"
    #: How many calls one count holds. One call right after a collection of garbage costs more than the average of many.
    calls = 1
    #: Dotted names that the library under test must have: where it has not, in an older release, the cases are skipped.
    requires: Sequence[str] = ()
    #: Attributes and the values they have while it warms up: smaller sizes, which meet the same code with less work.
    small: Mapping[str, Any] = {}
    #: Whether its worker begins with the library under test imported. Without, importing it can be what is counted.
    preloaded = True
    #: By how much of itself a count may move although nothing that matters changed; scripts/noise.py measures it.
    noise = 0.004
    #: Seconds of wall time that a case may take under valgrind before it is ended.
    limit_seconds = 1500.0
    #: How many counts the median is taken of, each with new versions of all types and so with other things falling on
    #: one place in Python's cache of their attributes. Worth its time where `calls` is large and `work` small.
    layouts = 1

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

    # What must be there before a case is counted

    #: In a worker: the folder that holds a folder for each of the case's needs.
    built: Path

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
    def large(cls, *params: Any) -> bool:
        """Whether a case with these parameters takes minutes, so that only the full suite counts it."""
        return False

    @classmethod
    def generated(cls) -> str:
        """Code that is executed and not in the workload's source: it belongs to the version."""
        return ""

    # What asv needs

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        region = rules.load(_rules_name(cls)).regions.get(cls.region)  # an unknown one fails when it is counted
        for number in region.numbers if region else ():
            setattr(cls, f"track_{number}", _Track(number))

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
        session.start(configuration_for(cls, directory=os.getcwd(), owner=os.getppid()))

    # Cases

    @classmethod
    def parameters(cls) -> list[list[Any]]:
        """`params` as a list of lists, as asv reads it."""
        params = list(cls.params)
        if params and not isinstance(params[0], tuple | list):
            params = [params]
        return [list(choices) for choices in params]

    @classmethod
    def product(cls) -> list[tuple[Any, ...]]:
        """Every choice of parameters, in asv's order."""
        return list(itertools.product(*cls.parameters()))

    @classmethod
    def choices(cls) -> list[tuple[Any, ...]]:
        """Every choice of parameters that is a case."""
        return [params for params in cls.product() if params not in cls.skip_params]

    @classmethod
    def case(cls, params: tuple[Any, ...]) -> messages.Case:
        names = tuple(str(value) for value in params)
        index = cls.product().index(params)
        return messages.Case(
            cls.__module__, cls.__qualname__, index, names, cls.limit_seconds, cls.needs(*params), cls.preloaded
        )

    @classmethod
    def wanted(cls, params: Sequence[Any]) -> bool:
        """Whether the suite that HARNESS_SUITE names ("default", or "full") counts this case."""
        name = os.environ.get("HARNESS_SUITE", "default")
        if name not in ("default", "full"):
            raise SuiteError(f"HARNESS_SUITE is {name!r}; known are default and full (a smaller one is asv's --bench)")
        return name == "full" or not cls.large(*params)

    @classmethod
    def selected(cls, params: Sequence[Any]) -> bool:
        """Whether the pattern in HARNESS_BENCH, if there is one, finds this case by asv's name, as --bench does."""
        name = f"{cls.benchmark()}{messages.TRACK}({', '.join(map(repr, params))})"
        return re.search(os.environ.get("HARNESS_BENCH", ""), name) is not None

    @classmethod
    def benchmark(cls) -> str:
        """The name asv uses, less `.track_instructions`."""
        return ".".join([*cls.__module__.split(".")[1:], cls.__name__])

    def number(self, number: str, *params: Any) -> float:
        """One number of one case, from the supervisor in the current folder, or from one of its own.

        Raises CountError with the worker's traceback and where the evidence lies. Skips as asv understands it.
        """
        try:
            configuration = configuration_for(type(self))
            if number != messages.HEADLINE and not KINDS[configuration.counter].readable:
                raise CaseSkipped(
                    f"the counter {configuration.counter!r} gives one number a run; the readable one gives this one too"
                )
            earlier = self._counted_earlier(params, configuration.counter)
            if earlier is not None:
                print("counted in an earlier run", file=sys.stderr)
                return _told(earlier, number)
            if not self.wanted(params):
                raise CaseSkipped(
                    "takes minutes, so only the full suite counts it: `make bench SUITE=full`, or HARNESS_SUITE=full"
                )
            here = Path.cwd()
            running = contextlib.nullcontext(here) if session.running_in(here) else session.session(configuration)
            with running as directory:
                counted = ask(type(self), params, directory, number)
                if session.is_first_count(directory):
                    _say_what_was_counted(counted)
                return _told(counted, number)
        except CaseSkipped as reason:
            from asv_runner.benchmarks.mark import SkipNotImplemented

            print(f"skipped: {reason}", file=sys.stderr)
            raise SkipNotImplemented(str(reason)) from None

    def _counted_earlier(self, params: tuple[Any, ...], counter: str) -> messages.Counted | None:
        """What is kept of this case at this commit, where that was asked for or no other count would be taken."""
        place = kept.place_of(self.benchmark(), self.case(params).parameters)
        if place is None or (self.wanted(params) and os.environ.get("HARNESS_RESUME") != "1"):
            return None
        return kept.earlier(place, str(self.version), counter)


def _say_what_was_counted(counted: messages.Counted) -> None:
    """Where a commit's Python lay over a wheel's binaries; asv shows it with --show-stderr."""
    found = counted.fingerprint or {}
    if "binaries" in found:
        print(f"Python of {found['python of commit'][:10]} on the binaries of {found['binaries']}", file=sys.stderr)


def count(workload: type[Workload], params: Sequence[Any] = (), **layout: Any) -> float:
    """The instructions per call of one case, counted by a fork server of its own: asv's number without asv.

    `layout` may hold `padding` and `import_first` (see Configuration). Raises HarnessError; CaseSkipped where the
    workload says that it cannot run here.
    """
    with session.session(configuration_for(workload, **layout)) as directory:
        return ask(workload, params, directory).instructions_per_call


def _told(counted: messages.Counted, number: str) -> float:
    found = counted.per_call(number)
    if found is None:
        raise CountError(f"this run told no {number!r}, only {', '.join([messages.HEADLINE, *counted.numbers])}")
    return found


def ask(
    workload: type[Workload],
    params: Sequence[Any],
    directory: Path,
    number: str = messages.HEADLINE,
    place: kept.Place | None = None,
) -> messages.Counted:
    """Ask the supervisor in `directory` for a case, keep what it left (in `place`, else where asv's variables say), and
    return the count.

    Asking again for the same number counts anew; asking for another `number` gives the run that is there.
    """
    choices = workload.choices()
    if tuple(params) not in choices:
        raise SuiteError(f"{workload.benchmark()} has no parameters {tuple(params)!r}; it has {choices}")
    order = tuple(
        other.case(choice)
        for other in suite(workload.__module__)
        for choice in other.choices()
        if other.wanted(choice) and other.selected(choice)
    )
    case = workload.case(tuple(params))
    names = case.parameters
    with session.asking(directory, messages.Ask(case, order, number)) as report:
        if isinstance(report, messages.Skipped):
            raise CaseSkipped(report.reason)
        if isinstance(report, messages.Failed):
            raise CountError(_failure(report, workload.benchmark(), names))
        place = place or kept.place_of(workload.benchmark(), names)
        if place is not None and number == messages.HEADLINE:
            try:
                kept.keep(report, place, _about(workload))
            except (OSError, ValueError) as error:
                print(f"the count was taken but its profile could not be kept: {error}", file=sys.stderr)
        return report


def _about(workload: type[Workload]) -> kept.About:
    return kept.About(tuple(workload.param_names), str(workload.version), _rules_name(workload))


def _failure(report: messages.Failed, benchmark: str, parameters: tuple[str, ...]) -> str:
    lines = [report.sentence]
    if report.details:
        lines.append(report.details.rstrip())
    if report.folder is not None:
        try:
            lines.append(f"evidence: {kept.keep_evidence(report.folder, benchmark, parameters)}")
        except OSError as error:
            lines.append(f"the evidence could not be kept: {error}")
    return "\n".join(lines)


def configuration_for(workload: type[Workload], **changes: Any) -> Configuration:
    """How a supervisor for this workload's suite is started; the user's environment may say more.

    HARNESS_COUNTER ("callgrind"), HARNESS_CORES, HARNESS_AHEAD and HARNESS_PROGRESS are read here and nowhere else;
    HARNESS_SUITE and HARNESS_RESUME, which say which cases to count, where asv asks; HARNESS_BENCH, to which of them
    idle cores run ahead, where a case is asked for.
    """
    top = sys.modules[workload.__module__.partition(".")[0]]
    if top.__file__ is None:
        raise SuiteError(f"the suite {top.__name__!r} is no file or folder that a server could import")
    file = Path(top.__file__)
    environment = os.environ
    fields: dict[str, Any] = {
        "directory": "",
        "owner": 0,
        "suite": str(file.parent if file.name == "__init__.py" else file),
        "rules": _rules_name(workload),
        "counter": environment.get("HARNESS_COUNTER", "callgrind"),
        "cores": cores(),
        "ahead": environment.get("HARNESS_AHEAD", "benchmark"),
        "progress": environment.get("HARNESS_PROGRESS"),
    }
    return Configuration(**{**fields, **changes})


def cores() -> int:
    """How many processors there are to count with: HARNESS_CORES, or all that this process may use."""
    text = os.environ.get("HARNESS_CORES", str(len(os.sched_getaffinity(0))))
    if not text.isdecimal() or int(text) < 1:
        raise SuiteError(f"HARNESS_CORES is {text!r}; it takes a whole number from 1 up")
    return int(text)


def _rules_name(workload: type[Workload]) -> str:
    top = sys.modules[workload.__module__.partition(".")[0]]
    return str(getattr(top, "RULES", "plain"))


def suite(name: str) -> list[type[Workload]]:
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
