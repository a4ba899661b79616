"""A made-up torch, its wheels, and asv on its repository: overlays, `asv find` and `harness bisect`. Seconds each."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
import zipfile

import pytest

from tests.conftest import our_processes, wait_until
from tests.histories import small_wheel
from tests.made_up import NUMBER, OTHER, Project
from tests.projects import configuration

pytestmark = pytest.mark.asv


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("bisect") / "project")
    assert made.asv("machine", "--yes").returncode == 0
    # asv's list of benchmarks, which it shows results by.
    assert made.asv("run", "--bench", "just-discover", f"{made.history.commits['good']}^!").returncode == 0
    return made


def steps(case: dict) -> list[str]:
    return [step["subject"] for step in case["steps"] if not step["noise"]]


def test_asv_counts_a_commit_says_on_which_binaries_and_keeps_that(project):
    head = project.history.commits["nn 17"]
    answer = project.asv("run", "--show-stderr", f"{head}^!")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    said = f"Python of {head[:10]} on the binaries of torch 1.0 (commit {project.history.commits['good'][:10]}): "
    assert said + "1 native file differs (torch/csrc/native.cpp)" in answer.stdout
    work, other, gpu = project.result("nn 17")
    assert work > 1000 and other > 1000 and gpu != gpu
    (kept,) = project.folder.glob(f".asv/counts/{head}/*/work.Work/work/count.json")
    fingerprint = json.loads(kept.read_text())["fingerprint"]
    assert fingerprint["python of commit"] == head
    assert fingerprint["binaries"].endswith("1 native file differs (torch/csrc/native.cpp)")


def test_submodules_are_never_fetched_and_the_users_git_configuration_stays(project):
    (checkout,) = project.folder.glob(".asv/pytorch/env/*/project")
    assert (checkout / "torch/worker.py").exists()
    assert not list((checkout / "huge").iterdir()) and not (checkout / ".git/modules").exists()
    assert (project.folder / ".gitconfig").read_text() == "[submodule]\n\trecurse = true\n\tactive = .\n"


def test_asv_find_names_what_got_dearer_and_what_got_cheaper(project):
    commits = project.history.commits
    for range_, options, subject in (
        (f"{commits['good']}..{commits['docs 7']}", [], "other costlier"),  # the greatest of both cases
        (f"{commits['good']}..{commits['comment 5']}", [], "costlier"),
        (f"{commits['docs 7']}..{commits['nn 17']}", ["--invert"], "cheaper"),  # around the broken ones
    ):
        answer = project.asv("find", *options, range_, NUMBER)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert f"found: {commits[subject][:8]}" in answer.stdout, answer.stdout


def test_asv_continuous_tells_a_commit_from_one_that_changes_nothing(project):
    commits = project.history.commits
    answer = project.asv("continuous", "--factor", "1.005", commits["nn 3"], commits["costlier"])
    assert answer.returncode == 1 and "PERFORMANCE DECREASED" in answer.stdout, answer.stdout + answer.stderr
    answer = project.asv("continuous", "--factor", "1.0001", commits["good"], commits["docs 2"])
    assert answer.returncode == 0 and "NOT SIGNIFICANTLY CHANGED" in answer.stdout, answer.stdout + answer.stderr


def test_a_commit_that_does_not_import_fails_with_that_sentence(project):
    broken = project.history.commits["broken"]
    answer = project.asv("run", "--show-stderr", f"{broken}^!")
    assert answer.returncode == 2
    sentence = f"This was the Python of commit {broken[:10]} on the binaries of torch 1.0"
    assert "No module named 'torch._missing'" in answer.stdout and sentence in answer.stdout, answer.stdout


def test_bisect_names_every_commit_for_every_case_up_and_down(project):
    project.forget()
    answer = project.bisect("good", "nn 17", "--counter", "readable", "--confirm", "callgrind")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    commits = project.history.commits
    for subject in ("costlier", "other costlier", "cheaper"):
        assert f"commit {commits[subject]}  {subject}\n" in answer.stdout, answer.stdout
    assert "torch/worker.py" in answer.stdout and "callgrind" in answer.stdout
    assert "work.Work what=gpu: cannot tell" in answer.stdout and "skipped: no gpu here" in answer.stdout
    assert answer.stdout.count("commit ") == 3 + answer.stdout.count("(commit ") + answer.stdout.count("of commit ")
    assert "18 commits, " in answer.stderr and " probes: tree " in answer.stderr


def test_it_tells_counts_changes_files_and_what_it_cost_as_json(project):
    project.forget()
    told = project.found("good", "comment 5", "--param", "what=work", "--confirm", "callgrind")
    assert told["outcome"] == "found"
    (case,) = told["cases"]
    (step,) = case["steps"]
    assert step["commit"] == project.history.commits["costlier"] and step["files"] == ["torch/worker.py"]
    assert step["instructions"] == pytest.approx(step["after"] - step["before"])
    assert 0.8 < step["percent"] < 1.3 and step["counter"] == "callgrind" and step["doubt"] is None
    ends = [probe for probe in told["probes"] if probe["counter"] == "callgrind" and probe["layout"] == 0]
    assert len(ends) == 4  # the ends, and both sides of the step
    assert {probe["counter"] for probe in told["probes"]} == {"callgrind", "readable"}
    assert project.result("costlier", "callgrind")[0] == step["after"]  # saved as asv would


def test_what_is_saved_is_not_counted_again_and_asv_reads_it(project):
    project.forget()
    first = project.found("good", "comment 5", "--param", "what=work")
    again = project.found("good", "comment 5", "--param", "what=work")
    assert len(first["probes"]) >= 4 and again["cases"] == first["cases"]
    assert [probe for probe in again["probes"] if probe["layout"] == 0] == []
    commit = project.history.commits["costlier"]
    assert NUMBER in project.asv("show", commit).stdout
    # A result whose record says other binaries, or of which no record was kept, is not taken.
    for record in project.folder.glob(f".asv/counts/{commit}/*/work.Work/work/count.json"):
        record.unlink()
    assert project.found("good", "comment 5", "--param", "what=work")["probes"] != []


def test_asvs_own_results_are_taken(project):
    project.forget()
    commits = project.history.commits
    range_ = f"{commits['nn 3']}..{commits['comment 5']}"
    assert project.asv("run", range_).returncode == 0
    told = project.found("nn 3", "comment 5", "--param", "what=work", "--confirm", "readable")
    assert steps(told["cases"][0]) == ["costlier"]
    assert {probe["commit"] for probe in told["probes"] if probe["layout"] == 0} == {commits["nn 3"]}
    # And what it counts in a tree for a while is what asv counts with that tree in site-packages.
    counted = project.result("nn 3")
    project.forget()
    assert project.asv("run", f"{commits['nn 3']}^!").returncode == 0
    assert project.result("nn 3")[0] == counted[0]


def test_a_flat_range_is_no_change_after_two_probes(project):
    project.forget()
    told = project.found("mended", "nn 13", "--param", "what=work", status=3)
    assert told["outcome"] == "no change" and len(told["probes"]) == 2
    answer = project.bisect("good", "docs 2", "--param", "what=other", "--noise", "0.5")
    assert answer.returncode == 3 and "work.Work what=other: no change" in answer.stdout


def test_where_the_commits_between_cannot_be_counted_it_cannot_tell(project):
    # From before "other costlier" to after "mended", with the good ones before "broken" taken away.
    history = project.history
    history.git("checkout", "--quiet", "-b", "gap", history.commits["broken"])
    history.write("torch/another.py", OTHER.format(turns=2400))
    history.commit("hidden")
    history.edit("torch/worker.py", lambda text: text.removeprefix("import torch._missing\n"))
    history.commit("seen")
    history.git("checkout", "--quiet", "main")
    told = project.found("docs 7", "seen", "--param", "what=other", status=4)
    (step,) = told["cases"][0]["steps"]
    assert [line.split(maxsplit=1)[1] for line in step["one of"]] == ["broken", "hidden", "seen"]
    assert "cannot be counted" in step["doubt"]


def test_a_range_of_which_nothing_runs_cannot_tell_and_says_why(project):
    history = project.history
    history.git("checkout", "--quiet", "-b", "hopeless", history.commits["broken"])
    for subject in ("hopeless 1", "hopeless 2"):
        history.edit("torch/worker.py", lambda text: f"{text}# more\n")
        history.commit(subject)
    history.git("checkout", "--quiet", "main")
    answer = project.bisect("broken", "hopeless 2", "--param", "what=work")
    assert answer.returncode == 4
    assert "no two commits can be counted; the last said: " in answer.stdout, answer.stdout + answer.stderr
    assert "torch._missing" in answer.stdout


def test_a_range_of_equal_trees_is_no_change_without_a_count(project):
    told = project.found("comment 1", "docs 2", status=3)
    assert told["probes"] == [] and "the same Python over the same binaries" in told["cases"][0]["why"]


def test_a_wheel_that_changes_inside_the_range_is_a_step_of_its_own(project):
    history, folder = project.history, project.folder / "several"
    project.forget()
    small_wheel(history, history.commits["good"], folder, "1.0", times=1)
    small_wheel(history, history.commits["costlier"], folder, "1.1", times=2)
    told = project.found("good", "comment 5", "--param", "what=work", "--wheels", str(folder))
    python, binaries = told["cases"][0]["steps"]
    commit = history.commits["costlier"]
    assert python["commit"] == binaries["commit"] == commit
    assert python["binaries"] is None and 0.8 < python["percent"] < 1.3 and python["files"] == ["torch/worker.py"]
    names = [
        f"torch {version} (commit {history.commits[subject][:10]})"
        for version, subject in (("1.0", "good"), ("1.1", "costlier"))
    ]
    assert binaries["binaries"] == names and 90 < binaries["percent"] < 120 and binaries["files"] == []
    answer = project.bisect("good", "comment 5", "--param", "what=work", HARNESS_WHEELS=str(folder))
    assert f"the binaries: {names[1]} took the place of {names[0]} at {commit[:10]}" in answer.stdout, answer.stderr


def test_asv_takes_the_nearest_older_wheel_too(project):
    folder = project.folder / "several"
    small_wheel(project.history, project.history.commits["good"], folder, "1.0", times=1)
    small_wheel(project.history, project.history.commits["costlier"], folder, "1.1", times=2)
    for subject, version in (("nn 3", "1.0"), ("comment 5", "1.1")):
        commit = project.history.commits[subject]
        answer = project.asv("run", "--show-stderr", f"{commit}^!", HARNESS_WHEELS=str(folder))
        assert f"Python of {commit[:10]} on the binaries of torch {version} " in answer.stdout, answer.stdout
    project.forget()


def test_its_lines_begin_at_the_left_and_what_cannot_be_told_of_the_binaries_is_told_once(project):
    """Of a wheel whose commit is not in the history, and in an environment that asv makes meanwhile."""
    history, folder = project.history, project.folder / "foreign"
    shutil.rmtree(project.folder / ".asv/pytorch/env")
    wheel = small_wheel(history, history.commits["good"], folder, "1.0")
    with zipfile.ZipFile(wheel, "a") as packed, warnings.catch_warnings(action="ignore", category=UserWarning):
        # The later entry of a name is the one that is read and unpacked.
        packed.writestr("torch/version.py", f"__version__ = '1.0'\ngit_version = '{'f' * 40}'\n")
    answer = project.bisect("good", "docs 9", "--wheels", str(folder))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    lines = answer.stderr.splitlines()
    installing = next(number for number, line in enumerate(lines) if "Installing " in line and " into " in line)
    assert lines[installing + 1].startswith("  10 commits, "), answer.stderr
    note = "counted on torch 1.0 (commit ffffffffff): whether native files differ cannot be told"
    assert answer.stdout.count("whether native files") == 1 and f"\n\n{note}" in answer.stdout, answer.stdout
    assert answer.stdout.count(" (+") >= 4  # two cases, each with its range and its step
    assert "whether native files" not in answer.stderr, answer.stderr


@pytest.mark.parametrize(
    ("good", "bad", "arguments", "sentence"),
    [
        ("good", "no-such", [], "has no commit 'no-such'"),
        ("costlier", "good", [], "does not contain .*: swap them"),
        ("good", "good", [], "are the same commit"),
        ("good", "costlier", ["--param", "what=none"], "work.Work has no what=none; its what is one of"),
        ("good", "costlier", ["--config", "nowhere.json"], "no asv configuration nowhere.json: name one with --config"),
        ("good", "costlier", ["--wheels", "nowhere"], "is neither a folder of wheels nor a text file"),
    ],
)
def test_what_cannot_be_searched_is_a_sentence_and_status_1(project, good, bad, arguments, sentence):
    answer = project.bisect(good, bad, *arguments)
    assert answer.returncode == 1
    assert re.search(f"harness: .*{sentence}", answer.stderr), answer.stderr
    assert "Traceback" not in answer.stderr


def test_without_asv_it_says_where_to_run_it(project):
    statement = "import sys; sys.modules['asv.config'] = None; sys.argv[1:] = ['bisect', 'a', 'b', 'work.Work']"
    answer = project._run(sys.executable, "-c", f"{statement}; from harness.__main__ import main; sys.exit(main())")
    assert answer.returncode == 1 and "harness: bisecting needs asv, which " in answer.stderr, answer.stderr
    assert "use the environment asv is run from" in answer.stderr and "Traceback" not in answer.stderr


def ours() -> list[str]:
    return [line for line in our_processes().values() if "harness" in line]


def test_an_ended_bisection_leaves_nothing_running(project):
    project.forget()
    commits = project.history.commits
    for how in (signal.SIGINT, signal.SIGKILL):
        words = ("bisect", commits["good"], commits["nn 17"], "work.Work")
        run = project.start(*words, stderr=subprocess.DEVNULL, start_new_session=True)
        assert wait_until(lambda: any("harness.inside.server" in line for line in our_processes().values()), 60)
        os.kill(run.pid, how)
        run.wait(timeout=60)
        assert wait_until(lambda: not ours()), ours()


def test_the_pytorch_configuration_differs_from_the_default_only_where_it_must():
    default, pytorch = configuration("asv.conf.json"), configuration("asv.pytorch.conf.json")
    for name in ("environment_type", "install_timeout", "launch_method", "regressions_thresholds", "build_command"):
        assert pytorch[name] == default[name]
    assert pytorch["dvcs"] == "git-without-submodules"
    assert pytorch["plugins"] == [".harness.asv_plugin.git", *default["plugins"]]
    assert pytorch["matrix"] == {"env_nobuild": {"HARNESS_COUNTER": ["readable"]}}
