"""Tell which functions moved between two commits, in the instructions by which the number moved."""

from __future__ import annotations

import argparse

from harness.cli.explain import options
from harness.cli.parser import add_benchmark, add_reasons
from harness.report import explain

HELP = "tell which functions moved between two commits"
EXAMPLES = (
    "harness diff HEAD~1 HEAD",
    "harness diff v2.14.0 v2.15.0 dtensor.Detach --python --config asv.releases.conf.json",
)
LAST = "benchmark"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", help="the commit before")
    parser.add_argument("head", help="the commit after")
    add_benchmark(parser, nargs="?", help="as asv names it (default: all that are kept of both commits)")
    add_reasons(parser)


def run(arguments: argparse.Namespace) -> int:
    return explain.diff(options(arguments), arguments.base, arguments.head)
