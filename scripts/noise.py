"""How far counts move when nothing changed (A/A), and when something irrelevant did (layouts): a row a case.

    python scripts/noise.py [--suite quick] [--bench REGEX] [--only aa|layouts] [--layout NAME ...]
    python scripts/noise.py --suite default --only layouts --keep FOLDER --into benchmarks

A/A is a second server that is asked in the opposite order; a layout is a server that differs in something no count
should depend on, as users' servers differ: where the environment and the scratch folder lie, which packages are
installed, how long torch's version is, what else is in torch's Python. A column holds the changes against the first
server; the spread of layouts is (largest - smallest) / smallest of it and all of them. With `--into` that is kept as
the noise of each case in the suite's folder, where `harness check`, `harness bisect` and the pages find it. With
`--keep` each layout is kept when it is counted, and is not counted again under the same counting rules: what is
interrupted goes on.
Two runs at once take scratch folders of different names, which is a layout too: give this one a TMPDIR.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from harness.engine import client
from harness.engine.environment import COUNTING_RULES
from harness.errors import CaseSkipped, HarnessError
from harness.report import columns
from harness.store.noise import Measured, spread
from harness.suite import counting
from harness.suite.cases import DeclaredWorkload, chosen
from harness.suite.selection import all_workloads
from harness.suite.suites import NAMES

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "benchmarks"
Case = tuple[type[DeclaredWorkload], tuple[Any, ...]]
#: What one server counted: "counts", instructions per call by case; "fingerprints" by case; "failed", why by case.
Run = dict[str, dict[str, Any]]
#: Fewer layouts tell no noise that is worth keeping.
_LEAST_LAYOUTS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=NAMES, default="quick", help="which cases (default: %(default)s)")
    parser.add_argument("--bench", default="", help="of these, the cases whose asv name has this regular expression")
    parser.add_argument("--only", choices=["aa", "layouts"], help="one of the two tables")
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="only these layouts")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep each layout there, and take what is kept")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="keep the noise of each case in this suite")
    parser.add_argument("--json", action="store_true", help="count once and print that")
    arguments = parser.parse_args()
    cases = choose(arguments.suite, arguments.bench)
    if not cases:
        parser.error(
            f"--bench {arguments.bench!r} finds no case of the {arguments.suite} suite that can be counted here"
        )
    if arguments.json:
        print(json.dumps(count(cases)))
        return
    layouts = arguments.layout or list(LAYOUTS)
    if arguments.into and (arguments.only == "aa" or len(layouts) + 1 < _LEAST_LAYOUTS):
        parser.error(f"--into takes {_LEAST_LAYOUTS} layouts or more, as there are without --layout")
    asked: dict[str, Callable[[dict[str, Case]], Run]] = {"as it is": count}
    if arguments.only != "layouts":
        asked["A/A"] = in_the_opposite_order
    if arguments.only != "aa":
        asked |= {name: LAYOUTS[name] for name in layouts}
    runs = {}
    for name, counted in asked.items():
        print(f"{name}:", file=sys.stderr, flush=True)
        runs[name] = kept(arguments.keep, name, cases, counted)
    failed = {case: why for run in runs.values() for case, why in run["failed"].items()}
    print("\n".join(table({name: run["counts"] for name, run in runs.items()}, failed)))
    if arguments.into:
        write(arguments.into, {name: run for name, run in runs.items() if name != "A/A"}, failed)
    for case, why in failed.items():
        print(f"cannot be counted: {case}: {why}")
    sys.exit(bool(failed))


def choose(suite: str, bench: str) -> dict[str, Case]:
    """The cases by name, less those that cannot be counted on this machine."""
    every = list(chosen(all_workloads(SUITE), suite, re.compile(bench)))
    return {each.full_name(params): (each, params) for each, params in every if each.refused_here(params) is None}


def kept(folder: Path | None, name: str, cases: dict[str, Case], counted: Callable[[dict[str, Case]], Run]) -> Run:
    """What is kept of this layout, with what of it is still to be counted: also what other counting rules counted."""
    path = folder / f"{name.replace(' ', '_').replace('/', '')}.json" if folder else None
    run: Run = json.loads(path.read_text()) if path and path.exists() else {"counts": {}, "fingerprints": {}}
    old = {case for case, facts in run["fingerprints"].items() if facts["counting rules"] != str(COUNTING_RULES)}
    run = {part: {case: value for case, value in held.items() if case not in old} for part, held in run.items()}
    missing = {case: choice for case, choice in cases.items() if case not in run["counts"]}
    new = counted(missing) if missing else {"failed": {}}
    run = {**{part: run[part] | new.get(part, {}) for part in ("counts", "fingerprints")}, "failed": new["failed"]}
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(run))
    return {part: {case: value for case, value in held.items() if case in cases} for part, held in run.items()}


def count(cases: dict[str, Case], **changes: Any) -> Run:
    """Instructions per call of each case, on one new server; less those that are skipped."""
    suite = changes.pop("suite", str(SUITE))
    first = next(iter(cases.values()))[0]
    run: Run = {"counts": {}, "fingerprints": {}, "failed": {}}
    done = 0

    def ask(name: str) -> None:
        nonlocal done
        try:
            counted = counting.ask(*cases[name], directory)
            run["counts"][name], run["fingerprints"][name] = counted.instructions_per_call, counted.fingerprint
        except CaseSkipped as reason:
            print(f"\n{name}: skipped: {reason}", file=sys.stderr)
        except HarnessError as error:
            run["failed"][name] = str(error).partition("\n")[0]
        done += 1
        print(f"\r{done} of {len(cases)} cases", end="", file=sys.stderr, flush=True)

    configuration = counting.configuration_for(first, suite=suite, ahead="nothing", **changes)
    with client.session(configuration) as directory, ThreadPoolExecutor(configuration.cores) as pool:
        list(pool.map(ask, cases))
    print(file=sys.stderr)
    return run


# Layouts


def in_the_opposite_order(cases: dict[str, Case]) -> Run:
    return count(dict(reversed(cases.items())))


def with_one_more_module(cases: dict[str, Case]) -> Run:
    """With another file in the suite's folder."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder, "benchmarks")
        shutil.copytree(SUITE, suite, ignore=shutil.ignore_patterns("__pycache__"))
        (suite / "one_more.py").write_text((suite / "dtensor.py").read_text())
        return count(cases, suite=str(suite))


