"""How long a bisection takes, and where the time goes: on a repository made of the installed torch's own Python.

    python scripts/bisect_range.py [--commits 64] [--benchmark dtensor.Detach] [--param name=value] [--quiet-commits]

The range holds three commits that change counts, one that cannot be imported, and others that cannot matter. By default
every one of these touches some Python, so that every commit is a tree of its own: the worst case. With --quiet-commits
they are what a repository is full of: docs, comments, native files, other subsystems. Only the range up to
"tracing costlier" is searched, which has one commit that makes DTensor's dispatch dearer by about 1 %.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from harness.report import columns  # noqa: E402
from tests.histories import torch_history  # noqa: E402 - the tests' repositories serve here too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=64)
    parser.add_argument("--benchmark", default="dtensor.Detach")
    parser.add_argument("--param", action="append", default=None)
    parser.add_argument("--quiet-commits", action="store_true")
    arguments = parser.parse_args()
    params = [f"--param={each}" for each in arguments.param or ["device=cpu"]]
    with tempfile.TemporaryDirectory(prefix="bisect-range-") as folder:
        began = time.monotonic()
        # Of the whole history the first two thirds are searched, from its first commit to one before the cheaper.
        history = torch_history(
            Path(folder, "pytorch"),
            Path(sysconfig.get_path("purelib")),
            length=arguments.commits * 3 // 2,
            all_python=not arguments.quiet_commits,
        )
        print(f"made {len(history.commits)} commits in {time.monotonic() - began:.0f} s", flush=True)
        configuration = write_configuration(Path(folder))
        commits = list(history.commits.values())
        command = [sys.executable, "-m", "harness", "bisect", "--json", "--config", str(configuration), *params]
        answer = subprocess.run(
            [*command, commits[0], commits[arguments.commits - 1], arguments.benchmark],
            stdout=subprocess.PIPE,
            text=True,
        )
        if answer.returncode == 1:
            raise SystemExit("the bisection broke: see above")
        table(json.loads(answer.stdout))


def write_configuration(folder: Path) -> Path:
    """asv's configuration of this project, for the repository in `folder` and with results of its own there."""
    text = (ROOT / "asv.pytorch.conf.json").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("//")]
    configuration = json.loads("\n".join(lines).replace("{conf_dir}", str(ROOT)))
    configuration |= {
        "repo": str(folder / "pytorch"),
        "benchmark_dir": str(ROOT / "benchmarks"),
        "env_dir": str(ROOT / ".asv/pytorch/env"),
    }
    target = folder / "asv.pytorch.conf.json"
    target.write_text(json.dumps(configuration))
    return target


def table(told: dict) -> None:  # type: ignore[type-arg]
    noise = max(case["noise"] or 0.0 for case in told["cases"])
    print(f"\n{told['outcome']}, in {told['seconds']:.0f} s on {told['cores']} cores; noise {noise:.2%}")
    for case in told["cases"]:
        for step in case["steps"]:
            mark = "noise: " if step["noise"] else ""
            print(f"  {case['case']}  {mark}{step['commit'][:10]} {step['subject']}  {step['percent']:+.3f} %")
    phases = ["tree", "server start", "count", "end"]
    rows = []
    for probe in told["probes"]:
        label = probe["counter"] + (" *" if probe["layout"] else "")
        rows.append([probe["commit"][:10], label, *(f"{probe.get(name, 0):.1f} s" for name in phases)])
    sums = [sum(probe.get(name, 0) for probe in told["probes"]) for name in phases]
    rows.append([str(len(told["probes"])), "", *(f"{total:.1f} s" for total in sums)])
    print("", *columns.lines(["probe", "counter", *phases], rows, names=[0, 1]), sep="\n")
    print(f"outside of probes: {told['seconds'] - sum(sums) / told['cores']:.1f} s, if the cores were never idle")
    print("* in another memory layout" if any(probe["layout"] for probe in told["probes"]) else "")


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
