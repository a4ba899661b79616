"""explain and diff as a user calls them, on a project that asv counted: seconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from harness.profile.symbols import NAMELESS
from harness.store.noise import Measured, spread
from tests.conftest import ROOT

pytestmark = pytest.mark.asv
ONE = ("--param", "turns=100", "--param", "times=once")


@pytest.fixture
def elsewhere(published, tmp_path):
    """The same project in a folder of its own, where a test may change what is kept."""
    made = tmp_path / "repository"
    shutil.copytree(published.folder, made, symlinks=True, ignore=shutil.ignore_patterns("env", "html"))
    return made


def harness(folder, *arguments, status=0):
    command = [sys.executable, "-m", "harness", *arguments]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert answer.returncode == status, answer.stdout + answer.stderr
    return answer


def test_explain_reads_what_is_kept_and_adds_up_to_asvs_number(published):
    commit = published.commits["costlier"]
    (told,) = json.loads(harness(published.folder, "explain", "work.Work", *ONE, "--json", commit).stdout)
    assert told["instructions per call"] == published.result(commit, "work.Work")[0]
    own = sum(row["self"] for row in told["functions"])
    assert own - told["empty body"] == pytest.approx(told["instructions per call"])
    assert sum(told["parts"].values()) == pytest.approx(sum(told["libraries"].values())) == pytest.approx(own)
    assert all(row["inclusive"] <= own + 1e-6 for row in told["functions"])
    assert told["view"] == "c" and told["functions"][0]["library"] == "libpython"


def test_explain_takes_names_that_git_knows_and_says_what_else_is_kept(published):
    answer = harness(published.folder, "explain", "work.Work", "HEAD~1", *ONE)
    assert answer.stdout.startswith(f"work.Work  turns=100  times=once  at {published.commits['costlier'][:10]}")
    assert "(by Python function: --python)" in answer.stdout and "counting" not in answer.stderr


def test_the_view_by_python_function(published):
    commit = published.commits["costlier"]
    answer = harness(published.folder, "explain", "work.Work", *ONE, commit, "--python", "--by", "inclusive")
    assert "counting" not in answer.stderr
    lines = [line.split("  ")[-2:] for line in answer.stdout.splitlines() if "project.py:" in line]
    assert [name.strip() for name, _ in lines] == ["work", "add_up", "sort"]
    assert [place for _, place in lines] == ["project.py:13", "project.py:2", "project.py:9"]
    assert "by Callgrind, which tells no Python" in answer.stdout
    told = json.loads(harness(published.folder, "explain", "work.Work", *ONE, "--python", "--json", commit).stdout)[0]
    whole = published.result(commit, "work.Work")[0]
    assert told["instructions per call"] == pytest.approx(whole, rel=1e-3)
    sort = next(row["native"] for row in told["functions"] if row["function"] == "sort")
    # Debian's Python has lost the names of such functions.
    assert max(sort, key=lambda row: row["self"])["function"] in ("list_sort_impl", NAMELESS)


def test_diff_names_the_function_that_moved_and_adds_up(published):
    base, head = published.commits["first"], published.commits["costlier"]
    (told,) = json.loads(harness(published.folder, "diff", base, head, "work.Work", *ONE, "--python", "--json").stdout)
    assert [row["function"] for row in told["functions"]] == ["add_up"]
    assert told["functions"][0]["file"] == "project.py" and told["functions"][0]["line"] == 2
    assert sum(row["change"] for row in told["functions"]) + told["empty body"] == pytest.approx(told["change"])

    (c,) = json.loads(harness(published.folder, "diff", base, head, "work.Work", *ONE, "--json").stdout)
    results = [published.result(commit, "work.Work")[0] for commit in (base, head)]
    assert [c["base instructions per call"], c["head instructions per call"]] == results
    assert sum(row["change"] for row in c["functions"]) + c["empty body"] == pytest.approx(results[1] - results[0])
    assert c["not counted alike"] == []


def test_diff_tells_how_noisy_the_case_is(elsewhere, published):
    base, head = published.commits["first"], published.commits["costlier"]
    command = (elsewhere, "diff", base, head, "work.Work", *ONE)
    assert harness(*command).stdout.splitlines()[1] == "how noisy the case is was not measured: `harness noise` does"
    assert json.loads(harness(*command, "--json").stdout)[0]["noise"] is None
    (record,) = (elsewhere / ".asv/counts" / head).glob("*/work.Work/100-once/count.json")
    fingerprint = {**json.loads(record.read_text())["fingerprint"], "libc": "another"}
    for counts, sentence in [((1, 9), ": this change is none"), ((1000, 1002), "noise 0.2 %, measured in an environ")]:
        Measured().with_counts("work.Work  turns=100  times=once", fingerprint, counts).write(elsewhere / "benchmarks")
        assert sentence in harness(*command).stdout.splitlines()[1]
        assert json.loads(harness(*command, "--json").stdout)[0]["noise"] == spread(counts)


def test_equal_commits_give_an_empty_table(published):
    base, head = published.commits["costlier"], published.commits["equal"]
    answer = harness(published.folder, "diff", base, head)
    assert len(answer.stdout.splitlines()) == 4 and answer.stdout.count("no change") == 4


def test_a_difference_in_fingerprints_comes_first(elsewhere, published):
    commit = published.commits["costlier"]
    for path in (elsewhere / ".asv/counts" / commit).glob("*/*/*/count.json"):
        record = json.loads(path.read_text())
        record["fingerprint"]["compiler"] = "another"
        path.write_text(json.dumps(record))
    answer = harness(elsewhere, "diff", published.commits["first"], commit, "work.Work", *ONE)
    first = answer.stdout.splitlines()[0]
    assert first.startswith("not counted alike: compiler: ") and first.endswith("-> another")


def test_a_flame_graph_is_written_of_one_case(published, tmp_path):
    commit = published.commits["costlier"]
    harness(published.folder, "explain", "work.Work", *ONE, "--python", "--flame", str(tmp_path / "a.svg"), commit)
    text = (tmp_path / "a.svg").read_text()
    assert ">add_up</text>" in text and "every path was seen" in text
    base = published.commits["first"]
    harness(published.folder, "diff", base, commit, "work.Work", *ONE, "--flame", str(tmp_path / "b.svg"))
    assert "since the base" in (tmp_path / "b.svg").read_text()
    answer = harness(published.folder, "explain", "work.Work", commit, "--flame", str(tmp_path / "c.svg"), status=1)
    assert "--flame takes one case, and these are 4: choose with --param" in answer.stderr
    answer = harness(published.folder, "explain", "work.Work", *ONE, commit, "--flame", "/none/c.svg", status=1)
    assert "could not be written to /none/c.svg" in answer.stderr


def test_what_is_not_kept_is_counted_and_kept(published):
    commit = published.commits["equal"]
    (found,) = (published.folder / ".asv/counts" / commit).glob("*/work.Work/200-twice")
    number = json.loads((found / "count.json").read_text())["instructions per call"]
    shutil.rmtree(found)
    two = ("--param", "turns=200", "--param", "times=twice")
    answer = published.harness("explain", "work.Work", *two, commit, "--json")
    assert f"counting work.Work at {commit[:10]} (callgrind)" in answer.stderr, answer.stdout + answer.stderr
    assert json.loads(answer.stdout)[0]["instructions per call"] == number
    assert (found / "profile.json.gz").exists()
    answer = published.harness("explain", "work.Work", *two, commit, "--again", "--json")
    assert "counting" in answer.stderr and json.loads(answer.stdout)[0]["instructions per call"] == number


def test_a_configuration_elsewhere_is_counted_in_its_own_folder(published, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(published.temporary))
    two = ("--param", "turns=200", "--param", "times=once", "--config", f"{published.folder.name}/asv.conf.json")
    commits = published.commits["first"], published.commits["equal"]
    answer = harness(published.folder.parent, "diff", *commits, "work.Work", *two, "--again", "--json")
    told = json.loads(answer.stdout)[0]
    assert answer.stderr.count("counting work.Work") == 2
    numbers = [published.result(commit, "work.Work")[2] for commit in commits]
    assert [told["base instructions per call"], told["head instructions per call"]] == numbers


def test_where_the_view_by_python_function_cannot_be_had_it_is_the_c_view_and_says_so(published, tmp_path, monkeypatch):
    """With a compiler that knows no tool of valgrind, and nothing cached."""
    compiler = tmp_path / "bin/gcc"
    compiler.parent.mkdir()
    compiler.write_text(f'#!/bin/sh\ncase "$*" in *frames_tool.c*) exit 1;; esac\nexec {shutil.which("gcc")} "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(compiler.parent), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    two = ("--param", "turns=200", "--param", "times=once")
    answer = harness(published.folder, "explain", "work.Work", *two, published.commits["equal"], "--python", status=1)
    assert "the view by Python function does not build" in answer.stderr
    assert "by C function, since the view by Python function could not be had" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("explain", "work.Work", "nonsense"), "has no commit 'nonsense'"),
        (("explain", "work.Work", "--config", "none.json"), "no asv configuration none.json"),
        (("explain", "work.Work", "--param", "turns"), "--param 'turns': expected name=value"),
        (("diff", "HEAD", "HEAD~1", "--param", "turns=7"), "nothing is kept of"),
    ],
)
def test_what_cannot_be_is_a_sentence(published, arguments, sentence):
    answer = harness(published.folder, *arguments, status=1)
    assert sentence in answer.stderr and "Traceback" not in answer.stderr


def test_who_reads_the_first_lines_only_gets_no_complaint(published):
    command = f"{sys.executable} -m harness explain work.Work HEAD~1 --json | head -1"
    answer = subprocess.run(command, shell=True, cwd=published.folder, capture_output=True, text=True)
    assert answer.stdout == "[\n" and answer.stderr == ""


def test_a_profile_that_cannot_be_read_is_a_sentence(elsewhere, published):
    commit = published.commits["costlier"]
    for path in (elsewhere / ".asv/counts" / commit).glob("*/*/100-once/*.gz"):
        path.write_bytes(b"half")
    answer = harness(elsewhere, "explain", "work.Work", *ONE, commit, status=1)
    assert "cannot be read" in answer.stderr and "count anew with --again" in answer.stderr


def test_no_name_of_this_machine_is_in_what_is_told(published):
    answer = harness(published.folder, "explain", "work.Work", *ONE, "--json", "--python", "HEAD~1")
    (told,) = json.loads(answer.stdout)
    del told["fingerprint"]
    assert str(published.folder) not in json.dumps(told) and str(ROOT) not in json.dumps(told)
    assert "/harness-" not in json.dumps(told) and "0x" not in json.dumps(told)
