"""Tell what each benchmark took when it was last counted, in seconds of one core."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from harness.cli.parser import add_config, add_counter, add_json
from harness.report import columns
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
        print("\n".join(lines(table)))
    return 0


def lines(found: Iterable[costs.Cost]) -> list[str]:
    """A table, with a line that adds up."""
    rows, cases, sums = [], 0, [0.0, 0.0, 0.0]
    for cost in found:
        cases += cost.cases
        sums = [before + more for before, more in zip(sums, cost.seconds, strict=True)]
        between = f"{cost.least:,.0f}" if cost.cases == 1 else f"{cost.least:,.0f} - {cost.most:,.0f}"
        rows.append([str(cost.cases), between, *_seconds(cost.seconds), cost.benchmark])
    rows.append([str(cases), "", *_seconds(sums), f"seconds of one core, {sum(sums) / 60:.1f} min in all"])
    return columns.lines(["cases", "instructions a call", "set-up", "warm-up", "counting", "benchmark"], rows)


def _seconds(phases: Iterable[float]) -> list[str]:
    return [f"{phase:.1f}" for phase in phases]
