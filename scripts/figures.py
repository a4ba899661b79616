"""Make the figures in README.md and docs anew, of what is kept under .asv.

    python scripts/figures.py

A figure stands between the lines `<!-- figures: NAME -->` and `<!-- end of figures -->`, with the commit, the machine
and the date that it was counted with. A place whose figure cannot be made stays as it is; the exit status is 1 then.
"""

from __future__ import annotations

import csv
import datetime
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.cli.costs import lines
from harness.engine import progress
from harness.errors import HarnessError
from harness.store import costs
from harness.store.records import KeptCount
from harness.suite import suites

ROOT = Path(__file__).parent.parent
ASV = ROOT / ".asv"
PLACE = re.compile(r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
_FIRST, _PHASES = "dtensor.Detach", ("aotdispatcher.AOTDispatcher", ("False", "False", "cpu"))
_ROWS = 5


def main() -> int:
    """Print what was filled, and what was not and why; the exit status."""
    pages = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if places(path.read_text())]
    made: dict[str, str] = {}
    failed = []
    for name in sorted({name for page in pages for name in places(page.read_text())}):
        try:
            made[name] = FIGURES[name]()
        except (HarnessError, subprocess.CalledProcessError, KeyError) as error:
            failed.append(f"{name}: {error}")
    for page in pages:
        page.write_text(filled(page.read_text(), made))
    print(f"made: {', '.join(made) or 'nothing'}")
    print("".join(f"not made: {line}\n" for line in failed), end="", file=sys.stderr)
    return int(bool(failed))


def places(text: str) -> list[str]:
    """The names of the figures that stand in a page."""
    return [match[2] for match in PLACE.finditer(text)]


def filled(text: str, figures: Mapping[str, str]) -> str:
    """The page with new figures, in the places that there are figures for."""
    return PLACE.sub(
        lambda place: f"{place[1]}\n{figures[place[2]]}\n\n{place[3]}" if place[2] in figures else place[0], text
    )


def conditions(counted: Iterable[KeptCount]) -> str:
    """What counts were taken with, as a sentence in italics."""
    found = list(counted)
    commits = ", ".join(sorted({each.record["commit"][:10] for each in found}))

    def facts(name: str) -> str:
        return " and ".join(sorted({each.fingerprint[name].split()[0] for each in found if name in each.fingerprint}))

    versions = {
        "valgrind": facts("valgrind").removeprefix("valgrind-"),
        "Python": facts("python"),
        "torch": facts("torch") or facts("package torch"),
    }
    told = [f"{name} {version}" for name, version in versions.items() if version]
    return f"*Commit {commits}, counted {days(found)} on {machine()}; {', '.join(told)}.*"


def days(counted: Iterable[KeptCount]) -> str:
    """The day on which counts were kept, or the first and the last."""
    found = sorted(datetime.datetime.fromtimestamp(each.kept_at, datetime.UTC).date().isoformat() for each in counted)
    return found[0] if found[0] == found[-1] else f"{found[0]} to {found[-1]}"


def machine() -> str:
    """The cores and the processor of this machine."""
    match = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{len(os.sched_getaffinity(0))} cores, {match[1].strip() if match else 'an unknown processor'}"


# The figures


def first_count() -> str:
    """What `make bench` prints of one benchmark, and what `explain` then tells."""
    newest = [each for each in costs.newest(ASV, "callgrind", f"^{re.escape(_FIRST)}$") if each.has_profile]
    # The last run may have been another counter's: what it skipped is skipped by each, what it counted is not alike.
    counted = {event["case"]: event for event in map(_event, newest)}
    events = {event["case"]: event for event in _events() if event["state"] == "skipped"} | counted
    lines = [progress.line(event) for event in events.values()]
    commit = newest[0].record["commit"][:10]
    words = ["explain", _FIRST, "--param", "device=cpu", "--rows", str(_ROWS), commit]
    told = _harness(*words).rstrip()
    functions = told.split("\n\n")[-1]
    head = told.partition("\n\n")[0]
    return "\n".join(
        [
            "```console",
            f"$ make bench BENCH={_FIRST.rpartition('.')[2]}",
            *(line for line in lines if line is not None),
            f"$ .venv/bin/harness {' '.join(words[:-1])}",
            head,
            functions,
            "```",
            "",
            conditions(newest),
        ]
    )


def _events() -> list[dict[str, Any]]:
    """What the last `make bench` told of the benchmark's cases, if it counted them."""
    try:
        told = map(progress.decode, (ASV / "progress.jsonl").read_text().splitlines())
    except OSError:
        return []
    return [event for event in told if event and event["event"] == "end" and event["case"].startswith(f"{_FIRST}(")]


def _event(each: KeptCount) -> dict[str, Any]:
    record = each.record
    return {
        "event": "end",
        "case": f"{each.case[0]}({', '.join(each.case[1])})",
        "state": "counted",
        "seconds": sum(record["seconds"].values()),
        "instructions": record["instructions per call"],
        "notes": each.notes,
    }


def what_it_cost() -> str:
    """The table of `harness costs`, once a whole suite is counted."""
    newest = costs.newest(ASV, "callgrind")
    known = {f"{each.case[0]}({', '.join(each.case[1])})" for each in newest}
    cases = [case for case in listed() if "cuda" not in case["parameters"].values()]
    for suite in reversed(suites.NAMES):
        if {case["name"] for case in cases if suites.holds(suite, case["suite"])} <= known:
            break
    else:
        raise HarnessError("no whole suite is kept: count one with `make bench SUITE=default`")
    return "\n".join(
        [f"All of the {suite} suite:", "", "```text", *lines(costs.costs(newest)), "```", "", conditions(newest)]
    )


