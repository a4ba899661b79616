"""Whole runs through asv, under valgrind, on a pure-Python project made here: a few seconds each.

The project's commits: `first`; `equal`, which touches only the README; `slower`, whose function costs 1 % more; and
`renamed`, which again costs the same.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, our_processes, wait_until

ASV = str(Path(sys.executable).with_name("asv"))
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
FAILING = """
import time
from harness import Workload

class Fails(Workload):
    def work(self):
        raise ValueError("this one fails")

class Hangs(Workload):
    def work(self):
        time.sleep(1000)
"""


class Repository:
    """A project with its suite, and asv in it."""

    said = ""

    def __init__(self, folder: Path, project: str | None = None, benchmarks: str = BENCHMARKS) -> None:
        """The commits that every test of this file knows; none for a `project` of another kind."""
        self.folder = folder
        (folder / "benchmarks").mkdir(parents=True)
        self.write("benchmarks/__init__.py", "")
        self.write("benchmarks/work.py", benchmarks)
        configuration = _configuration("asv.conf.json")
        copy = "import shutil, sysconfig; shutil.copy('{build_dir}/project.py', sysconfig.get_path('purelib'))"
        configuration["install_command"] = [f'python -c "{copy}"', configuration["install_command"][1]]
        configuration["install_command"][1] = configuration["install_command"][1].replace("{conf_dir}", str(ROOT))
        self.write("asv.conf.json", json.dumps(configuration))
        configuration["matrix"] = _configuration("asv.readable.conf.json")["matrix"]
        self.write("asv.readable.conf.json", json.dumps(configuration))
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
            [ASV, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=300, env=self.environment()
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
        return {**os.environ, "HOME": str(self.folder)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [ASV, *arguments],
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
        return json.loads(path.read_text())["results"][f"{benchmark}.track_instructions"][0]


def _configuration(name: str) -> dict:
    lines = (ROOT / name).read_text().splitlines()
    return json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))


def test_the_two_configurations_differ_in_the_counter_only():
    default, readable = _configuration("asv.conf.json"), _configuration("asv.readable.conf.json")
    assert default.pop("matrix") == {"env_nobuild": {"HARNESS_COUNTER": ["callgrind"]}}
    assert readable.pop("matrix") == {"env_nobuild": {"HARNESS_COUNTER": ["readable"]}}
    assert default == readable


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("asv") / "repository")
    assert made.asv("machine", "--yes").returncode == 0
    return made


def test_check_finds_no_problem(repository):
    answer = repository.asv("check")
    assert answer.returncode == 0 and "No problems found" in answer.stdout, answer.stdout + answer.stderr


def test_run_counts_skips_and_keeps(repository):
    answer = repository.asv("run", "--show-stderr", "HEAD^!")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "n/a" in answer.stdout and "skipped: no gpu here" in answer.stdout
    count, skipped = repository.result(repository.commits["renamed"], "work.Work")
    assert count > 1000 and (skipped is None or skipped != skipped)
    (kept,) = repository.folder.glob(f".asv/counts/{repository.commits['renamed']}/*/work.Work/cpu/count.json")
    assert json.loads(kept.read_text())["instructions per call"] == count


def test_the_readable_counter_gives_the_same_number_in_a_series_of_its_own(repository):
    commit = repository.commits["renamed"]
    answer = repository.asv("--config", "asv.readable.conf.json", "run", "--show-stderr", "HEAD^!")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    readable = repository.result(commit, "work.Work", "readable")[0]
    assert readable == pytest.approx(repository.result(commit, "work.Work")[0], rel=1e-4)
    kept = repository.folder.glob(f".asv/counts/{commit}/*/work.Work/cpu/count.json")
    assert {json.loads(path.read_text())["fingerprint"]["counter"] for path in kept} == {"callgrind", "readable"}


def test_continuous_flags_one_percent_and_not_nothing(repository):
    first, equal, slower, renamed = repository.commits.values()
    answer = repository.asv("continuous", "--factor", "1.005", equal, slower)
    assert answer.returncode == 1 and "PERFORMANCE DECREASED" in answer.stdout, answer.stdout + answer.stderr
    for base, head in ((first, equal), (slower, renamed)):
        answer = repository.asv("continuous", "--factor", "1.0001", base, head)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "NOT SIGNIFICANTLY CHANGED" in answer.stdout
    assert repository.result(first, "work.Work")[0] == repository.result(equal, "work.Work")[0]
    ratio = repository.result(slower, "work.Work")[0] / repository.result(first, "work.Work")[0]
    assert 1.009 < ratio < 1.012  # the ten turns added are dearer than the first, whose small numbers exist already


def test_find_names_the_commit(repository):
    first, renamed = repository.commits["first"], repository.commits["renamed"]
    answer = repository.asv("find", f"{first}~0..{renamed}", "work.Work")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"Greatest regression found: {repository.commits['slower'][:8]}" in answer.stdout, answer.stdout


def test_compare_show_and_publish_read_the_results(repository):
    first, slower = repository.commits["first"], repository.commits["slower"]
    compared = repository.asv("compare", "--factor", "1.005", first, slower)
    assert "work.Work" in compared.stdout and "1.01" in compared.stdout
    assert "work.Work.track_instructions" in repository.asv("show", slower).stdout
    assert repository.asv("publish").returncode == 0
    index = json.loads((repository.folder / ".asv/html/index.json").read_text())
    benchmark = index["benchmarks"]["work.Work.track_instructions"]
    assert benchmark["unit"] == "instructions"
    assert "class Work(Workload):" in benchmark["code"] and "setup_cache" not in benchmark["code"]


def test_an_edited_workload_counts_at_once_and_starts_a_new_series(repository):
    before = repository.result(repository.commits["renamed"], "work.Work")[0]
    repository.write(
        "benchmarks/work.py", BENCHMARKS.replace("return self.project.work()", "self.project.work()\n" * 2)
    )
    try:
        text = BENCHMARKS.replace("return self.project.work()", "return self.project.work(), self.project.work()")
        repository.write("benchmarks/work.py", text)
        listed = json.loads((repository.folder / ".asv/results/benchmarks.json").read_text())
        assert repository.asv("run", "HEAD^!").returncode == 0
        again = json.loads((repository.folder / ".asv/results/benchmarks.json").read_text())
        assert 1.9 < repository.result(repository.commits["renamed"], "work.Work")[0] / before < 2.1
        name = "work.Work.track_instructions"
        assert listed[name]["version"] != again[name]["version"]
    finally:
        repository.write("benchmarks/work.py", BENCHMARKS)


def test_two_runs_at_once_do_not_disturb_each_other(repository):
    # Not in the same instant: asv writes its machine.json when it starts, and a second asv may read it half written.
    runs = [repository.start("run", "HEAD^!")]
    assert wait_until(lambda: any("harness.supervisor" in command for command in our_processes().values()), 60)
    runs.append(repository.start("run", "HEAD^!"))
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    numbers = {line.split()[-1] for output in outputs for line in output.splitlines() if " cpu " in line}
    assert len(numbers) == 1, outputs


@pytest.fixture
def failing(repository):
    repository.write("benchmarks/fails.py", FAILING)
    yield repository
    (repository.folder / "benchmarks/fails.py").unlink()


def test_a_workload_that_raises_fails_the_run_with_its_traceback_and_not_the_others(failing):
    answer = failing.asv("run", "--show-stderr", "--bench", "Fails", "--bench", "work.Work", "HEAD^!")
    assert answer.returncode == 2
    assert "ValueError: this one fails" in answer.stdout and "in work" in answer.stdout, answer.stdout
    assert failing.result(failing.commits["renamed"], "work.Work")[0] > 1000
    assert list(failing.folder.glob(".asv/failures/*fails.Fails*/output.txt"))


def test_without_valgrind_every_benchmark_fails_with_the_cure(repository, tmp_path):
    shims = tmp_path / "bin"
    shims.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        if os.path.isdir(folder):
            for tool in os.listdir(folder):
                if tool != "valgrind" and not (shims / tool).is_symlink():
                    (shims / tool).symlink_to(os.path.join(folder, tool))
    answer = subprocess.run(
        [ASV, "run", "--show-stderr", "HEAD^!"],
        cwd=repository.folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**repository.environment(), "PATH": str(shims)},
    )
    assert answer.returncode == 2 and "no `valgrind` on PATH: install it" in answer.stdout, answer.stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-C", "kill -9"])
def test_nothing_is_left_when_asv_is_ended(failing, how):
    run = failing.start("run", "--bench", "Hangs", "HEAD^!")
    assert wait_until(lambda: any("callgrind" in command for command in our_processes().values()), 60), our_processes()
    time.sleep(3)  # the worker has come to its sleep
    os.killpg(run.pid, how) if how == signal.SIGINT else run.kill()
    run.communicate(timeout=60) if how == signal.SIGINT else run.wait(timeout=60)
    ours = lambda: [command for command in our_processes().values() if "harness" in command]  # noqa: E731
    assert wait_until(lambda: not ours()), ours()
    for pid in our_processes():  # asv's own, which it does not end when it is killed
        os.kill(pid, signal.SIGKILL)
