"""How long `asv publish` takes with the reasons of many commits, and how large the pages are; and how long `explain`
and `diff` take on the largest case. Prints a table.

Usage: python scripts/publish_many.py [--commits 100]

Takes one commit that was counted here (`make bench`) and makes many of it in a temporary folder: each with other
instructions in every function of every profile, so that no two are equal and everything moved, which is the worst case.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.profile import model
from harness.store import records
from harness.store.records import KeptCount

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description="How long publishing many commits takes.")
    parser.add_argument("--commits", type=int, default=100)
    arguments = parser.parse_args()
    everything = [(commit, list(records.find(ROOT / ".asv", commit))) for commit in records.commits(ROOT / ".asv")]
    commit, found = max(everything, key=lambda each: len(each[1]), default=("", []))
    found = [each for each in found if each.has_profile]
    if not found:
        raise SystemExit("nothing is kept here with a profile: count something with `make bench`")
    (results,) = [path for path in (ROOT / ".asv/results").glob(f"*/{commit[:8]}-*") if "readable" not in path.name][:1]
    with tempfile.TemporaryDirectory(prefix="publish-") as name:
        folder = Path(name)
        commits = make(folder, arguments.commits, found, results)
        print(f"{len(found)} cases of {len({each.case[0] for each in found})} benchmarks, {len(commits)} commits")
        seconds = timed(folder, Path(sys.executable).with_name("asv"), "publish")
        html = folder / ".asv/html"
        sizes = f"{size(html) / 1e6:.1f} MB, {size(html / 'reasons') / 1e6:.1f} MB of it reasons"
        print(f"{'asv publish':<34} {seconds:>8.1f} s   {sizes}")
        largest = max(found, key=lambda each: (each.folder / "profile.json.gz").stat().st_size)
        chosen = [word for pair in largest.parameters.items() for word in ("--param", "=".join(pair))]
        case = f"{largest.case[0]} {' '.join(largest.case[1])}"
        views: list[list[str]] = [[], ["--python"]] if largest.by_python else [[]]
        for view in views:
            told = f"{case}{', by Python function' if view else ''}"
            explain = ["-m", "harness", "explain", largest.case[0], *chosen, *view, "--flame", "explain.svg"]
            print(f"{'explain':<34} {timed(folder, Path(sys.executable), *explain, commits[-1]):>8.2f} s   {told}")
            diff = ["-m", "harness", "diff", *commits[-2:], largest.case[0], *chosen, *view, "--flame", "diff.svg"]
            print(f"{'diff':<34} {timed(folder, Path(sys.executable), *diff):>8.2f} s   {told}")


def make(folder: Path, number: int, found: list[KeptCount], results: Path) -> list[str]:
    """A repository of `number` commits, with asv's results and kept counts of each."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    shutil.copy(ROOT / "asv.conf.json", folder)
    machine = folder / ".asv/results" / results.parent.name
    machine.mkdir(parents=True)
    shutil.copy(results.parent / "machine.json", machine)
    shutil.copy(results.parent.parent / "benchmarks.json", machine.parent)
    record = json.loads(results.read_text())
    commits = []
    for turn in range(number):
        git(folder, "commit", "--quiet", "--allow-empty", "--message", f"commit {turn}")
        commit = git(folder, "rev-parse", "HEAD")
        name = results.name.replace(record["commit_hash"][:8], commit[:8])
        (machine / name).write_text(json.dumps({**record, "commit_hash": commit, "date": record["date"] + turn}))
        for each in found:
            for view in filter(None, (each, each.by_python)):
                target = folder / ".asv/counts" / commit / view.folder.relative_to(each.folder.parents[2])
                target.mkdir(parents=True)
                (target / "count.json").write_text(json.dumps({**view.record, "commit": commit}))
                if turn:
                    changed = other(view.profile(), turn)
                    records.pack(target / "profile.json.gz", changed.encode())
                else:
                    shutil.copy(view.folder / "profile.json.gz", target)
        print(f"\rmade {turn + 1} of {number} commits", end="", file=sys.stderr, flush=True)
        commits.append(commit)
    print(file=sys.stderr)
    return commits


def other(profile: model.Profile, seed: int) -> model.Profile:
    """The same with up to a hundredth more instructions in every function."""
    chance = random.Random(seed)
    functions = {}
    native = {}
    for name, spent in profile.functions.items():
        more = chance.randint(0, spent.own // 100 + 1)
        functions[name] = dataclasses.replace(spent, own=spent.own + more, inclusive=spent.inclusive + more)
        below = profile.native.get(name)
        if below:
            first = next(iter(below))
            native[name] = {**below, first: below[first] + more}
    total = sum(spent.own for spent in functions.values())
    return dataclasses.replace(profile, total=total, functions=functions, native=native or profile.native)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def timed(folder: Path, *command: str | Path) -> float:
    began = time.monotonic()
    answer = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True)
    if answer.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{answer.stdout}{answer.stderr}")
    return time.monotonic() - began


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
