"""The same work through the harness and through torch.utils.benchmark.Timer.collect_callgrind, on this machine, now.

    python scripts/versus_timer.py [--only detach|add1|aot]

Prints a table: instructions per call, seconds per case, ratio. The harness's seconds are those of a case within a
suite run; its fork server starts once for the whole suite and has a row of its own. "counting" is the share of a case's
seconds in which instructions are counted, at Callgrind's own rate. Timer counts all of `work`, the harness the
workload's region, so that compile cases differ in their counts by what lies outside Dynamo's compile step, the reset
before each call among it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness import session, workload
from harness.__main__ import find
from harness.torch_rules import TorchRules

ROOT = Path(__file__).parent.parent
CASES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "detach": ("dtensor.Detach", ("cpu",)),
    "add1": ("runtime_overhead.Add1", ("plain", False, "cpu")),
    "aot": ("aotdispatcher.AOTDispatcher", (False, False, "cpu")),
}
TIMER = """
from torch.utils.benchmark import Timer
stats = Timer(
    "{statement}",
    setup='''
import sys
sys.path.insert(0, {root!r})
from benchmarks.{module} import {name}
workload = {name}()
workload.setup(*{params!r})
workload.prepare()
workload.work()
workload.prepare()
''',
).collect_callgrind(number={calls})
print(stats.counts() / {calls})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CASES, action="append", help="only this case; may be given again")
    wanted = {name: CASES[name] for name in parser.parse_args().only or CASES}
    found = {name: find(ROOT / "benchmarks", benchmark) for name, (benchmark, _) in wanted.items()}

    print(f"{'case':<8}{'by':<10}{'instructions/call':>20}{'seconds':>10}{'counting':>10}", flush=True)
    ours: dict[str, float] = {}
    began = time.monotonic()
    configuration = workload.configuration_for(next(iter(found.values())), ahead="nothing", cores=1)
    with session.session(configuration) as directory:
        print(f"{'server':<8}{'harness':<10}{'':>20}{time.monotonic() - began:>10.1f}", flush=True)
        for name, (_, params) in wanted.items():
            began = time.monotonic()
            counted = workload.ask(found[name], params, directory)
            ours[name] = time.monotonic() - began
            share = counted.seconds["count"] / ours[name]
            row = f"{name:<8}{'harness':<10}{counted.instructions_per_call:>20,.0f}{ours[name]:>10.1f}{share:>10.0%}"
            print(row, flush=True)
    for name, (_, params) in wanted.items():
        began = time.monotonic()
        count = by_timer(found[name], params)
        seconds = time.monotonic() - began
        row = f"{name:<8}{'Timer':<10}{count:>20,.0f}{seconds:>10.1f}{'':>10}  {seconds / ours[name]:.1f} times as long"
        print(row, flush=True)


def by_timer(found: type[workload.Workload], params: tuple[Any, ...]) -> float:
    """Instructions per call as Timer counts them, in a process whose `python` is this interpreter."""
    module = found.__module__.rpartition(".")[2]
    # What compiles must be reset before each call, or only the first one of Timer's warm-up would compile.
    statement = "workload.prepare(); workload.work()" if found.region == "compile" else "workload.work()"
    script = TIMER.format(
        statement=statement, root=str(ROOT), module=module, name=found.__name__, params=params, calls=found.calls
    )
    environment = {**os.environ, **TorchRules().environment()}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    answer = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    if answer.returncode != 0:
        raise SystemExit(f"Timer failed:\n{answer.stderr[-3000:]}")
    return float(answer.stdout.split()[-1])


if __name__ == "__main__":
    main()
