"""Tell where a benchmark's instructions go: by function, by library, by part of PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import protocol
from harness.cli.parser import add_benchmark, add_reasons
from harness.report import explain
from harness.report.resolve import Wanted

HELP = "tell where a benchmark's instructions go"
EXAMPLES = (
    "harness explain dtensor.Detach --param device=cpu",
    "harness explain dtensor.Detach --python --flame detach.svg --param device=cpu HEAD~3",
)
#: The word that may stand behind the options.
LAST = "commit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_benchmark(parser)
    parser.add_argument("commit", nargs="?", help="the commit (default: HEAD)")
    parser.add_argument(
        "--by", choices=("self", "inclusive"), default="self", help="which functions come first (default: %(default)s)"
    )
    add_reasons(parser)


def run(arguments: argparse.Namespace) -> int:
    return explain.explain(options(arguments, inclusive=arguments.by == "inclusive"), arguments.commit or "HEAD")


def options(arguments: argparse.Namespace, **more: bool) -> explain.Options:
    """What `explain` and `diff` are asked alike."""
    wanted = Wanted(
        config=Path(arguments.config),
        benchmark=arguments.benchmark and arguments.benchmark.removesuffix(protocol.TRACK),
        assignments=tuple(arguments.param),
        environment=arguments.environment,
        python=arguments.python,
        again=arguments.again,
    )
    picture = Path(arguments.flame).absolute() if arguments.flame else None
    return explain.Options(wanted, rows=arguments.rows, json=arguments.json, flame=picture, **more)
