"""Name the PyTorch commit between two that changed a benchmark.

Exit status: 0 found, 1 broken, 2 wrong arguments, 3 no change, 4 cannot tell.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from harness.cli.parser import (
    add_benchmark,
    add_config,
    add_counter,
    add_json,
    add_params,
    add_wheels,
    asv_needed,
    wheels_of,
)
from harness.engine.counters import COUNTER_KINDS
from harness.engine.settings import Settings

HELP = "name the PyTorch commit that changed a benchmark"
EXAMPLES = (
    "harness bisect GOOD main dtensor.Detach --param device=cpu",
    "harness bisect GOOD BAD dtensor.Detach --noise 0.1",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("good", help="the older end of the range")
    parser.add_argument("bad", help="the newer end")
    add_benchmark(parser)
    add_params(parser)
    add_config(parser, "asv.pytorch.conf.json")
    add_counter(parser, "readable", help="what probes (default: %(default)s)")
    add_counter_of_ends(parser)
    parser.add_argument(
        "--noise", type=float, metavar="PERCENT", help="changes up to this are none (default: each case's own)"
    )
    add_json(parser, "one object")
    add_wheels(parser)


def add_counter_of_ends(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--confirm",
        choices=list(COUNTER_KINDS),
        default="callgrind",
        help="what counts the ends and what is found (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """The status tells what came of it (see findings.py)."""
    with asv_needed("bisecting"):
        from harness.bisect import findings, search
        from harness.bisect.messages import Range
    wheels = wheels_of(arguments)
    wanted = Range(
        suite="",
        benchmark=arguments.benchmark,
        assignments=tuple(arguments.param),
        repository="",
        good=arguments.good,
        bad=arguments.bad,
        wheels=None if wheels is None else str(wheels.resolve()),
    )
    options = search.Options(
        probing=arguments.counter,
        confirming=arguments.confirm,
        noise=None if arguments.noise is None else arguments.noise / 100,
        cores=Settings.from_environment().cores,
    )
    case_findings, facts = search.bisect(Path(arguments.config), wanted, options)
    outcome = findings.outcome(case_findings)
    if arguments.json:
        print(
            json.dumps({"outcome": outcome, "cases": [finding.facts() for finding in case_findings], **facts}, indent=1)
        )
    else:
        print("\n".join(findings.lines(case_findings)))
    return findings.STATUS[outcome]
