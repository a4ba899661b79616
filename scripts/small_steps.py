"""Whether steps of 0.1 % are named, and nothing else is: on repositories made of the installed torch's own Python.

    python scripts/small_steps.py [--rounds 10] [--first 1]

Of the 22 commits of each repository one makes `dtensor.Detach` dearer by about 0.1 %, one the tracing of
`aotdispatcher.AOTDispatcher(False, False)`, at places drawn anew in every round; the others change nothing that is
counted. `harness bisect` searches the whole range for each benchmark. Beside it `asv continuous` compares three
commits, each with the one before: the two, and one that changes nothing. A row a round. Exit status 1 if something was
missed, or named that changes nothing. The readable counter counts. Some six minutes a round on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from bisect_range import write_configuration  # noqa: E402 - beside this file

from harness.report import columns  # noqa: E402
from tests.histories import History, small_steps_history  # noqa: E402 - the tests' repositories serve here too

#: Which commit changes which case: its benchmark and its parameters, as asv writes them.
_STEPS = {
    "detach costlier": ("dtensor.Detach", {"device": "cpu"}),
    "tracing costlier": (
        "aotdispatcher.AOTDispatcher",
        {"training": "False", "subclass": "False", "device": "cpu"},
    ),
}
_COMMITS = 22
_ASV = str(Path(sys.executable).with_name("asv"))
#: Half of the steps, so that neither noise nor a step is near it.
_FACTOR = "1.0005"
_HEADINGS = [
    "round",
    "places",
    "bisect: Detach",
    "bisect: AOTDispatcher",
    "asv continuous",
    "probes",
    "minutes",
    "right",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1, help="the number of the first; chance follows from it")
    arguments = parser.parse_args()
    subprocess.run([_ASV, "machine", "--yes"], check=True, stdout=subprocess.DEVNULL)
    rows, right = [], True
    for number in range(arguments.first, arguments.first + arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="small-steps-") as folder:
            row, as_expected = one_round(number, Path(folder))
        rows.append(row)
        right = right and as_expected
        print("\n".join(columns.lines(_HEADINGS, rows, names=range(len(_HEADINGS)))), flush=True)
    sys.exit(not right)


def one_round(number: int, folder: Path) -> tuple[list[str], bool]:
    """A row of the table, and whether all was named that should be and nothing else."""
    began = time.monotonic()
    first, second, quiet = places = random.Random(number).sample(range(1, _COMMITS + 1), 3)
    history = small_steps_history(
        folder / "pytorch", Path(sysconfig.get_path("purelib")), (first, second), _COMMITS + 1
    )
    subjects = list(history.commits)
    configuration = write_configuration(folder)
    with ThreadPoolExecutor(1) as beside:
        pairs = [(subjects[at - 1], subjects[at]) for at in places]
        asked = beside.submit(compared, apart(configuration), history, pairs)
        told = [bisected(configuration, history, *case) for case in _STEPS.values()]
        flagged = asked.result()
    named = [
        {step["subject"]: step["percent"] for case in each["cases"] for step in case["steps"] if not step["noise"]}
        for each in told
    ]
    right = as_expected([set(each) for each in named], flagged, subjects[quiet])
    row = [
        str(number),
        ", ".join(map(str, places)),
        *(", ".join(f"{subject} {change:+.3f} %" for subject, change in each.items()) or "nothing" for each in named),
        "; ".join(f"{subject}: {', '.join(names) or 'nothing'}" for subject, names in flagged.items()),
        str(sum(len(each["probes"]) for each in told)),
        f"{(time.monotonic() - began) / 60:.1f}",
        "yes" if right else "NO",
    ]
    return row, right


def as_expected(named: list[set[str]], flagged: dict[str, set[str]], quiet: str) -> bool:
    """Whether the bisection of each benchmark named the commit that changes it and no other, and of each commit asv
    flagged the benchmark that it changes and no other; of `quiet` none."""
    expected = {subject: {benchmark} for subject, (benchmark, _) in _STEPS.items()}
    return named == [{subject} for subject in _STEPS] and flagged == {**expected, quiet: set()}


def bisected(configuration: Path, history: History, benchmark: str, params: dict[str, str]) -> dict[str, Any]:
    """What `harness bisect` tells of the whole range as JSON."""
    ends = [next(iter(history.commits.values())), list(history.commits.values())[-1]]
    command = [sys.executable, "-m", "harness", "bisect", "--json", "--config", str(configuration)]
    options = ["--confirm", "readable", *(f"--param={name}={value}" for name, value in params.items())]
    answer = subprocess.run([*command, *options, *ends, benchmark], stdout=subprocess.PIPE, text=True)
    if answer.returncode not in (0, 3):
        raise SystemExit(f"the bisection for {benchmark} broke: see above")
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def apart(configuration: Path) -> Path:
    """A configuration with an environment and results of its own, beside which a folder `tmp` is for scratch folders of
    its own: who uses it neither takes nor disturbs what is counted under the other one."""
    other = configuration.with_name("asv.continuous.conf.json")
    settings = json.loads(configuration.read_text())
    settings |= {"env_dir": str(ROOT / ".asv/continuous/env"), "results_dir": ".asv/continuous"}
    other.write_text(json.dumps(settings))
    other.with_name("tmp").mkdir()
    return other


def compared(configuration: Path, history: History, pairs: list[tuple[str, str]]) -> dict[str, set[str]]:
    """By the later subject of each pair: the benchmarks of which `asv continuous` says that they changed."""
    return {after: changed(configuration, history, before, after) for before, after in pairs}


def changed(configuration: Path, history: History, before: str, after: str) -> set[str]:
    cases = "|".join(
        re.escape(f"{benchmark}.track_instructions({', '.join(shown(value) for value in params.values())})")
        for benchmark, params in _STEPS.values()
    )
    answer = subprocess.run(
        [
            *(_ASV, "--config", str(configuration), "continuous", "--factor", _FACTOR),
            *("--bench", f"^({cases})$", history.commits[before], history.commits[after]),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(configuration.parent / "tmp")},
    )
    if answer.returncode not in (0, 1):
        raise SystemExit(f"asv continuous broke:\n{answer.stdout}")
    table = [line for line in answer.stdout.splitlines() if line.startswith("|")]
    return {benchmark for benchmark, _ in _STEPS.values() if any(benchmark in line for line in table)}


def shown(value: str) -> str:
    """A parameter's value as asv shows it in a case's name."""
    return value if value in ("True", "False") else repr(value)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