def in_longer_scratch_folder(cases: dict[str, Case]) -> Run:
    """With a scratch folder under a longer path, as a longer name of the user makes it, too."""
    with tempfile.TemporaryDirectory(suffix="-of-somebody-with-a-long-name") as folder:
        return elsewhere(cases, sys.executable, TMPDIR=folder)


def in_environment(change: Callable[[Path], None], cases: dict[str, Case]) -> Run:
    """In an environment under a much longer path, a tree of links to this one's files, in which something differs."""
    with tempfile.TemporaryDirectory(suffix="-with-a-name-that-goes-on-and-on") as folder:
        environment = Path(folder, "environment")
        subprocess.run(["cp", "-as", str(Path(sys.prefix).resolve()), str(environment)], check=True)
        (environment / "pyvenv.cfg").unlink()
        shutil.copyfile(Path(sys.prefix, "pyvenv.cfg"), environment / "pyvenv.cfg")
        (packages,) = environment.glob("lib/python*/site-packages")
        change(packages)
        return elsewhere(cases, str(environment / "bin/python"))


def elsewhere(cases: dict[str, Case], python: str, **variables: str) -> Run:
    """This script's counts of the same cases by another interpreter, or with other variables."""
    names = "|".join(sorted({f"^{re.escape(workload.asv_name(params))}$" for workload, params in cases.values()}))
    command = [python, __file__, "--json", "--suite", "full", "--bench", names]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables})
    if answer.returncode != 0:
        raise SystemExit(f"{python} could not count: see above")
    run: Run = json.loads(answer.stdout)
    return run


