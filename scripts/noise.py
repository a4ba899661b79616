"""How far counts move when nothing changed (A/A), and when something irrelevant did (layout).

    python scripts/noise.py [--case BENCHMARK:value,value ...] [--only aa|layout]

A/A counts every case on two servers in opposite order and once alone on a third. Layout counts it on servers that
differ in something no count should depend on. The spread is (largest - smallest) / smallest.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import session, workload
from harness.selection import find

ROOT = Path(__file__).parent.parent
DEFAULT = (
    "dtensor.Detach:cpu",
    "runtime_overhead.Add1:plain,False,cpu",
    "runtime_overhead.Add1:backward,False,cpu",
    "aotdispatcher.AOTDispatcher:False,False,cpu",
    "pointwise.Pointwise:Math/add/1,Python,Eager,Forward,1",
    "pointwise.Pointwise:Math/add/1,C++,Eager,Forward,1",
    "nn_modules.NNModules:GroupNorm,C++,Eager,Forward,1",
)
Case = tuple[type[workload.Workload], tuple[Any, ...]]
Counts = dict[str, float]
LAYOUTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "padding 8": {"padding": 8},
    "padding 40": {"padding": 40},
    "padding 120": {"padding": 120},
    "sqlite3 first": {"import_first": ("sqlite3",)},
    "wave first": {"import_first": ("wave",)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", help="a case; may be given again (default: seven)")
    parser.add_argument("--only", choices=["aa", "layout"], help="one of the two tables")
    arguments = parser.parse_args()
    names = arguments.case or list(DEFAULT)
    if arguments.only != "layout":
        in_order, in_reverse = count(names), count(names[::-1])
        alone = {name: count([name])[name] for name in names}
        table("A/A", names, {"in order": in_order, "reversed": in_reverse, "alone": alone})
    if arguments.only == "aa":
        return
    # Several servers at once, so that their scratch folders have different names: that is part of the measurement.
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        layouts = {label: pool.submit(count, names, **changes) for label, changes in LAYOUTS.items()}
        layouts["longer environment"] = pool.submit(count_in_longer_environment, names)
        layouts["one more benchmark"] = pool.submit(count_with_one_more_module, names)
        table("layout", names, {label: run.result() for label, run in layouts.items()})


def count(names: list[str], suite: Path = ROOT / "benchmarks", **changes: Any) -> Counts:
    """Instructions per call of each case, on one new server."""
    found = {name: parse(name, suite) for name in names}
    configuration = workload.configuration_for(
        next(iter(found.values()))[0], suite=str(suite), cores=1, ahead="nothing", **changes
    )
    with session.session(configuration) as directory:
        return {
            name: workload.ask(case, params, directory).instructions_per_call for name, (case, params) in found.items()
        }


def count_with_one_more_module(names: list[str]) -> Counts:
    """With another file in the suite's folder."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder, "benchmarks")
        shutil.copytree(ROOT / "benchmarks", suite, ignore=shutil.ignore_patterns("__pycache__"))
        (suite / "one_more.py").write_text((suite / "dtensor.py").read_text().replace("Detach", "OneMore"))
        return count(names, suite)


def count_in_longer_environment(names: list[str]) -> Counts:
    """With an environment that lies under a much longer path: a tree of links to this one's files."""
    with tempfile.TemporaryDirectory(suffix="-with-a-name-that-goes-on-and-on-for-a-while") as folder:
        environment = Path(folder, "environment")
        subprocess.run(["cp", "-as", str(Path(sys.prefix).resolve()), str(environment)], check=True)
        (environment / "pyvenv.cfg").unlink()
        shutil.copyfile(Path(sys.prefix, "pyvenv.cfg"), environment / "pyvenv.cfg")
        found: Counts = {}
        for name in names:
            benchmark, _, values = name.partition(":")
            case, params = parse(name, ROOT / "benchmarks")
            choice = [f"--param={key}={value}" for key, value in zip(case.param_names, params, strict=True)]
            answer = subprocess.run(
                [str(environment / "bin/python"), "-m", "harness", "count", benchmark, *choice],
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
            if answer.returncode != 0:
                raise SystemExit(f"{name} {values}: {answer.stderr}")
            found[name] = float(answer.stdout.split()[0].replace(",", ""))
        return found


def parse(name: str, suite: Path) -> Case:
    benchmark, _, values = name.partition(":")
    case = find(ROOT / "benchmarks" if suite.name == "benchmarks" else suite, benchmark)
    wanted = values.split(",") if values else []
    return case, next(params for params in case.choices() if [str(value) for value in params] == wanted)


def table(title: str, names: list[str], columns: dict[str, Counts]) -> None:
    print(f"\n{title}: instructions per call")
    for name in names:
        found = [counts[name] for counts in columns.values()]
        spread = (max(found) - min(found)) / min(found)
        print(f"  {name}  spread {spread:.5%}{'  equal' if spread == 0 else ''}")
        for label, counts in columns.items():
            print(f"    {label:<22}{counts[name]:>20,.2f}", flush=True)


if __name__ == "__main__":
    main()
