"""Tell what each benchmark took when it was last counted, in seconds of one core."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from harness.cli.parser import add_config, add_counter, add_json
from harness.store import costs
from harness.system import asv_folder

HELP = "tell what each benchmark took to count"
EXAMPLES = ("harness costs", "harness costs --bench '^dtensor' --counter readable")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bench", default="", metavar="REGEX", help="only benchmarks with this in their names")
    add_counter(parser, "callgrind", help="counted with it (default: %(default)s)")
    add_config(parser)
    add_json(parser, "a list with an object a benchmark")


def run(arguments: argparse.Namespace) -> int:
    root = Path(arguments.config).resolve().parent / asv_folder.NAME
    table = costs.costs(costs.newest(root, arguments.counter, arguments.bench))
    if arguments.json:
        print(json.dumps([dataclasses.asdict(cost) for cost in table], indent=1))
    else:
        print("\n".join(costs.lines(table)))
    return 0
