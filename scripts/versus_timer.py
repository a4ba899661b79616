"""The same work through the harness and through torch.utils.benchmark.Timer.collect_callgrind, on this machine, now.

    python scripts/versus_timer.py [--only detach|add1|aot|python|cpp]

Prints a table: instructions per call, seconds per case, ratio. The harness's seconds are those of a case within a
suite run; its fork server starts once for the whole suite and has a row of its own. "counting" is the share of a case's
seconds in which instructions are counted, at Callgrind's own rate. Timer counts all of `work`, the harness the
workload's region, so that compile cases differ in their counts by what lies outside Dynamo's compile step, the reset
before each call among it. "python" and "cpp" are one statement of PyTorch's own instruction-count suite in both
languages; Timer compiles the C++ one with ninja, which must be on PATH. For these two a second table tells, function by
function, where the two counts differ.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness import Statements, protocol
from harness.engine import client
from harness.inside.pytorch.adapter import TorchRules
from harness.profile import callgrind_format
from harness.report import columns
from harness.suite import counting
from harness.suite.cases import DeclaredWorkload
from harness.suite.selection import find

Functions = dict[str, float]
ROOT = Path(__file__).parent.parent
CASES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "detach": ("dtensor.Detach", ("cpu",)),
    "add1": ("runtime_overhead.Add1", ("plain", False, "cpu")),
    "aot": ("aotdispatcher.AOTDispatcher", (False, False, "cpu")),
    "python": ("pointwise.Pointwise", ("Math/add/1", "Python", "Eager", "Forward", 1)),
    "cpp": ("pointwise.Pointwise", ("Math/add/1", "C++", "Eager", "Forward", 1)),
}
SETUP = """
import sys
sys.path.insert(0, {root!r})
from benchmarks.{module} import {name}
workload = {name}()
workload.setup(*{params!r})
workload.prepare()
workload.work()
workload.prepare()
"""
TIMER = """
import json, sys
from torch.utils.benchmark import Timer
arguments, calls = json.loads(sys.stdin.read())
stats = Timer(**arguments).collect_callgrind(number=calls, collect_baseline=False)
functions = {}
for count, function in stats.as_standardized().stats(inclusive=False):
    name = function.rpartition("/")[2].partition(" [")[0].partition(":")[2]
    functions[name] = functions.get(name, 0) + count / calls
print(json.dumps([stats.counts() / calls, functions]))
"""
#: Functions in the second table.
SHOWN = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CASES, action="append", help="only this case; may be given again")
    wanted = {name: CASES[name] for name in parser.parse_args().only or CASES}
    found = {name: find(ROOT / "benchmarks", benchmark) for name, (benchmark, _) in wanted.items()}

    print(f"{'case':<8}{'by':<10}{'instructions/call':>20}{'seconds':>10}{'counting':>10}", flush=True)
    ours: dict[str, tuple[float, float, Functions]] = {}
    began = time.monotonic()
    configuration = counting.configuration_for(
        next(iter(found.values())), ahead="nothing", cores=1, counter="callgrind"
    )
    with client.session(configuration) as directory:
        print(f"{'server':<8}{'harness':<10}{'':>20}{time.monotonic() - began:>10.1f}", flush=True)
        for name, (_, params) in wanted.items():
            began = time.monotonic()
            counted, functions = by_harness(found[name], params, directory)
            seconds = time.monotonic() - began
            ours[name] = counted.instructions_per_call, seconds, functions
            share = counted.seconds["count"] / seconds
            row = f"{name:<8}{'harness':<10}{counted.instructions_per_call:>20,.0f}{seconds:>10.1f}{share:>10.0%}"
            print(row, flush=True)
    for name, (_, params) in wanted.items():
        began = time.monotonic()
        count, functions = by_timer(found[name], params)
        seconds = time.monotonic() - began
        row = f"{name:<8}{'Timer':<10}{count:>20,.0f}{seconds:>10.1f}{'':>10}"
        print(
            f"{row}  {seconds / ours[name][1]:.1f} times as long, {ours[name][0] / count - 1:+.2%} by ours", flush=True
        )
        if issubclass(found[name], Statements):
            show_differences(ours[name][2], functions)


def by_harness(
    found: type[DeclaredWorkload], params: tuple[Any, ...], directory: Path
) -> tuple[protocol.Counted, Functions]:
    """The count, and instructions per call by function."""
    with client.asking(directory, protocol.Ask(found.case(params))) as report:
        if not isinstance(report, protocol.Counted) or report.profile is None:
            raise SystemExit(f"{found.benchmark()}: {report}")
        functions: Functions = {}
        for function, spent in callgrind_format.parse(Path(report.profile).read_text()).functions.items():
            functions[function.name] = functions.get(function.name, 0) + spent.own / report.calls
        return report, functions


def by_timer(found: type[DeclaredWorkload], params: tuple[Any, ...]) -> tuple[float, Functions]:
    """The same by Timer, in a process whose `python` is this interpreter."""
    environment = {**os.environ, **TorchRules().environment()}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    answer = subprocess.run(
        [sys.executable, "-c", TIMER],
        input=json.dumps([timer_arguments(found, params), found.calls]),
        env=environment,
        capture_output=True,
        text=True,
    )
    if answer.returncode != 0:
        raise SystemExit(f"Timer failed:\n{answer.stderr[-3000:]}")
    count, functions = json.loads(answer.stdout.splitlines()[-1])
    return float(count), functions


def timer_arguments(found: type[DeclaredWorkload], params: tuple[Any, ...]) -> dict[str, Any]:
    if issubclass(found, Statements):
        args = found.case_of(params).args
        return {**dataclasses.asdict(args), "language": args.language.value.lower()}
    # What compiles must be reset before each call, or only the first one of Timer's warm-up would compile.
    compiles = found.region == "compile"
    module = found.__module__.rpartition(".")[2]
    return {
        "stmt": "workload.prepare(); workload.work()" if compiles else "workload.work()",
        "setup": SETUP.format(root=str(ROOT), module=module, name=found.__name__, params=params),
    }


def show_differences(ours: Functions, timers: Functions) -> None:
    """Where the two differ most, in instructions per call."""
    changes = {name: ours.get(name, 0) - timers.get(name, 0) for name in ours.keys() | timers.keys()}
    rows = sorted(changes.items(), key=lambda item: (-abs(item[1]), item[0]))
    table = [
        [f"{ours.get(name, 0):,.1f}", f"{timers.get(name, 0):,.1f}", f"{change:+,.1f}", name[:70]]
        for name, change in rows[:SHOWN]
    ]
    rest = sum(change for _, change in rows[SHOWN:])
    sums = [f"{sum(functions.values()):,.1f}" for functions in (ours, timers)]
    table.append([*sums, f"{rest:+,.1f}", "all; the rest's difference"])
    print(*(f"  {line}" for line in columns.lines(["ours", "Timer", "difference", "function"], table)), sep="\n")


if __name__ == "__main__":
    main()
