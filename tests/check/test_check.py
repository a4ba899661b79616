"""`harness check` on a repository of a made-up torch: commits, the working tree, what can be wrong. Seconds each."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import our_processes, wait_until
from tests.histories import History, small_wheel
from tests.made_up import Project

pytestmark = pytest.mark.asv


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = Project(tmp_path_factory.mktemp("check") / "project")
    assert made.asv("machine", "--yes").returncode == 0
    return made


@pytest.fixture
def edited(project) -> Iterator[Project]:
    """The project, whose working tree is as it was when the test is over."""
    yield project
    project.history.git("checkout", "--quiet", "--force", "main")
    project.history.git("clean", "--quiet", "--force", "-d")


def told(answer: subprocess.CompletedProcess[str], status: int) -> dict[str, Any]:
    assert answer.returncode == status, answer.stdout + answer.stderr
    facts: dict[str, Any] = json.loads(answer.stdout)
    assert facts["status"] == status
    return facts


def verdicts(facts: dict[str, Any]) -> dict[str, str]:
    return {case["parameters"]["what"]: case["verdict"] for case in facts["cases"]}


def test_what_got_dearer_regresses_with_its_function_and_what_got_cheaper_does_not(project, tmp_path):
    comment = tmp_path / "comment.md"
    facts = told(project.check("good", "nn 17", "--json", "--markdown", str(comment)), 3)
    assert verdicts(facts) == {"other": "regressed", "work": "improved", "gpu": "skipped"}
    other, work, gpu = facts["cases"]
    assert other["reason"]["view"] == "python"
    assert other["reason"]["functions"][0]["function"] == "other"
    assert other["reason"]["functions"][0]["place"] == "torch/another.py"
    assert work["reason"]["functions"][0]["function"] == "work"
    assert gpu["why"] == "no gpu here" and gpu["change"] is None
    assert facts["notes"] == [
        "out of sight: native files differ between base and head, which no count here shows (torch/csrc/native.cpp)"
    ]
    assert comment.read_text().splitlines()[1].startswith("❌ **1 regressed, 1 improved, 1 skipped**")


def test_every_format_is_written_where_it_is_asked_for(project, tmp_path):
    names = ("markdown", "junit", "pytorch-records", "bencher", "github-benchmark")
    words = [word for name in names for word in (f"--{name}", str(tmp_path / name))]
    answer = project.check("comment 12", "nn 13", *words)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(names)
    assert "<testsuite" in (tmp_path / "junit").read_text()
    for name in names[2:]:
        assert len(json.loads((tmp_path / name).read_text())) == 2


def test_a_small_change_has_to_show_in_other_memory_layouts_and_an_improvement_is_no_failure(project):
    facts = told(project.check("comment 5", "costlier", "--json"), 0)
    assert verdicts(facts) == {"other": "unchanged", "work": "unchanged", "gpu": "skipped"}
    facts = told(project.check("nn 3", "costlier", "--json"), 3)
    (work,) = (case for case in facts["cases"] if case["verdict"] == "regressed")
    assert work["change"]["relative"] == pytest.approx(0.01, abs=0.001)
    assert [change["relative"] > 0.008 for change in work["elsewhere"]] == [True, True]
    assert told(project.check("costlier", "nn 3", "--json"), 0)["verdict"] == "1 improved, 1 unchanged, 1 skipped"


def test_what_is_kept_is_not_counted_again_unless_asked_for(project):
    words = "mended", "native 11", "--bench", "other"
    first = project.check(*words)
    assert first.returncode == 0 and "kept from before" not in first.stderr
    assert project.check(*words).stderr.count("kept from before") == 2
    assert project.check(*words, "--again").stderr.count("kept from before") == 0
    # What a benchmark imports of its suite is not in its version.
    helper = project.folder / "benchmarks/helper.py"
    helper.write_text("")
    os.utime(helper, (0, 0))  # as a copy that keeps times
    assert project.check(*words).stderr.count("kept from before") == 0
    assert project.check(*words).stderr.count("kept from before") == 2
    helper.unlink()
    assert project.check(*words).stderr.count("kept from before") == 0
    (project.folder / "benchmarks/.#work.py").symlink_to("me@host.1:2")  # an editor's lock
    assert project.check(*words).returncode == 0
    (project.folder / "benchmarks/.#work.py").unlink()


def test_the_working_tree_is_compared_with_its_edits_and_new_files_and_stays_as_it_is(edited, tmp_path):
    history = edited.history
    history.edit("torch/worker.py", lambda text: text.replace("total += 1", "total += extra.ONE"))
    history.edit("torch/worker.py", lambda text: f"from torch import extra\n{text}")
    history.write("torch/extra.py", "ONE = 1\n")
    history.git("add", "torch/worker.py")
    before = history.git("status", "--porcelain"), history.git("log", "--all", "--format=%H")
    facts = told(edited.check("HEAD", "--json"), 3)
    assert verdicts(facts) == {"work": "regressed", "other": "unchanged", "gpu": "skipped"}
    assert facts["head"]["name"] == f"the working tree: {history.commits['nn 17'][:10]} with its edits"
    assert (history.git("status", "--porcelain"), history.git("log", "--all", "--format=%H")) == before
    records = tmp_path / "records.json"
    again = edited.check("HEAD", "--json", "--pytorch-records", str(records))
    assert told(again, 3)["head"]["commit"] == facts["head"]["commit"], "equal contents are one commit"
    assert again.stderr.count("kept from before") >= 4
    counted = json.loads(records.read_text())[0]["dependencies"]["pytorch"]
    assert counted["sha"] == history.commits["nn 17"], "and not the snapshot's, which nobody else has"
    assert counted["extra_info"]["edits"] == "the working tree, with edits" and counted["repo"] == "pytorch"


def test_a_comment_changes_nothing_and_native_code_is_said_to_be_out_of_sight(edited):
    edited.history.edit("torch/worker.py", lambda text: f"# a comment\n{text}")
    facts = told(edited.check("HEAD", "--json"), 0)
    assert facts["verdict"] == "2 unchanged, 1 skipped" and facts["notes"] == []
    edited.history.edit("torch/csrc/native.cpp", lambda text: text + "// another\n")
    facts = told(edited.check("HEAD", "--json"), 0)
    assert facts["notes"][0].startswith("out of sight: native files differ between base and head")


def test_a_broken_import_exits_1_with_the_sentence(edited):
    edited.history.edit("torch/worker.py", lambda text: f"import torch._nowhere\n{text}")
    answer = edited.check("HEAD")
    assert answer.returncode == 1
    assert answer.stdout.count("ModuleNotFoundError: No module named 'torch._nowhere'") >= 1
    assert answer.stdout.count("Traceback") == 1, "told once"
    assert answer.stdout.rstrip().splitlines()[-1].startswith("3 failed")


def test_expected_counts_are_written_compared_and_updated(edited, tmp_path):
    path = str(tmp_path / "expected.json")
    first = edited.check("--expected", path)
    assert first.returncode == 1 and "expected.json holds no counts" in first.stderr
    written = edited.check("--expected", path, "--update")
    assert written.returncode == 0 and "updated: work.Work  what=work  new " in written.stdout, written.stdout
    assert told(edited.check("--expected", path, "--json"), 0)["verdict"] == "2 unchanged, 1 skipped"
    assert verdicts(told(edited.check("nn 3", "--expected", path, "--json"), 3))["work"] == "regressed"

    before = (tmp_path / "expected.json").read_text()
    edited.history.edit("torch/worker.py", lambda text: text.replace("range(950", "range(960"))
    facts = told(edited.check("--expected", path, "--json"), 3)
    (work,) = (case for case in facts["cases"] if case["verdict"] == "regressed")
    assert work["elsewhere"], "a small change has to show in other memory layouts too"
    assert facts["base"]["commit"] is None and facts["base"]["name"].startswith("expected counts in ")
    assert (tmp_path / "expected.json").read_text() == before, "nothing is written unasked"
    updated = told(edited.check("--expected", path, "--update", "--json"), 0)["updated"]
    assert [line.partition("  what=")[2].partition(" ")[0] for line in updated] == ["work"]
    after = (tmp_path / "expected.json").read_text()
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert len(changed) == 1 and "what=work" in changed[0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "name a commit before, or --expected FILE, or --environment PYTHON twice"),
        (["good", "--update"], "--update writes the file that --expected names"),
        (["good", "costlier", "--expected", "x"], "--expected stands for the commit before"),
        (["good", "--suite", "huge"], "invalid choice: 'huge'"),
        (["good", "--benchmarks", "benchmarks"], "--benchmarks goes with --environment"),
    ],
)
def test_wrong_arguments_are_status_2(project, words, sentence):
    answer = project.check(*words)
    assert answer.returncode == 2 and sentence in answer.stderr


def test_both_sides_lie_over_one_wheel_where_another_begins_between_them(project):
    """The later wheel's binaries take twice the turns."""
    history, folder = project.history, project.folder / "several"
    small_wheel(history, history.commits["good"], folder, "1.0", times=1)
    small_wheel(history, history.commits["native 11"], folder, "1.1", times=2)
    facts = told(project.check("mended", "comment 12", "--wheels", str(folder), "--json"), 0)
    assert facts["verdict"] == "2 unchanged, 1 skipped"
    for side in ("base", "head"):
        assert facts[side]["binaries"].startswith(f"torch 1.0 (commit {history.commits['good'][:10]}): ")
    assert facts["notes"][0].startswith("out of sight: native files differ between base and head")
    after = told(project.check("native 11", "comment 12", "--wheels", str(folder), "--json"), 0)
    assert after["head"]["binaries"].startswith("torch 1.1 ")


