"""Small pure-Python projects with a suite and asv in them, for whole runs that take seconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, RUNNING

PROJECT = "def work():\n    total = 0\n    for number in range({turns}):\n        total += number\n    return total\n"
BENCHMARKS = '''
from harness import Workload

class Work(Workload):
    """What the project does."""

    params = [["cpu", "gpu"]]
    param_names = ["device"]
    calls = 10

    def setup(self, device):
        import project

        if device == "gpu":
            raise NotImplementedError("no gpu here")
        self.project = project

    def work(self):
        return self.project.work()
'''


def asv_program() -> str:
    """asv's own program. Raises where the test that runs is not marked as one that runs asv: no fast test does."""
    assert RUNNING & {"asv", "torch"}, "a test that runs asv is to be marked with it: pytest.mark.asv"
    return str(Path(sys.executable).with_name("asv"))


class Repository:
    """A project with its suite, and asv in it."""

    said = ""
    #: Where its scratch folders are, which is part of a count; None: where every test has its own.
    temporary: Path | None = None

    def __init__(self, folder: Path, project: str | None = None, benchmarks: str = BENCHMARKS) -> None:
        """The commits that every test of this file knows; none for a `project` of another kind."""
        self.folder = folder
        (folder / "benchmarks").mkdir(parents=True)
        self.write("benchmarks/__init__.py", "")
        self.write("benchmarks/work.py", benchmarks)
        settings = configuration("asv.conf.json")
        copy = "import shutil, sysconfig; shutil.copy('{build_dir}/project.py', sysconfig.get_path('purelib'))"
        settings["install_command"] = [f'python -c "{copy}"', settings["install_command"][1]]
        settings["install_command"][1] = settings["install_command"][1].replace("{conf_dir}", str(ROOT))
        self.write("asv.conf.json", json.dumps(settings))
        settings["matrix"] = configuration("asv.readable.conf.json")["matrix"]
        self.write("asv.readable.conf.json", json.dumps(settings))
        self.git("init", "--quiet", "--initial-branch=main")
        self.commits = (
            {}
            if project is not None
            else {
                "first": self.commit(PROJECT.format(turns=1000), "first"),
                "equal": self.commit(None, "equal"),
                "slower": self.commit(PROJECT.format(turns=1010), "slower"),
                "renamed": self.commit(PROJECT.format(turns=1010).replace("number", "another"), "renamed"),
            }
        )

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def git(self, *arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(
            ["git", *names, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, project: str | None, message: str) -> str:
        if project is not None:
            self.write("project.py", project)
        self.write("README", message)
        self.git("add", "project.py", "README")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def asv(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [asv_program(), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            env=self.environment(),
        )

    def harness(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            env=self.environment(),
        )

    def environment(self) -> dict[str, str]:
        place = {} if self.temporary is None else {"TMPDIR": str(self.temporary)}
        return {**os.environ, "HOME": str(self.folder), **place}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [asv_program(), *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
            start_new_session=True,
            # Whoever runs the tests in the background has SIGINT ignored, and asv would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def result(self, commit: str, benchmark: str, counter: str = "callgrind") -> list[float | None]:
        (path,) = self.folder.glob(f".asv/results/*/{commit[:8]}-*{counter}*.json")
        found: list[float | None] = json.loads(path.read_text())["results"][f"{benchmark}.track_instructions"][0]
        return found


def configuration(name: str) -> dict[str, Any]:
    lines = (ROOT / name).read_text().splitlines()
    found: dict[str, Any] = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    return found


#: A project whose suite has two parameters: four cases, of two functions.
TWO_FUNCTIONS = """
def add_up(turns):
    total = 0
    for number in range(turns):
        total += number
    return total


def sort(words):
    return sorted(words, key=len)


def work(turns):
    return add_up(turns), sort(["a", "bbb", "cc"] * 20)
"""
FOUR_CASES = '''
from harness import Workload

class Work(Workload):
    """What the project does."""

    params = [[100, 200], ["once", "twice"]]
    param_names = ["turns", "times"]
    calls = 10

    def setup(self, turns, times):
        import project

        self.project, self.turns, self.times = project, turns, {"once": 1, "twice": 2}[times]

    def work(self):
        for _ in range(self.times):
            self.project.work(self.turns)
'''


def published(folder: Path) -> Repository:
    """Commits `first`; `costlier`, in one function; and `equal`, which costs what that one does; counted, two cases of
    the first two by Python function too, and published."""
    made = Repository(folder, TWO_FUNCTIONS, FOUR_CASES)
    made.temporary = folder.parent / "temporary"
    made.temporary.mkdir()
    made.commits = {
        "first": made.commit(TWO_FUNCTIONS, "first"),
        "costlier": made.commit(TWO_FUNCTIONS.replace("total += number", "total += number + 1"), "add_up is costlier"),
        "equal": made.commit(None, "the same again"),
    }
    assert made.asv("machine", "--yes").returncode == 0
    for commit in made.commits.values():
        answer = made.asv("run", "--show-stderr", f"{commit}^!")
        assert answer.returncode == 0, answer.stdout + answer.stderr
    for name in ("first", "costlier"):
        answer = made.harness("explain", "work.Work", "--python", "--param", "turns=100", made.commits[name])
        assert answer.returncode == 0, answer.stdout + answer.stderr
    answer = made.asv("publish")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    made.said = answer.stdout + answer.stderr
    return made
