"""List the benchmarks and their cases, each with the smallest suite that counts it. Imports them, and so torch."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from harness.cli.parser import add_benchmarks, add_json
from harness.errors import SuiteError
from harness.suite import suites
from harness.suite.selection import all_workloads

HELP = "list benchmarks and cases with their suites"
EXAMPLES = ("harness list", "harness list 'dtensor|Add1' --suite quick")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("regex", nargs="?", default="", metavar="REGEX", help="only cases whose names it finds")
    parser.add_argument(
        "--suite", choices=suites.NAMES, default="full", help="only what it counts (default: %(default)s)"
    )
    add_benchmarks(parser)
    add_json(parser, "a list with an object a case")


def run(arguments: argparse.Namespace) -> int:
    try:
        pattern = re.compile(arguments.regex)
    except re.error as error:
        raise SuiteError(f"{arguments.regex!r} is no regular expression: {error}") from None
    cases = []
    for workload in all_workloads(Path(arguments.benchmarks)):
        for params in workload.choices():
            case = workload.case(params)
            name = f"{workload.benchmark()}({', '.join(case.parameters)})"
            suite = workload.suite_of(*params)
            if pattern.search(name) and suites.holds(arguments.suite, suite):
                parameters = dict(zip(workload.param_names, case.parameters, strict=True))
                cases.append(
                    {"benchmark": workload.benchmark(), "parameters": parameters, "name": name, "suite": suite}
                )
    if not cases:
        raise SuiteError(
            f"no case of {arguments.benchmarks} in the suite {arguments.suite} has {arguments.regex!r} in its name"
        )
    if arguments.json:
        print(json.dumps(cases, indent=1))
        return 0
    print("\n".join(f"{case['suite']:<8} {case['name']}" for case in cases))
    numbers = {suite: sum(suites.holds(suite, str(case["suite"])) for case in cases) for suite in suites.NAMES}
    print("cases: " + ", ".join(f"{number} {suite}" for suite, number in numbers.items()))
    return 0