def test_nothing_measured_is_never_green(project):
    answer = project.check("good", "nn 17", "--bench", "gpu")
    assert answer.returncode == 4 and answer.stdout.rstrip().splitlines()[-1].startswith("1 skipped")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["HEAD"], "the working tree is HEAD ("),
        (["good", "good"], ": nothing is to be compared; name an older commit, such as HEAD~1"),
        (["nowhere"], "has no commit 'nowhere'"),
        (["good", "--expected", "/nowhere/expected.json", "--update"], "--expected: there is no folder /nowhere"),
        (["good", "costlier", "--bench", "nothing"], "'nothing' finds no case of the full suite"),
        (["good", "costlier", "--bench", "("], "--bench '(' is no regular expression"),
        (["good", "costlier", "--repo", "/nowhere"], "there is no git clone at '/nowhere'"),
        (["good", "costlier", "--config", "nowhere.json"], "no asv configuration nowhere.json"),
    ],
)
def test_what_cannot_be_checked_is_a_sentence_and_status_1(project, words, sentence):
    answer = project.check(*words)
    assert answer.returncode == 1 and answer.stdout == "", answer.stdout
    assert sentence in answer.stderr and "Traceback" not in answer.stderr


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_counted_or_does_not_cost_the_answer(project):
    answer = project.check("comment 12", "nn 13", "--markdown", "/nowhere/comment.md")
    assert answer.returncode == 1 and answer.stdout == "" and "base" not in answer.stderr
    assert "harness: --markdown: there is no folder /nowhere: make it, or name another file" in answer.stderr
    answer = project.check("comment 12", "nn 13", "--markdown", "/dev/full")
    assert answer.returncode == 1
    assert "harness: /dev/full could not be written: " in answer.stderr
    assert answer.stdout.rstrip().splitlines()[-1].startswith("2 unchanged, 1 skipped")
    answer = project.check("nn 3", "costlier", "--markdown", "/dev/full")
    assert answer.returncode == 3, "what is known to be worse comes first"


