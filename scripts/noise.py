"""How far counts move when nothing changed (A/A), and when something irrelevant did (layout): a row a case.

    python scripts/noise.py [--bench REGEX] [--only aa|layout] [--layout NAME ...]

A/A counts every case on two servers, in opposite orders. Layout counts it on servers that differ in something no count
should depend on, two servers at a time; a layout's column is the change against the first. The spread is
(largest - smallest) / smallest. Without --bench: every case that is no statement and not large, and three statements.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness import Statements, session, workload
from harness.errors import CaseSkipped
from harness.selection import every

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "benchmarks"
STATEMENTS = (
    "pointwise.Pointwise(Math/add/1, Python, Eager, Forward, 1)",
    "pointwise.Pointwise(Math/add/1, C++, Eager, Forward, 1)",
    "nn_modules.NNModules(GroupNorm, C++, Eager, Forward, 1)",
)
Case = tuple[type[workload.Workload], tuple[Any, ...]]
Counts = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", help="only cases with this regular expression in their names")
    parser.add_argument("--only", choices=["aa", "layout"], help="one of the two tables")
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="only these, and as it is")
    parser.add_argument("--json", action="store_true", help="count once and print that")
    arguments = parser.parse_args()
    cases = choose(arguments.bench)
    if arguments.json:
        print(json.dumps(count(cases)))
        return
    if arguments.only != "layout":
        cores = workload.cores()
        in_order = count(cases, cores)
        table("A/A", {"in order": in_order, "reversed": count(dict(reversed(cases.items())), cores)})
    if arguments.only != "aa":
        chosen = [name for name in LAYOUTS if not arguments.layout or name in ("as it is", *arguments.layout)]
        # Several servers at once, so that their scratch folders have different names: that is part of the measurement.
        with concurrent.futures.ThreadPoolExecutor(workload.cores()) as pool:
            runs = {name: pool.submit(LAYOUTS[name], cases) for name in chosen}
            table("layout", {name: run.result() for name, run in runs.items()})


def choose(bench: str | None) -> dict[str, Case]:
    """By name, the cases that `bench` finds, or those that a row is always due."""
    found = {}
    for each in every(SUITE):
        for params in each.choices():
            name = f"{each.benchmark()}({', '.join(map(str, params))})"
            due = name in STATEMENTS or not (issubclass(each, Statements) or each.large(*params))
            if (due if bench is None else re.search(bench, name)) and "cuda" not in params:
                found[name] = each, params
    return found


def count(cases: dict[str, Case], cores: int = 1, **changes: Any) -> Counts:
    """Instructions per call of each case, on one new server and so many cores; less those that are skipped."""
    suite = changes.pop("suite", str(SUITE))
    first = next(iter(cases.values()))[0]
    found: Counts = {}

    def ask(name: str) -> None:
        try:
            found[name] = workload.ask(*cases[name], directory).instructions_per_call
        except CaseSkipped as reason:
            print(f"{name}: skipped: {reason}", file=sys.stderr)
        print(f"\r{len(found)} of {len(cases)} cases", end="", file=sys.stderr, flush=True)

    configuration = workload.configuration_for(first, suite=suite, cores=cores, ahead="nothing", **changes)
    with session.session(configuration) as directory, concurrent.futures.ThreadPoolExecutor(cores) as pool:
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
    "as it is": count,
    "padding 8": partial(count, padding=8),
    "padding 40": partial(count, padding=40),
    "padding 120": partial(count, padding=120),
    "sqlite3 first": partial(count, import_first=("sqlite3",)),
    "wave first": partial(count, import_first=("wave",)),
    "longer environment": count_in_longer_environment,
    "one more benchmark": count_with_one_more_module,
}


def table(title: str, columns: dict[str, Counts]) -> None:
    first, *others = columns
    print(f"\n{title:<20} {first:>20} {' '.join(f'{name:>18}' for name in others)}    spread")
    spreads = []
    for name, base in columns[first].items():
        found = [counts[name] for counts in columns.values()]
        spreads.append((max(found) - min(found)) / min(found))
        changes = " ".join(f"{columns[other][name] / base - 1:>+18.5%}" for other in others)
        spread = "   equal" if spreads[-1] == 0 else f"{spreads[-1]:>8.4%}"
        print(f"{'':<20} {base:>20,.2f} {changes}  {spread}  {name}")
    middle = sorted(spreads)[len(spreads) // 2]
    print(f"{len(spreads)} cases, {spreads.count(0)} equal; median spread {middle:.4%}, largest {max(spreads):.4%}")


if __name__ == "__main__":
    main()