def as_it_is(packages: Path) -> None:
    """Nothing is changed: the path is another one."""


def with_one_more_package(packages: Path) -> None:
    for name in ("aardvark", "zymurgy"):
        (packages / f"{name}-1.0.dist-info").mkdir()
        (packages / f"{name}-1.0.dist-info/METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text("")


def with_longer_version(packages: Path) -> None:
    """torch's version with more letters, as a patch release or a nightly build has them."""
    version = packages / "torch/version.py"
    text = version.read_text()
    version.unlink()  # a link to the environment's own
    version.write_text(re.sub(r"(__version__ = ')[^'+]*", r"\g<0>.post20261231", text))


def with_another_commit(packages: Path) -> None:
    """What nobody calls, in modules that are imported first, in the middle and last."""
    for name in (
        "torch/_tensor.py",
        "torch/fx/node.py",
        "torch/_dynamo/utils.py",
        "torch/distributed/tensor/_dispatch.py",
    ):
        module = packages / name
        text = module.read_text()
        module.unlink()
        module.write_text(f"{text}\n\ndef nobody_calls_this(whatever):\n    return [whatever, 'nothing that counts']\n")


LAYOUTS: dict[str, Callable[[dict[str, Case]], Run]] = {
    "padding 40": partial(count, padding=40),
    "padding 120": partial(count, padding=120),
    "modules first": partial(count, import_first=("wave", "sqlite3")),
    "one more benchmark": with_one_more_module,
    "longer scratch folder": in_longer_scratch_folder,
    "longer environment": partial(in_environment, as_it_is),
    "one more package": partial(in_environment, with_one_more_package),
    "longer version": partial(in_environment, with_longer_version),
    "another commit": partial(in_environment, with_another_commit),
}


# What came of it


def table(runs: dict[str, dict[str, float]], failed: dict[str, str]) -> Iterator[str]:
    base, *others = runs
    rows, spreads = [], []
    cases = [case for case in runs[base] if case not in failed]
    for case in cases:
        number = runs[base][case]
        spreads.append(spread([counts[case] for run, counts in runs.items() if run != "A/A"]))
        changes = [change(runs[other][case] / number - 1) for other in others]
        rows.append([f"{number:,.2f}", *changes, change(spreads[-1]), case])
    if not rows:
        return
    yield from columns.lines([base, *others, "layouts", "case"], rows)
    if "A/A" in runs:
        moved = [abs(runs["A/A"][case] / runs[base][case] - 1) for case in cases]
        yield f"A/A: {moved.count(0)} of {len(moved)} equal to the instruction, the largest change {max(moved):.5%}"
    if set(others) - {"A/A"}:
        middle = sorted(spreads)[len(spreads) // 2]
        yield (
            f"layouts: {spreads.count(0)} of {len(spreads)} equal to the instruction, "
            f"{sum(part <= 0.0005 for part in spreads)} within 0.05 %, median {middle:.3%}, largest {max(spreads):.3%}"
        )


def change(part: float) -> str:
    return "equal" if part == 0 else f"{part:+.5%}"


def write(folder: Path, runs: dict[str, Run], failed: Collection[str]) -> None:
    """Add each case's noise to the file in this folder, under the fingerprint of the first run, and take out what was
    measured under other counting rules."""
    base, *others = runs.values()
    measured = Measured.read(folder).of_these_rules()
    for case, number in base["counts"].items():
        if case not in failed:
            counts = [number, *(run["counts"][case] for run in others)]
            measured = measured.with_counts(case, base["fingerprints"][case], counts)
    measured.write(folder)


if __name__ == "__main__":
    main()