def test_one_check_at_a_time(project):
    """Two at once were seen to remove the environment from each other."""
    with open(project.folder / ".asv/environments.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = project.check("good", "costlier")
    assert answer.returncode == 1 and "another check or bisection runs with asv.pytorch.conf.json" in answer.stderr


def test_a_case_that_is_gone_is_not_green(edited):
    gone = "def __getattr__(name):\n    raise {'other': NotImplementedError}.get(name, AttributeError)(name)\n"
    edited.history.edit("torch/__init__.py", lambda text: text.replace("from torch.another import other\n", gone))
    facts = told(edited.check("HEAD", "--json"), 4)
    assert verdicts(facts) == {"other": "gone", "work": "unchanged", "gpu": "skipped"}


def test_a_clone_of_this_suite_is_told_what_compares_its_pins(project, tmp_path):
    suite = History(tmp_path / "suite")
    for name in ("asv.conf.json", "harness/__init__.py", "requirements.txt"):
        suite.write(name, "")
    suite.commit("before")
    suite.write("requirements.txt", "torch==2.13.0\n")
    suite.commit("after")
    answer = project.check("HEAD~1", "HEAD", "--repo", str(suite.folder))
    assert answer.returncode == 1 and answer.stdout == ""
    assert "holds this suite, and no Python of torch: with `--config asv.conf.json` its pins" in answer.stderr


def test_another_clone_than_the_configurations_can_be_named(project, tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(project.history.folder), str(clone)], check=True)
    (clone / "torch/another.py").write_text((clone / "torch/another.py").read_text().replace("2100", "1900"))
    facts = told(project.check("HEAD", "--repo", str(clone), "--json"), 0)
    assert verdicts(facts)["other"] == "improved"


