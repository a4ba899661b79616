"""A made-up torch in a repository, its wheel, a suite, and asv's configuration: for checks and bisections.

Eighteen commits; of the cases that the benchmark has, "work" gets dearer by 1 % at "costlier" and cheaper at "cheaper",
"other" dearer at "other costlier". "broken" cannot be imported. A submodule that cannot be fetched is part of it all.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.histories import SMALL_WORKER, small_history, small_wheel
from tests.projects import asv_program, configuration

BENCHMARKS = '''
from harness import Workload


class Work(Workload):
    """What the made-up torch does."""

    params = [["work", "other", "gpu"]]
    param_names = ["what"]
    calls = 10

    def setup(self, what):
        import torch

        if what == "gpu":
            raise NotImplementedError("no gpu here")
        self.work = getattr(torch, what)

    def work(self):
        raise NotImplementedError
'''
OTHER = "def other():\n    total = 0\n    for _ in range({turns}):\n        total += 2\n    return total\n"
NUMBER = "work.Work.track_instructions"


class Project:
    """A repository of the made-up torch, a suite, and asv's configuration for the two."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history = history = small_history(folder / "torch")
        turns = {"work": 1000, "other": 2000}

        def write(subject: str, **changed: int) -> None:
            turns.update(changed)
            history.write("torch/worker.py", SMALL_WORKER.format(turns=turns["work"]))
            history.write("torch/another.py", OTHER.format(turns=turns["other"]))
            history.commit(subject)

        history.edit("torch/__init__.py", lambda text: text + "from torch.another import other\n")
        history.write(".gitmodules", '[submodule "huge"]\n\tpath = huge\n\turl = /nowhere/huge.git\n')
        history.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},huge")
        (history.folder / "huge").mkdir()
        write("good")
        for subject in ("comment 1", "docs 2", "nn 3"):
            self._unrelated(subject)
        write("costlier", work=1010)
        self._unrelated("comment 5")
        write("other costlier", other=2100)
        self._unrelated("docs 7")
        history.edit("torch/worker.py", lambda text: "import torch._missing\n" + text)
        history.commit("broken")
        self._unrelated("docs 9")
        history.edit("torch/worker.py", lambda text: text.removeprefix("import torch._missing\n"))
        history.commit("mended")
        for subject in ("native 11", "comment 12", "nn 13"):
            self._unrelated(subject)
        write("cheaper", work=950)
        for subject in ("docs 15", "comment 16", "nn 17"):
            self._unrelated(subject)

        wheel = small_wheel(history, history.commits["good"], folder / "wheels", "1.0")
        (folder / "benchmarks").mkdir()
        (folder / "benchmarks/__init__.py").write_text("")
        (folder / "benchmarks/work.py").write_text(BENCHMARKS)
        settings = configuration("asv.pytorch.conf.json")
        settings["repo"] = "torch"
        commands = settings["install_command"]
        commands[0] = f"in-dir={{env_dir}} python -m pip install --no-index --no-deps {wheel}"
        commands[1] = commands[1].replace("{conf_dir}", str(ROOT))
        (folder / "asv.pytorch.conf.json").write_text(json.dumps(settings))
        (folder / ".gitconfig").write_text("[submodule]\n\trecurse = true\n\tactive = .\n")

    def _unrelated(self, subject: str) -> None:
        path = {"comment": "torch/worker.py", "docs": "docs/index.rst", "nn": "torch/nn/__init__.py"}
        self.history.edit(path.get(subject.split()[0], "torch/csrc/native.cpp"), lambda text: f"{text}# {subject}\n")
        self.history.commit(subject)

    def environment(self) -> dict[str, str]:
        cache = str(self.folder / "cache")
        return {**os.environ, "HOME": str(self.folder), "XDG_CACHE_HOME": cache, "HARNESS_CORES": "2"}

    def asv(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self._run(asv_program(), "--config", "asv.pytorch.conf.json", *arguments, **variables)

    def bisect(self, good: str, bad: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """With the counter that needs no valgrind, unless told otherwise."""
        if "--confirm" not in arguments:
            arguments = ("--counter", "opcodes", "--confirm", "opcodes", *arguments)
        commits = self.history.commits
        names = [commits.get(good, good), commits.get(bad, bad)]
        return self._run(sys.executable, "-m", "harness", "bisect", *names, "work.Work", *arguments, **variables)

    def check(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`harness check` of the whole suite, with the counter that needs no valgrind, unless told otherwise. An
        argument that is the subject of a commit stands for the commit."""
        return self.command("check", *arguments, **variables)

    def command(self, name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        names = [self.history.commits.get(name, name) for name in arguments]
        if "--counter" not in arguments:
            names += ["--counter", "opcodes"]
        if "--suite" not in arguments:
            names += ["--suite", "full"]
        return self._run(sys.executable, "-m", "harness", name, *names, **variables)

    def start(self, *words: str, **keywords: Any) -> subprocess.Popen[str]:
        """A command that is still running. ctrl-C reaches it also where whoever runs the tests has it ignored."""
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *words],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **keywords,
        )

    def found(self, good: str, bad: str, *arguments: str, status: int = 0, **variables: str) -> dict:
        answer = self.bisect(good, bad, "--json", *arguments, **variables)
        assert answer.returncode == status, answer.stdout + answer.stderr
        return json.loads(answer.stdout)

    def _run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        surroundings = {**self.environment(), **variables}
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300, env=surroundings)

    def result(self, subject: str, counter: str = "readable") -> list[float | None]:
        commit = self.history.commits[subject]
        (path,) = self.folder.glob(f".asv/pytorch/results/*/{commit[:8]}-*{counter}.json")
        return json.loads(path.read_text())["results"][NUMBER][0]

    def forget(self) -> None:
        """Remove every saved result."""
        for path in self.folder.glob(".asv/pytorch/results/*/*-*.json"):
            path.unlink()
