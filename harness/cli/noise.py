"""Measure how far counts move although nothing that matters changes, for whatever judges a change.

Each case of a commit is counted in several memory layouts. The widest change between two of them is its noise, which is
kept in .asv/noise.json by fingerprint: on another machine, or with another build of torch, it is another one. Without
it, `check`, `bisect`, `diff` and the pages take what the suite comes with, else what the benchmark's class declares.

Exit status: 0 measured, 1 something could not be counted, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

from harness.check.noise import Layouts
from harness.cli.parser import add_json, add_sides, asv_needed, sides_of
from harness.report import columns
from harness.store.noise import spread

HELP = "measure how far counts move from memory layout to memory layout"
EXAMPLES = ("harness noise --repo ../pytorch", "harness noise main --bench dtensor --layouts 9")
_FEWEST = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("commit", nargs="?", help="which commit (default: the working tree)")
    add_sides(parser)
    parser.add_argument(
        "--layouts", type=int, default=5, metavar="NUMBER", help="in how many memory layouts (default: %(default)s)"
    )
    add_json(parser, "a list with an object a case")


def wrong(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the arguments together, None if nothing is."""
    if arguments.layouts < _FEWEST:
        return f"--layouts is {arguments.layouts}; noise shows between {_FEWEST} memory layouts or more"
    return None


def run(arguments: argparse.Namespace) -> int:
    """Print a line a case; 1 if one of them could not be counted."""
    with asv_needed("measuring noise"):
        from harness.check.run import Options, measure_noise
    cases = measure_noise(Options(**sides_of(arguments), head=arguments.commit), arguments.layouts)
    failed = [layouts for layouts in cases if layouts.failed is not None]
    measured = [layouts for layouts in cases if layouts.counts]
    if arguments.json:
        print(json.dumps([_facts(layouts) for layouts in cases], indent=1))
        return int(bool(failed) or not measured)
    rows = [
        [
            f"{min(layouts.counts):,.2f}",
            f"{max(layouts.counts):,.2f}",
            f"{spread(layouts.counts):.4%}",
            f"{layouts.case.noise:.2%}",
            str(layouts.case),
        ]
        for layouts in measured
    ]
    if rows:
        print("\n".join(columns.lines(["least", "most", "noise", "declared", "case"], rows)))
    skipped = Counter(layouts.skipped for layouts in cases if layouts.skipped is not None and layouts.failed is None)
    for why, number in skipped.items():
        print(f"skipped: {number} ({why})")
    for layouts in failed:
        print(f"cannot be counted: {layouts.case}: {(layouts.failed or '').partition(chr(10))[0]}")
    return int(bool(failed) or not measured)


def _facts(layouts: Layouts) -> dict[str, Any]:
    return {
        "benchmark": layouts.case.benchmark,
        "parameters": dict(zip(layouts.case.names, layouts.case.parameters, strict=True)),
        "counts": list(layouts.counts),
        "noise": spread(layouts.counts) if layouts.counts else None,
        "declared": layouts.case.noise,
        "skipped": layouts.skipped,
        "failed": layouts.failed,
    }