def test_an_ended_check_leaves_nothing_running(project):
    before = our_processes()
    commits = project.history.commits
    words = ("check", commits["good"], commits["nn 17"], "--counter", "opcodes", "--suite", "full", "--again")
    with project.start(*words, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "opcodes" in line:
                break
        os.kill(process.pid, signal.SIGINT)
        process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert wait_until(lambda: not our_processes().keys() - before.keys()), our_processes()
    assert not list(Path(os.environ["TMPDIR"]).glob("harness-*"))


def test_another_pin_is_installed_though_the_command_is_the_same(tmp_path):
    made = Project(tmp_path / "project")
    assert made.asv("machine", "--yes").returncode == 0
    (wheel,) = (made.folder / "wheels").glob("*.whl")
    later = small_wheel(made.history, made.history.commits["good"], made.folder / "later", "2.0")
    settings = json.loads((made.folder / "asv.pytorch.conf.json").read_text())
    settings["install_command"][0] = (
        "in-dir={env_dir} python -m pip install --no-index --no-deps --requirement {conf_dir}/requirements.txt"
    )
    (made.folder / "asv.pytorch.conf.json").write_text(json.dumps(settings))
    included = made.folder / "pins.txt"
    (made.folder / "requirements.txt").write_text(f"torch @ file://{wheel}\n")
    for pin, version in ((None, "1.0"), (later, "2.0"), (wheel, "1.0"), (wheel, "1.0")):
        if pin is not None:
            (made.folder / "requirements.txt").write_text(f"--requirement {included.name}\n")
            included.write_text(f"torch @ file://{pin}\n")
        answer = made.check("good", "nn 3", "--json")
        assert told(answer, 0)["head"]["binaries"].startswith(f"torch {version} ")
    assert "Installing" not in answer.stderr, "once"


def test_what_is_being_installed_ends_with_the_check(project, tmp_path):
    made = Project(tmp_path / "project")
    assert made.asv("machine", "--yes").returncode == 0
    settings = json.loads((made.folder / "asv.pytorch.conf.json").read_text())
    settings["install_command"].insert(0, f"python -c \"open('{tmp_path}/begun', 'w'); import time; time.sleep(600)\"")
    (made.folder / "asv.pytorch.conf.json").write_text(json.dumps(settings))
    before = our_processes()
    with made.start("check", made.history.commits["good"], "HEAD", stderr=subprocess.PIPE) as process:
        assert wait_until((tmp_path / "begun").exists, 120)
        process.terminate()
        assert process.wait(timeout=30) == 143
    assert wait_until(lambda: not our_processes().keys() - before.keys()), our_processes()


# Two environments


@pytest.fixture(scope="module")
def environments(project, tmp_path_factory) -> tuple[str, str]:
    """Two interpreters with different builds of the made-up torch: where it is made and where it is made dearer."""
    root = tmp_path_factory.mktemp("environments")
    pythons = []
    for name, subject in (("before", "good"), ("after", "other costlier")):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / name)], check=True)
        (site,) = (root / name).glob("lib/python*/site-packages")
        version = {"before": "1.0", "after": "1.1"}[name]
        wheel = small_wheel(project.history, project.history.commits[subject], root / "wheels", version)
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(site)
        pythons.append(str(root / name / "bin/python"))
    return pythons[0], pythons[1]


