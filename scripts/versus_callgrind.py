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

from harness.engine import client
from harness.engine.settings import Settings
from harness.errors import CaseSkipped, HarnessError
from harness.protocol import Counted
from harness.suite import workload
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


def one_round(counter: str, pattern: str) -> tuple[float, Found]:
    """Seconds until the server was ready, and what every case gave."""
    workloads = all_workloads(ROOT / "benchmarks")
    began = time.monotonic()
    found: Found = {}
    with client.session(workload.configuration_for(workloads[0], counter=counter, ahead="nothing")) as directory:
        ready = time.monotonic() - began

        def count(asked: tuple[type[workload.Workload], tuple[object, ...], str]) -> None:
            case, params, name = asked
            try:
                found[name] = workload.ask(case, params, directory)
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
    width = max(map(len, reference[0]))
    print(f"\n{'':<{width}}{'instructions a call':>20}{'':>10}{'counted, s':>20}{'':>7}{'case, s':>16}{'spread':>18}")
    print(
        f"{'case':<{width}}{'callgrind':>20}{'difference':>10}{'callgrind':>12}{'readable':>8}"
        f"{'ratio':>7}{'callgr.':>8}{'readable':>8}{'callgr.':>9}{'readable':>9}"
    )
    sums = [0.0] * 4
    for name, counted in sorted(reference[0].items()):
        first, second = counted.instructions_per_call, other[0][name].instructions_per_call
        parts = [counted.seconds["count"], other[0][name].seconds["count"]]
        wholes = [sum(one.seconds.values()) for one in (counted, other[0][name])]
        spreads = [spread([found[name] for found in rounds[counter]]) for counter in COUNTERS]
        sums = [total + part for total, part in zip(sums, [*parts, *wholes], strict=True)]
        print(
            f"{name:<{width}}{first:>20,.2f}{second / first - 1:>+10.5%}{parts[0]:>12.1f}{parts[1]:>8.1f}"
            f"{parts[0] / parts[1]:>7.1f}{wholes[0]:>8.1f}{wholes[1]:>8.1f}{spreads[0]:>9.5%}{spreads[1]:>9.5%}"
        )
    print(
        f"{'all':<{width}}{'':>30}{sums[0]:>12.1f}{sums[1]:>8.1f}{sums[0] / sums[1]:>7.1f}"
        f"{sums[2]:>8.1f}{sums[3]:>8.1f}"
    )


def table_by_benchmark(rounds: dict[str, list[Found]]) -> None:
    """Of each benchmark: its cases, how many were equal to the instruction between counters and between rounds, by how
    much the others differed at most, and all seconds of its workers."""
    reference, other = (rounds[counter] for counter in COUNTERS)
    by_name: dict[str, list[str]] = {}
    for name in reference[0]:
        by_name.setdefault(name.partition("(")[0], []).append(name)
    print(f"\n{'benchmark':<32}{'cases':>6}{'equal':>6}{'differ by':>11}{'spread':>19}{'seconds':>19}")
    print(f"{'':<32}{'':>6}{'':>6}{'up to':>11}{'callgrind':>10}{'readable':>9}{'callgrind':>10}{'readable':>9}")
    for benchmark, names in sorted(by_name.items()):
        differences = [
            abs(other[0][name].instructions_per_call / reference[0][name].instructions_per_call - 1) for name in names
        ]
        spreads = [max(spread([found[name] for found in rounds[counter]]) for name in names) for counter in COUNTERS]
        seconds = [sum(sum(rounds[counter][0][name].seconds.values()) for name in names) for counter in COUNTERS]
        print(
            f"{benchmark:<32}{len(names):>6}{differences.count(0):>6}{max(differences):>11.5%}"
            f"{spreads[0]:>10.5%}{spreads[1]:>9.5%}{seconds[0]:>10.0f}{seconds[1]:>9.0f}"
        )


def spread(rounds: list[Counted]) -> float:
    counts = [counted.instructions_per_call for counted in rounds]
    return (max(counts) - min(counts)) / min(counts)


if __name__ == "__main__":
    main()