def counts() -> str:
    """Every count of the quick suite, for other machines to meet."""
    newest = {f"{each.case[0]}({', '.join(each.case[1])})": each for each in costs.newest(ASV, "callgrind")}
    cases = [case for case in listed() if suites.holds("quick", case["suite"])]
    quick = [case["name"] for case in cases if "cuda" not in case["parameters"].values()]
    missing = [name for name in quick if name not in newest]
    if missing:
        raise HarnessError(f"not kept are {', '.join(missing)}: count the quick suite with `make bench`")
    rows = [f"| `{name}` | {newest[name].record['instructions per call']:,.2f} |" for name in quick]
    head = ["| case | instructions a call |", "| --- | ---: |"]
    return "\n".join([*head, *rows, "", conditions(newest[name] for name in quick)])


def rates() -> str:
    """How many instructions each counter counts in a second."""
    rows, used = [], []
    for counter in ("callgrind", "readable"):
        try:
            newest = costs.newest(ASV, counter)
        except HarnessError:
            continue
        compiling = [each for each in newest if each.record["calls"] == 1]  # of a small case, starting is most
        instructions = sum(each.record["total"] for each in compiling)
        seconds = sum(each.record["seconds"]["count"] for each in compiling)
        if compiling and seconds:
            used += compiling
            rows.append(f"| `{counter}` | {len(compiling)} | {instructions / seconds / 1e6:,.0f} million |")
    if not rows:
        raise HarnessError(
            "no case that holds one call is kept: count the default suite with `make bench SUITE=default`"
        )
    head = ["| counter | cases of one call | instructions counted in a second of one core |", "| --- | ---: | ---: |"]
    return "\n".join([*head, *rows, "", conditions(used)])


def phases() -> str:
    """The numbers of one run under the readable counter."""
    benchmark, parameters = _PHASES
    newest = [each for each in costs.newest(ASV, "readable", f"^{re.escape(benchmark)}$") if each.case[1] == parameters]
    if not newest:
        raise HarnessError(
            f"{benchmark}{parameters} is not kept by the readable counter: `make bench COUNTER=readable`"
        )
    record = newest[0].record
    numbers = "".join(f"{count / record['calls']:>22,.2f}  {name}\n" for name, count in record["numbers"].items())
    shown = " ".join(f"{name}={value}" for name, value in newest[0].parameters.items())
    words = " ".join(f"--param {name}={value}" for name, value in newest[0].parameters.items())
    return (
        f"```console\n$ .venv/bin/harness count {benchmark} {words} --counter readable\n"
        f"{record['instructions per call']:>18,.2f}  {shown}\n{numbers}```\n\n{conditions(newest)}"
    )


def beside_pytorch() -> str:
    """Our counts beside those that PyTorch's CI expects (pytorch_counts.csv), and their ratio."""
    with (ROOT / "scripts/pytorch_counts.csv").open(newline="") as file:
        expected = {row["case"]: (row["name"], int(row["instructions"])) for row in csv.DictReader(file)}
    newest = {f"{each.case[0]}({', '.join(each.case[1])})": each for each in costs.newest(ASV, "readable")}
    missing = sorted(expected.keys() - newest.keys())
    if missing:
        pattern = "|".join(sorted({re.escape(case.partition("(")[0]) for case in missing}))
        raise HarnessError(
            f"{len(missing)} cases are not kept by the readable counter: "
            f"`make bench COUNTER=readable SUITE=full BENCH='({pattern}).track_instructions'`"
        )
    rows, ratios = [], []
    for case, (name, theirs) in expected.items():
        ours = newest[case].record["instructions per call"]
        ratios.append(ours / theirs)
        rows.append(f"| `{name}` | `{case}` | {ours:,.0f} | {theirs:,} | {ours / theirs:.2f} |")
    near = sum(0.9 <= ratio <= 1.1 for ratio in ratios)
    return "\n".join(
        [
            f"Of {len(ratios)} cases {near} are within a tenth:",
            "",
            "| name there | case here | ours | PyTorch's | ours to theirs |",
            "| --- | --- | ---: | ---: | ---: |",
            *rows,
            "",
            conditions(newest[case] for case in expected),
        ]
    )


def sizes() -> str:
    """How many cases each suite has, by file."""
    cases = listed()
    files = sorted({case["benchmark"].partition(".")[0] for case in cases})
    head = ["| file | quick | default | full |", "| --- | ---: | ---: | ---: |"]

    def row(name: str, found: list[dict[str, Any]]) -> str:
        numbers = (sum(suites.holds(suite, case["suite"]) for case in found) for suite in suites.NAMES)
        return f"| {name} | {' | '.join(str(number) for number in numbers)} |"

    rows = [row(f"`{file}`", [case for case in cases if case["benchmark"].startswith(f"{file}.")]) for file in files]
    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    return "\n".join([*head, *rows, row("all", cases), "", f"*Listed by `harness list` at commit {commit}, {day}.*"])


def listed() -> list[dict[str, Any]]:
    """Every case, as `harness list` tells it."""
    found: list[dict[str, Any]] = json.loads(_harness("list", "--json"))
    return found


def _harness(*words: str) -> str:
    command = [sys.executable, "-m", "harness", *words]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


#: By the name that stands in a page.
FIGURES: dict[str, Callable[[], str]] = {
    "beside-pytorch": beside_pytorch,
    "costs": what_it_cost,
    "counts": counts,
    "first-count": first_count,
    "phases": phases,
    "rates": rates,
    "sizes": sizes,
}


if __name__ == "__main__":
    sys.exit(main())
