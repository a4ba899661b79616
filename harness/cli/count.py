"""Count the cases of one benchmark: asv's number without asv."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from harness import protocol
from harness.cli.parser import add_benchmark, add_benchmarks, add_counter, add_json, add_params
from harness.engine import client
from harness.errors import CaseSkipped, HarnessError, StartError
from harness.inside import notes
from harness.suite import counting
from harness.suite.parameters import assignments
from harness.suite.selection import choose, foresee, foreseen, package
from harness.waiting.client import count_there

HELP = "count the cases of one benchmark"
EXAMPLES = (
    "harness count dtensor.Detach",
    "harness count dtensor.Detach --param device=cpu --counter readable --twice",
    "harness count dtensor.Detach --wait 30",
)

_MOST_MINUTES = 600.0
#: The process of a server that waits, as its client starts it.
_WAITING_PROCESS = "from harness.cli import wait_for_counts; wait_for_counts()"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_benchmark(parser)
    add_params(parser)
    add_counter(parser)
    parser.add_argument(
        "--twice", action="store_true", help="count each case again, in the same worker and in another, and compare"
    )
    parser.add_argument(
        "--wait",
        type=float,
        nargs="?",
        const=10.0,
        metavar="MINUTES",
        help="leave the server waiting, so long (10, if nothing is said), for a next count that begins at once",
    )
    add_benchmarks(parser)
    add_json(parser, "an object a case, a line each")


def wrong(arguments: argparse.Namespace) -> str | None:
    if arguments.wait is not None and not 0 < arguments.wait <= _MOST_MINUTES:
        return f"--wait is {arguments.wait:g}; it takes a number of minutes above 0, up to {_MOST_MINUTES:g}"
    return None


def run(arguments: argparse.Namespace) -> int:
    """Print a line a case; 1 if one of them could not be counted. A server that waits counts it, if there is one."""
    status = count_there(arguments, _WAITING_PROCESS)
    return counted(arguments, client.beginning) if status is None else status


def counted(arguments: argparse.Namespace, beginning: client.Beginning) -> int:
    """The same, by a server that is begun as `beginning` says. It starts while the suite is imported here: both import
    torch, which takes seconds."""
    suite = Path(arguments.benchmarks)
    foresee(suite, arguments.benchmark, arguments.param)
    changes: dict[str, Any] = {} if arguments.counter is None else {"counter": arguments.counter}
    if arguments.twice:
        changes["ahead"] = "nothing"  # what ran ahead was counted once
    status = 0
    with beginning(counting.configuration_of(package(suite), **changes)) as ready:
        workload_class = foreseen(suite, arguments.benchmark)
        wanted = choose(workload_class, arguments.param)
        for params in wanted:
            names = dict(zip(workload_class.param_names, workload_class.case(params).parameters, strict=True))
            label = " ".join(assignments(names))
            try:
                refused = workload_class.refused_here(params)
                if refused is not None:
                    raise CaseSkipped(refused)
                directory = ready()
                counted = counting.ask(workload_class, params, directory, twice=arguments.twice)
                elsewhere = counting.ask(workload_class, params, directory) if arguments.twice else None
            except CaseSkipped as reason:
                print(json.dumps({**names, "skipped": str(reason)}) if arguments.json else f"n/a  {label}  ({reason})")
                continue
            except StartError:
                raise
            except HarnessError as error:
                print(f"harness: {workload_class.benchmark()} {label}: {error}", file=sys.stderr)
                status = 1
                continue
            _print(counted, names, label, arguments.json, elsewhere)
    return status


def _print(
    counted: protocol.Counted, names: dict[str, str], label: str, as_json: bool, elsewhere: protocol.Counted | None
) -> None:
    """One case: the number, what stands beside it, the further numbers; `elsewhere` is its count in a second worker."""
    if as_json:
        per_call = {metric: counted.per_call(metric) for metric in [protocol.HEADLINE, *counted.metrics]}
        twice: dict[str, Any] = {}
        if elsewhere is not None:
            twice = {"again": counted.again_per_call, "elsewhere": elsewhere.instructions_per_call}
        beside = {"notes": counted.notes, "seconds": counted.seconds}
        print(json.dumps({**names, **per_call, **twice, **beside}), flush=True)
        return
    notes_beside = "".join(f"  ({note})" for note in counted.notes)
    print(f"{counted.instructions_per_call:>18,.2f}  {label}{notes_beside}", flush=True)
    for metric in counted.metrics:
        print(f"{counted.per_call(metric):>22,.2f}  {metric}", flush=True)
    if elsewhere is not None:
        first = counted.instructions_per_call
        print(
            _second(counted.again_per_call, first, "again, in the same worker", "does `work` leave something behind?")
        )
        print(
            _second(elsewhere.instructions_per_call, first, "in another worker", "does it hang on chance or the clock?")
        )


def _second(count: float | None, first: float, place: str, question: str) -> str:
    assert count is not None
    if count == first:
        return f"{count:>22,.2f}  {place}: equal"
    change = (count - first) / first
    suffix = f"; {question}" if abs(change) > notes.LAYOUT_NOISE else ""
    return f"{count:>22,.2f}  {place}: {count - first:+,.2f} ({change:+.3%}){suffix}"
