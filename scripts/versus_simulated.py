"""Every case with what is not counted run natively, and simulated: counts and seconds, on this machine, now.

    python scripts/versus_simulated.py [--bench REGEX] [--counter callgrind|readable]

Each of the two is a round on a server of its own, with all cores. "not counted" are the seconds that a worker took for
set-up and warming up; "difference" is that of the counts. Last, one command in a process of its own, both ways: as it
is, and once more by the server that the first one left waiting.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from versus_callgrind import ROOT, Found, one_round

from harness.engine.settings import COUNTER, NATIVE
from harness.protocol import Counted
from harness.report import columns

COMMAND = ("count", "dtensor.Detach", "--param", "device=cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="", help="only cases whose name matches this regular expression")
    parser.add_argument("--counter", default="readable", choices=("callgrind", "readable"))
    arguments = parser.parse_args()
    rounds: list[Found] = []
    wholes = []
    for native in (True, False):
        began = time.monotonic()
        ready, found = one_round(arguments.counter, arguments.bench, native=native)
        wholes.append((ready, time.monotonic() - began))
        rounds.append(found)
        print(f"{'native' if native else 'simulated'}: {wholes[-1][1]:.0f} s, {len(found)} cases", flush=True)
    table(*rounds)
    commands = [one_command(native, arguments.counter) for native in (True, False)]
    heads = ["seconds", "native", "simulated", "ratio"]
    rows = [
        ["server ready", *figures(*(ready for ready, _ in wholes))],
        ["cases not counted, all", *figures(*(sum(map(not_counted, found.values())) for found in rounds))],
        ["cases, all", *figures(*(sum(sum(one.seconds.values()) for one in found.values()) for found in rounds))],
        ["the round", *figures(*(whole for _, whole in wholes))],
        [f"harness {' '.join(COMMAND)}", *figures(*(first for first, _ in commands))],
        ["once more, of a server that waits", *figures(*(again for _, again in commands))],
    ]
    print("", *columns.lines(heads, rows, names=[0]), sep="\n")


def not_counted(counted: Counted) -> float:
    """Seconds of a worker outside of what it counts, where it counts once; with more layouts part is in "count"."""
    return sum(seconds for phase, seconds in counted.seconds.items() if phase not in ("count", "overhead"))


def figures(native: float, simulated: float) -> list[str]:
    return [f"{native:.1f}", f"{simulated:.1f}", f"{native / simulated:.2f}"]


def table(native: Found, simulated: Found) -> None:
    heads = ["case", "native", "difference", "not counted, s", "", "case, s", ""]
    rows = [["", "", "", "native", "simulated", "native", "simulated"]]
    differences = []
    for name, counted in sorted(native.items()):
        other = simulated[name]
        difference = counted.instructions_per_call / other.instructions_per_call - 1
        differences.append(abs(difference))
        seconds = [not_counted(counted), not_counted(other), sum(counted.seconds.values()), sum(other.seconds.values())]
        rows.append(
            [name, f"{counted.instructions_per_call:,.2f}", f"{difference:+.5%}", *(f"{each:.1f}" for each in seconds)]
        )
    print("", *columns.lines(heads, rows, names=[0]), sep="\n")
    equal, largest = differences.count(0), max(differences)
    print(f"\n{equal} of {len(differences)} cases equal to the instruction; the others by up to {largest:.5%}")


def one_command(native: bool, counter: str) -> tuple[float, float]:
    """Seconds of the command, and of a second one that finds a server waiting."""
    environment = {**os.environ, NATIVE: str(int(native)), COUNTER: counter}
    harness = [sys.executable, "-m", "harness"]

    def seconds(*words: str) -> float:
        began = time.monotonic()
        subprocess.run([*harness, *words], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - began

    first = seconds(*COMMAND)
    seconds(*COMMAND, "--wait")
    seconds(*COMMAND)  # by then it has imported what the suite imports
    again = seconds(*COMMAND)
    seconds("servers", "--stop")
    return first, again


if __name__ == "__main__":
    main()