def compare(project: Project, *pythons: str, words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    named = [word for python in pythons for word in ("--environment", python)]
    return project.check(*named, *words)


def test_two_environments_with_any_torch_each_are_compared(project, environments):
    facts = told(compare(project, *environments, words=("--json",)), 3)
    assert verdicts(facts) == {"other": "regressed", "work": "regressed", "gpu": "skipped"}
    other = next(case for case in facts["cases"] if case["parameters"]["what"] == "other")
    assert other["reason"]["functions"][0]["function"] == "other"
    assert facts["base"]["name"].startswith("torch 1.0 (") and facts["head"]["name"].startswith("torch 1.1 (")
    assert facts["head"]["name"].endswith(environments[1]) and facts["head"]["commit"] is None
    same = compare(project, environments[0], environments[0])
    assert same.returncode == 1 and "is named twice: nothing is to be compared" in same.stderr


@pytest.mark.parametrize(
    ("pythons", "words", "status", "sentence"),
    [
        (("one",), (), 2, "--environment is given 1 times"),
        (("one", "two"), ("good",), 2, "--environment and base do not go together"),
        (("one", "two"), ("--expected", "x"), 2, "--environment and expected do not go together"),
        (("one", "two"), ("--again",), 2, "--environment and again do not go together"),
        (("one", "two"), ("--update",), 2, "--environment and update do not go together"),
        (("/nowhere/python", "two"), (), 1, "--environment '/nowhere/python' is no interpreter that can be run"),
        (("/bin/false", "two"), (), 1, "--environment '/bin/false' is no Python that runs"),
        (("one", "two"), ("--markdown", "x", "--junit", "./x"), 2, "two options name the same file"),
    ],
)
def test_environments_that_cannot_be_compared(project, pythons, words, status, sentence):
    answer = compare(project, *pythons, words=words)
    assert answer.returncode == status and sentence in answer.stderr, answer.stderr


def test_an_interpreter_that_cannot_count_and_one_without_torch_are_refused(project, tmp_path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 3.10.4\n")
    old.chmod(0o755)
    answer = compare(project, str(old), "two")
    assert answer.returncode == 1 and "is Python 3.10.4: counting works with CPython 3.11 to 3.15" in answer.stderr
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    answer = compare(project, str(tmp_path / "empty/bin/python"), "two")
    assert answer.returncode == 1 and "has no torch: ModuleNotFoundError" in answer.stderr


# Noise


def test_measured_noise_is_kept_and_decides_what_a_change_is(project, tmp_path):
    measured = project.command("noise", "mended", "--layouts", "3", "--json")
    assert measured.returncode == 0, measured.stderr
    cases = {case["parameters"]["what"]: case for case in json.loads(measured.stdout)}
    assert len(cases["work"]["counts"]) == 3 and cases["work"]["noise"] < 0.0005  # held to be 0.05 %
    assert cases["gpu"]["counts"] == [] and cases["gpu"]["skipped"] == "no gpu here"
    assert "work.Work  what=work" in (project.folder / ".asv/noise.json").read_text()

    history = project.history
    history.git("checkout", "--quiet", history.commits["mended"])
    try:
        history.edit("torch/worker.py", lambda text: text.replace("range(1010", "range(1012"))
        facts = told(project.check("HEAD", "--json"), 3)
    finally:
        history.git("checkout", "--quiet", "--force", "main")
    work = next(case for case in facts["cases"] if case["parameters"]["what"] == "work")
    assert work["noise measured"] and work["verdict"] == "regressed"
    assert work["change"]["relative"] == pytest.approx(0.002, abs=0.0005), "half of what the class declares as noise"

    table = project.command("noise", "mended", "--layouts", "3").stdout
    assert re.search(r"work\.Work  what=other$", table, re.M) and "skipped: 1 (no gpu here)" in table
    (project.folder / ".asv/noise.json").write_text("{}")
    answer = project.check("good", "nn 17")
    assert answer.returncode == 1 and "holds no noise" in answer.stderr and "remove it" in answer.stderr
    (project.folder / ".asv/noise.json").unlink()


def test_noise_takes_two_layouts_or_more(project):
    answer = project.command("noise", "mended", "--layouts", "1")
    assert answer.returncode == 2 and "--layouts is 1; noise shows between 2 memory layouts or more" in answer.stderr
