"""Ask for the count of a workload's case: what the user's settings say is read here, and what was counted is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from harness import protocol
from harness.engine import client, source
from harness.engine.configuration import Configuration
from harness.engine.settings import Settings
from harness.errors import SuiteError
from harness.store import asking, records
from harness.suite import parameters
from harness.suite.cases import DeclaredWorkload, chosen, rules_name, rules_of, suite_package, workloads_of


def count(workload: type[DeclaredWorkload], params: Sequence[Any] = (), **memory_layout: Any) -> float:
    """The instructions per call of one case, counted by a fork server of its own: asv's number without asv.

    `memory_layout` may hold `padding` and `import_first` (see Configuration). Raises HarnessError; CaseSkipped where
    the workload says that it cannot run here.
    """
    with client.session(configuration_for(workload, **memory_layout)) as directory:
        return ask(workload, params, directory).instructions_per_call


def ask(
    workload: type[DeclaredWorkload],
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
    facts = records.BenchmarkFacts(tuple(workload.param_names), str(workload.version), rules_name(workload), texts)
    return asking.ask_and_keep(
        protocol.Ask(case, order, metric, text, twice), workload.benchmark(), directory, place, facts
    )


def configuration_for(workload: type[DeclaredWorkload], **changes: Any) -> Configuration:
    """How a supervisor for this workload's suite is started: as the user's settings say, with `changes`. Raises
    SuiteError."""
    return configuration_of(suite_package(workload), **changes)


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
        "rules": rules_of(suite),
        "counter": settings.counter,
        "cores": settings.cores,
        "ahead": settings.ahead,
        "native": settings.native,
        "progress": None if settings.progress is None else str(settings.progress),
    }
    return Configuration(**{**fields, **changes})
