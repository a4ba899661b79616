"""How far counts move when nothing changed (A/A), and when something irrelevant did (layout): a row a case.

    python scripts/noise.py [--bench REGEX] [--only aa|layout] [--layout NAME ...]

A/A is a second server that is asked in the opposite order; a layout is a server that differs in something no count
should depend on. A column holds the changes against the first server; the spread of layouts is (largest - smallest) /
smallest of it and all of them. Without --bench: every case that is no statement and not large, and three statements.
Other runs on the machine meanwhile take the scratch folder's name, which is a layout too: give this one a TMPDIR.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from harness import Statements
from harness.engine import client
from harness.errors import CaseSkipped
from harness.report import columns
from harness.suite import counting
from harness.suite.cases import DeclaredWorkload
from harness.suite.selection import all_workloads

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "benchmarks"
STATEMENTS = (
    "pointwise.Pointwise(Math/add/1, Python, Eager, Forward, 1)",
    "pointwise.Pointwise(Math/add/1, C++, Eager, Forward, 1)",
    "nn_modules.NNModules(GroupNorm, C++, Eager, Forward, 1)",
)
Case = tuple[type[DeclaredWorkload], tuple[Any, ...]]
Counts = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", help="only cases with this regular expression in their names")
    parser.add_argument("--only", choices=["aa", "layout"], help="one of the two tables")
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="only these layouts")
    parser.add_argument("--json", action="store_true", help="count once and print that")
    arguments = parser.parse_args()
    cases = choose(arguments.bench)
    if arguments.json:
        print(json.dumps(count(cases)))
        return
    runs = {"as it is": count(cases)}
    if arguments.only != "layout":
        runs["A/A"] = count(dict(reversed(cases.items())))
    if arguments.only != "aa":
        runs |= {name: LAYOUTS[name](cases) for name in arguments.layout or LAYOUTS}
    print("\n".join(table(runs)))


def choose(bench: str | None) -> dict[str, Case]:
    """By name, the cases that `bench` finds, or those that a row is always due."""
    found = {}
    for each in all_workloads(SUITE):
        for params in each.choices():
            name = f"{each.benchmark()}({', '.join(map(str, params))})"
            due = name in STATEMENTS or not (issubclass(each, Statements) or each.suite_of(*params) == "full")
            if (due if bench is None else re.search(bench, name)) and "cuda" not in params:
                found[name] = each, params
    return found


def count(cases: dict[str, Case], **changes: Any) -> Counts:
    """Instructions per call of each case, on one new server; less those that are skipped."""
    suite = changes.pop("suite", str(SUITE))
    first = next(iter(cases.values()))[0]
    found: Counts = {}

    def ask(name: str) -> None:
        try:
            found[name] = counting.ask(*cases[name], directory).instructions_per_call
        except CaseSkipped as reason:
            print(f"{name}: skipped: {reason}", file=sys.stderr)
        print(f"\r{len(found)} of {len(cases)} cases", end="", file=sys.stderr, flush=True)

    configuration = counting.configuration_for(first, suite=suite, ahead="nothing", **changes)
    with client.session(configuration) as directory, ThreadPoolExecutor(configuration.cores) as pool:
        list(pool.map(ask, cases))
    print(file=sys.stderr)
    return {name: found[name] for name in cases if name in found}


def count_with_one_more_module(cases: dict[str, Case]) -> Counts:
    """With another file in the suite's folder."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder, "benchmarks")
        shutil.copytree(SUITE, suite, ignore=shutil.ignore_patterns("__pycache__"))
        (suite / "one_more.py").write_text((suite / "dtensor.py").read_text())
        return count(cases, suite=str(suite))


def count_in_longer_environment(cases: dict[str, Case]) -> Counts:
    """With an environment that lies under a much longer path: a tree of links to this one's files."""
    with tempfile.TemporaryDirectory(suffix="-with-a-name-that-goes-on-and-on-for-a-while") as folder:
        environment = Path(folder, "environment")
        subprocess.run(["cp", "-as", str(Path(sys.prefix).resolve()), str(environment)], check=True)
        (environment / "pyvenv.cfg").unlink()
        shutil.copyfile(Path(sys.prefix, "pyvenv.cfg"), environment / "pyvenv.cfg")
        names = "|".join(f"^{re.escape(name)}$" for name in cases)
        answer = subprocess.run(
            [str(environment / "bin/python"), __file__, "--json", "--bench", names],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        if answer.returncode != 0:
            raise SystemExit("the counts in an environment under a longer path failed: see above")
        counts: Counts = json.loads(answer.stdout)
        return counts


LAYOUTS: dict[str, Callable[[dict[str, Case]], Counts]] = {
    "padding 8": partial(count, padding=8),
    "padding 40": partial(count, padding=40),
    "padding 120": partial(count, padding=120),
    "sqlite3 first": partial(count, import_first=("sqlite3",)),
    "wave first": partial(count, import_first=("wave",)),
    "longer environment": count_in_longer_environment,
    "one more benchmark": count_with_one_more_module,
}


def table(runs: dict[str, Counts]) -> Iterator[str]:
    base, *others = runs
    rows, spreads = [], []
    for name, number in runs[base].items():
        found = [counts[name] for run, counts in runs.items() if run != "A/A"]
        spreads.append((max(found) - min(found)) / min(found))
        changes = [change(runs[other][name] / number - 1) for other in others]
        rows.append([f"{number:,.2f}", *changes, change(spreads[-1]), name])
    yield from columns.lines([base, *others, "layouts", "case"], rows)
    if "A/A" in runs:
        moved = [abs(runs["A/A"][name] / number - 1) for name, number in runs[base].items()]
        yield f"A/A: {moved.count(0)} of {len(moved)} equal to the instruction, the largest change {max(moved):.5%}"
    if set(others) - {"A/A"}:
        middle = sorted(spreads)[len(spreads) // 2]
        yield f"layouts: {spreads.count(0)} of {len(spreads)} equal, median {middle:.3%}, largest {max(spreads):.3%}"


def change(part: float) -> str:
    return "equal" if part == 0 else f"{part:+.5%}"


if __name__ == "__main__":
    main()
