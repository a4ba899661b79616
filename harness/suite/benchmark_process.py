"""What asv's processes do for a workload: start the server that counts, and give asv a number of a case.

asv imports the suite in a process of its own for each of both. What these read, of the user's settings and of the
variables that asv sets, is read here and in suite/counting.py, so that a workload's class holds nothing of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from harness import protocol
from harness.engine import client
from harness.engine.counters import COUNTER_KINDS
from harness.engine.settings import Settings
from harness.errors import CaseSkipped, SuiteError
from harness.store import asking, records
from harness.suite import asv_list
from harness.suite.cases import DeclaredWorkload
from harness.suite.counting import ask, configuration_for


def start_server(workload: type[DeclaredWorkload]) -> None:
    """Start a supervisor in the current folder, which lasts as long as the process of asv that started this one. Raises
    StartError."""
    client.start(configuration_for(workload, directory=os.getcwd(), owner=os.getppid()))


def count_metric(workload: type[DeclaredWorkload], metric: str, params: tuple[Any, ...]) -> float:
    """One of the numbers of one case, by its name, from the supervisor in the current folder, or from one of its own.

    Raises CountError with the worker's traceback and where the evidence lies. Skips as asv understands it.
    """
    try:
        return _metric(workload, metric, params)
    except CaseSkipped as reason:
        # asv's documented way to skip what has begun to run. Not imported above: whoever counts without asv lacks it.
        from asv_runner.benchmarks.mark import SkipNotImplemented

        print(f"skipped: {reason}", file=sys.stderr)
        raise SkipNotImplemented(str(reason)) from None


def _metric(workload: type[DeclaredWorkload], metric: str, params: tuple[Any, ...]) -> float:
    """Raises CaseSkipped, CountError."""
    settings = Settings.from_environment()
    configuration = configuration_for(workload)
    _check_listed(workload, params)
    if metric != protocol.HEADLINE and not COUNTER_KINDS[configuration.counter].readable:
        raise CaseSkipped(
            f"the counter {configuration.counter!r} gives one number a run; the readable one gives this one too"
        )
    in_suite = workload.is_in(settings.suite, params)
    # Where that was asked for, or no other count would be taken.
    earlier = _counted_earlier(workload, params, settings.counter) if settings.resume or not in_suite else None
    if earlier is not None:
        print("counted in an earlier run", file=sys.stderr)
        return asking.metric_of(earlier, metric)
    if not in_suite:
        own = workload.suite_of(*params)
        raise CaseSkipped(f"only the {own} suite counts it: `make bench SUITE={own}`, or HARNESS_SUITE={own}")
    here = Path.cwd()
    running = contextlib.nullcontext(here) if client.running_in(here) else client.session(configuration)
    with running as directory:
        counted = ask(workload, params, directory, metric)
        _say_what_was_counted(counted, first=client.is_first_count(directory))
        return asking.metric_of(counted, metric)


def _check_listed(workload: type[DeclaredWorkload], params: tuple[Any, ...]) -> None:
    """Raises SuiteError where asv lists another case under the number by which it asks for this one."""
    folder = os.environ.get("ASV_CONF_DIR")
    name, names = f"{workload.benchmark()}{protocol.TRACK}", tuple(workload.param_names)
    case = (str(workload.version), workload.parameters(), workload.places(params), names)
    reason = None if folder is None else asv_list.disagreement(Path(folder), name, *case)
    if reason is not None:
        raise SuiteError(reason)


def _counted_earlier(
    workload: type[DeclaredWorkload], params: tuple[Any, ...], counter: str
) -> protocol.Counted | None:
    """What is kept of this case at this commit; None where nothing is, and outside asv."""
    place = records.place_of(workload.benchmark(), workload.case(params).parameters)
    return None if place is None else records.earlier(place, str(workload.version), counter)


def _say_what_was_counted(counted: protocol.Counted, first: bool) -> None:
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
