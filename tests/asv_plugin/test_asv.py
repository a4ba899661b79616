"""Whole runs through asv, under valgrind, on a pure-Python project made here: a few seconds each.

The project's commits: `first`; `equal`, which touches only the README; `slower`, whose function costs 1 % more; and
`renamed`, which again costs the same.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import our_processes, wait_until
from tests.projects import BENCHMARKS, Repository, asv_program, configuration

pytestmark = pytest.mark.asv

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


def test_the_two_configurations_differ_in_the_counter_only():
    default, readable = configuration("asv.conf.json"), configuration("asv.readable.conf.json")
    assert default.pop("matrix") == {"env_nobuild": {"HARNESS_COUNTER": ["callgrind"]}}
    assert readable.pop("matrix") == {"env_nobuild": {"HARNESS_COUNTER": ["readable"]}}
    assert default == readable


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asv")
    made = Repository(folder / "repository")
    made.temporary = folder / "temporary"  # one for all tests, which compare counts of different runs
    made.temporary.mkdir()
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
    assert wait_until(lambda: any("harness.engine.supervisor" in command for command in our_processes().values()), 60)
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
        [asv_program(), "run", "--show-stderr", "HEAD^!"],
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
    assert run.stdout is not None
    run.stdout.close()


UNSTABLE = """
from harness import Workload

ROUNDS = {"tiny": 10, "small": 100, "medium": 1000, "large": 10_000}

class Sorted(Workload):
    params = sorted(ROUNDS)
    param_names = ["size"]

    def setup(self, size):
        self.rounds = ROUNDS[size]

    def work(self):
        for _ in range(self.rounds):
            pass

class Unsorted(Sorted):
    params = list(set(ROUNDS))
"""
MISSPELLED = """
from harness import Workload

class Misspelled(Workload):
    def wrok(self):
        pass
"""


@pytest.fixture
def with_module(repository):
    """with_module(text): a module of the suite, for one test."""
    path = repository.folder / "benchmarks/added.py"
    yield path.write_text
    path.unlink()


def test_parameters_that_every_process_sees_differently_never_get_anothers_number(repository, with_module):
    with_module(UNSTABLE)
    head = repository.commits["renamed"]

    def numbers(name: str) -> dict[str, float]:
        (path,) = repository.folder.glob(f".asv/results/*/{head[:8]}-*readable*.json")
        values, (labels,) = json.loads(path.read_text())["results"][f"added.{name}.track_instructions"][:2]
        return {label: value for label, value in zip(labels, values or [], strict=False) if value is not None}

    refused = 0
    for _ in range(2):
        config = ("--config", "asv.readable.conf.json")
        answer = repository.asv(*config, "run", "--show-stderr", "--bench", "[Ss]orted", "HEAD^!")
        right, found = numbers("Sorted"), numbers("Unsorted")
        assert len(right) == 4 and all(
            right[label] == pytest.approx(count, rel=0.05) for label, count in found.items()
        ), found
        refused += 4 - len(found)
        assert answer.returncode == (0 if len(found) == 4 else 2)
        assert len(found) == 4 or re.search(
            r"the parameter 'size' of this case is '\w+' where it was asked", answer.stdout
        )
    assert refused > 0, "one chance in 576 for each run that three processes agree"


def test_a_class_that_cannot_be_counted_is_told_when_asv_looks_for_benchmarks(repository, with_module):
    with_module(MISSPELLED)
    answer = repository.asv("run", "HEAD^!")
    said = answer.stdout + answer.stderr
    assert answer.returncode != 0
    assert re.search(r"benchmarks/added\.py:4: Misspelled: it has no `work` \(is `wrok` misspelled\?\)", said), said
    assert "Setting up" not in answer.stdout, "no server was started"


def test_bench_counts_publishes_and_says_what_next(repository):
    answer = repository.harness("bench", "--suite", "default", "HEAD^!")
    said = answer.stdout + answer.stderr
    assert answer.returncode == 0, said
    (line,) = [line for line in answer.stdout.splitlines() if line.startswith("    work.Work(cpu)")]
    assert re.fullmatch(r"    work\.Work\(cpu\) +[\d,]+ instructions  \d+ s", line)
    assert re.search(r"work\.Work\(gpu\)  skipped  \d+ s  \(no gpu here\)", said), said
    count = repository.result(repository.commits["renamed"], "work.Work")[0]
    assert line.split()[1].replace(",", "") == f"{count:.0f}"
    *_, head, preview, explain, compare = answer.stdout.splitlines()
    assert head == "next:" and preview.endswith("asv preview") and compare.endswith("--bench work.Work")
    assert "explain work.Work --param device=cpu" in explain
    # What it says is run as it says it.
    words = explain.split()
    assert repository.harness(*words[words.index("explain") :]).returncode == 0
    assert (repository.folder / ".asv/html/index.html").exists()
    log = (repository.folder / ".asv/asv.log").read_text()
    assert "work.Work.track_instructions" in log and "work.Work.track_instructions" not in answer.stdout


def test_bench_shows_why_asv_failed(failing):
    answer = failing.harness("bench", "--suite", "default", "--bench", "Fails", "HEAD^!")
    assert answer.returncode == 2
    assert re.search(
        r"fails\.Fails\(\)  failed  \d+ s  \(the workload raised ValueError: this one fails\)", answer.stdout
    )
    assert "asv ended with status 2; its last lines, of .asv/asv.log:" in answer.stderr
    assert "ValueError: this one fails" in answer.stderr


def test_bench_on_a_terminal_is_one_picture(repository):
    """Under a pseudo-terminal: the bar, what each core does, and the same lines as elsewhere; nothing in colour."""
    pty = subprocess.run(
        [
            "script",
            "--quiet",
            "--return",
            "--command",
            f"{sys.executable} -m harness bench --suite default",
            "/dev/null",
        ],
        cwd=repository.folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**repository.environment(), "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "120"},
    )
    assert pty.returncode == 0, pty.stdout
    assert re.search(r"\d+ of (\d+|\?) cases, 0:\d\d", pty.stdout) and "core 1: work.Work(cpu)" in pty.stdout
    assert re.search(r"work\.Work\(cpu\) +[\d,]+ instructions", pty.stdout)
    assert not re.search(r"\x1b\[(3|4|9)\dm", pty.stdout), "NO_COLOR is heeded"
