"""Every case with both counters, on this machine, now: counts, seconds, and what of them is counting.

    python scripts/versus_callgrind.py [--bench REGEX] [--rounds N]

A round counts the whole suite on a new server of each counter, with all cores and cases run ahead, as asv run does.
"difference" is between the counters' counts, "counted" the seconds that the counted part took, "case" all seconds of
the worker. "spread" is that of the counts over the rounds (A/A).
"""

from __future__ import annotations

import argparse
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.engine import client
from harness.engine.settings import Settings
from harness.errors import CaseSkipped, HarnessError
from harness.protocol import Counted
from harness.report import columns
from harness.suite import counting
from harness.suite.cases import DeclaredWorkload
from harness.suite.selection import all_workloads

ROOT = Path(__file__).parent.parent
COUNTERS = ("callgrind", "readable")
Found = dict[str, Counted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="", help="only cases whose name matches this regular expression")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    rounds: dict[str, list[Found]] = {}
    for counter in COUNTERS:
        for number in range(arguments.rounds):
            began = time.monotonic()
            server, found = one_round(counter, arguments.bench)
            took = time.monotonic() - began
            print(f"{counter}, round {number + 1}: {took:.0f} s, of which {server:.0f} s server start", flush=True)
            rounds.setdefault(counter, []).append(found)
    table(rounds)
    table_by_benchmark(rounds)


def one_round(counter: str, pattern: str, **configuration: Any) -> tuple[float, Found]:
    """Seconds until the server was ready, and what every case gave. `configuration`: fields of Configuration."""
    workloads = all_workloads(ROOT / "benchmarks")
    began = time.monotonic()
    found: Found = {}
    started = counting.configuration_for(workloads[0], counter=counter, ahead="nothing", **configuration)
    with client.session(started) as directory:
        ready = time.monotonic() - began

        def count(asked: tuple[type[DeclaredWorkload], tuple[object, ...], str]) -> None:
            case, params, name = asked
            try:
                found[name] = counting.ask(case, params, directory)
            except CaseSkipped as reason:
                print(f"  {name} skipped: {reason}")
            except HarnessError as error:
                print(f"  {name} failed: {error}")

        suite = Settings.from_environment().suite
        asked = [
            (case, params, f"{case.benchmark()}({', '.join(map(str, params))})")
            for case in workloads
            for params in case.choices()
            if case.is_in(suite, params)
        ]
        with ThreadPoolExecutor(len(asked)) as pool:  # the supervisor takes as many at once as there are cores
            list(pool.map(count, [one for one in asked if re.search(pattern, one[2])]))
    return ready, found


def table(rounds: dict[str, list[Found]]) -> None:
    reference, other = (rounds[counter] for counter in COUNTERS)
    heads = ["case", "callgrind", "difference", "counted, s", "", "ratio", "case, s", "", "spread", ""]
    sums = [0.0] * 4
    rows = []
    for name, counted in sorted(reference[0].items()):
        first, second = counted.instructions_per_call, other[0][name].instructions_per_call
        parts = [counted.seconds["count"], other[0][name].seconds["count"]]
        wholes = [sum(one.seconds.values()) for one in (counted, other[0][name])]
        spreads = [spread([found[name] for found in rounds[counter]]) for counter in COUNTERS]
        sums = [total + part for total, part in zip(sums, [*parts, *wholes], strict=True)]
        instructions = [f"{first:,.2f}", f"{second / first - 1:+.5%}"]
        rows.append([name, *instructions, *seconds(*parts, *wholes), *(f"{each:.5%}" for each in spreads)])
    rows.append(["all", "", "", *seconds(*sums), "", ""])
    print("", *columns.lines(heads, [BELOW, *rows], names=[0]), sep="\n")


#: Under a head: which counter's figures stand there.
BELOW = ["", "", "", "callgrind", "readable", "", "callgrind", "readable", "callgrind", "readable"]


def seconds(part: float, other_part: float, whole: float, other_whole: float) -> list[str]:
    return [f"{part:.1f}", f"{other_part:.1f}", f"{part / other_part:.1f}", f"{whole:.1f}", f"{other_whole:.1f}"]


def table_by_benchmark(rounds: dict[str, list[Found]]) -> None:
    """Of each benchmark: its cases, how many were equal to the instruction between counters and between rounds, by how
    much the others differed at most, and all seconds of its workers."""
    reference, other = (rounds[counter] for counter in COUNTERS)
    by_name: dict[str, list[str]] = {}
    for name in reference[0]:
        by_name.setdefault(name.partition("(")[0], []).append(name)
    heads = ["benchmark", "cases", "equal", "differ by", "spread", "", "seconds", ""]
    rows = [["", "", "", "up to", "callgrind", "readable", "callgrind", "readable"]]
    for benchmark, names in sorted(by_name.items()):
        differences = [
            abs(other[0][name].instructions_per_call / reference[0][name].instructions_per_call - 1) for name in names
        ]
        spreads = [max(spread([found[name] for found in rounds[counter]]) for name in names) for counter in COUNTERS]
        taken = [sum(sum(rounds[counter][0][name].seconds.values()) for name in names) for counter in COUNTERS]
        figures = [str(len(names)), str(differences.count(0)), f"{max(differences):.5%}"]
        rows.append([benchmark, *figures, *(f"{each:.5%}" for each in spreads), *(f"{each:.0f}" for each in taken)])
    print("", *columns.lines(heads, rows, names=[0]), sep="\n")


def spread(rounds: list[Counted]) -> float:
    counts = [counted.instructions_per_call for counted in rounds]
    return (max(counts) - min(counts)) / min(counts)


if __name__ == "__main__":
    main()
