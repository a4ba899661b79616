"""Releases as asv's commits: the repository, and whole runs of asv over two releases of a made-up torch."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from asv.util import UserError

from harness.asv_plugin.releases import make, read
from harness.engine.environment import COUNTING_RULES
from tests.conftest import ROOT
from tests.projects import Repository, configuration

BENCHMARKS = '''
from harness import Workload

class Work(Workload):
    """What the release does."""

    calls = 10

    def work(self):
        import torch
        return torch.work()

class New(Workload):
    """What only the later release has."""

    requires = ["torch.later"]

    def work(self):
        import torch
        return torch.later()
'''
WORK = "__version__ = {version!r}\n\ndef work():\n    return sum(range({size}))\n"


def git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def wheel(folder: Path, name: str, version: str, source: str) -> None:
    """A wheel of one module."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        about = f"{name}-{version}.dist-info"
        file.writestr(f"{name}.py", source)
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")


def test_the_same_file_makes_the_same_commits_and_again_the_same(tmp_path):
    hashes = set()
    for name in ("one", "two", "one"):
        make(ROOT / "releases.txt", tmp_path / name)
        hashes.add(git(tmp_path / name, "log", "--format=%H %cs %s %D", "main"))
    (found,) = hashes
    lines = [line.split(" ", 1)[1] for line in found.splitlines()]
    assert lines[0] == "2026-10-28 torch 2.15.0 HEAD -> main, tag: v2.15.0"
    assert lines[-1] == "2026-05-13 torch 2.12.0 tag: v2.12.0"


def test_a_release_that_left_the_file_leaves_the_repository(tmp_path):
    make(ROOT / "releases.txt", tmp_path / "made")
    (tmp_path / "fewer.txt").write_text("2.12.0 2026-05-13\n2.14.0 2026-09-02\n")
    make(tmp_path / "fewer.txt", tmp_path / "made")
    assert git(tmp_path / "made", "tag").split() == ["v2.12.0", "v2.14.0"]
    assert git(tmp_path / "made", "log", "--format=%s", "main").splitlines() == ["torch 2.14.0", "torch 2.12.0"]


def test_a_release_pins_the_registrys_own_build_and_what_the_suite_pins(tmp_path):
    make(ROOT / "releases.txt", tmp_path / "made")
    for version, _ in read(ROOT / "releases.txt"):
        pins = git(tmp_path / "made", "show", f"v{version}:requirements.txt").splitlines()
        assert pins[0] == f"torch==={version}"  # two would take 2.13.0+cpu for 2.13.0
        assert set(pins[1:]) <= set((ROOT / "requirements.txt").read_text().splitlines())


def test_only_torch_itself_is_pinned_by_the_release(tmp_path):
    (tmp_path / "releases.txt").write_text("2.12.0 2026-05-13\n")
    others = ["numpy==2.4.6", "torch-geometric==2.6.1", "--extra-index-url https://index.example", "attrs  # torch"]
    (tmp_path / "requirements.txt").write_text("\n".join(["# pins", "Torch[opt]>=2 # any", *others, ""]))
    make(tmp_path / "releases.txt", tmp_path / "made")
    assert git(tmp_path / "made", "show", "v2.12.0:requirements.txt").splitlines() == ["torch===2.12.0", *others]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2.13.0\n", "line 1 is '2.13.0': expected a version and a day"),
        ("newest 2026-07-08\n", "line 1 is 'newest 2026-07-08': expected a version and a day"),
        ("# none\n2.13.0 07/08/26\n", "line 2 is '2.13.0 07/08/26': expected"),
        ("2.13.0 2026-07-08\n2.12.0 2026-05-13\n", "line 2: 2.12.0 is not later than 2.13.0: oldest first"),
        ("# nothing\n", "names none"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, text, sentence):
    (tmp_path / "releases.txt").write_text(text)
    with pytest.raises(UserError, match=sentence):
        make(tmp_path / "releases.txt", tmp_path / "made")
    with pytest.raises(UserError, match="cannot be read .No such file"):
        make(tmp_path / "missing.txt", tmp_path / "made")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """asv over two releases, of which the later one costs about a tenth more."""
    folder = tmp_path_factory.mktemp("releases")
    made = Repository(folder / "repository", "no project", BENCHMARKS)
    made.temporary = folder / "temporary"  # one for all tests, which compare counts of different runs
    made.temporary.mkdir()
    for version, source in (
        ("2.12.0", WORK.format(version="2.12.0", size=1000)),
        ("2.13.0", WORK.format(version="2.13.0", size=1100) + "\ndef later():\n    return list(range(1000))\n"),
    ):
        wheel(made.folder / "wheels", "torch", version, source)
    wheel(made.folder / "wheels", "numpy", "2.4.6", "")
    settings = configuration("asv.releases.conf.json")
    first, second = settings["install_command"]
    settings["install_command"] = [
        f"{first} --no-index --find-links {{conf_dir}}/wheels",
        second.replace("{conf_dir}", str(ROOT)),
    ]
    made.write("asv.releases.conf.json", json.dumps(settings))
    made.write("requirements.txt", (ROOT / "requirements.txt").read_text())
    made.write("releases.txt", "2.12.0 2026-05-13\n2.13.0 2026-07-08\n")
    assert made.asv("machine", "--yes").returncode == 0
    answer = made.asv("--config", "asv.releases.conf.json", "run", "--show-stderr", "ALL")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    made.said = answer.stdout
    return made


def results(project) -> dict[str, dict]:
    """asv's results, by release."""
    folder = project.folder / ".asv/releases/repository.git"
    releases = {git(folder, "rev-parse", tag): tag for tag in git(folder, "tag").split()}
    files = [path for path in (project.folder / ".asv/releases/results").glob("*/*.json") if "-virtualenv" in path.name]
    found = [json.loads(path.read_text()) for path in files]
    return {releases[each["commit_hash"]]: each["results"] for each in found}


@pytest.mark.asv
def test_each_release_is_counted_in_its_own_environment(project):
    found = results(project)
    before, after = (found[tag]["work.Work.track_instructions"][0][0] for tag in ("v2.12.0", "v2.13.0"))
    assert 1.05 < after / before < 1.15
    (folder,) = (path for path in (project.folder / ".asv/releases/env").iterdir() if path.is_dir())
    versions = {path.parent.name for path in folder.glob("*/lib/*/site-packages/torch-*.dist-info/METADATA")}
    assert versions == {"torch-2.12.0.dist-info", "torch-2.13.0.dist-info"}
    assert len(list(folder.glob("*/bin/python"))) == 2


@pytest.mark.asv
def test_what_a_release_lacks_is_skipped_with_the_reason(project):
    found = results(project)
    (nothing,), (count,) = (found[tag]["work.New.track_instructions"][0] for tag in ("v2.12.0", "v2.13.0"))
    assert (nothing is None or math.isnan(nothing)) and count > 1000
    assert "skipped: torch 2.12.0 has no torch.later" in project.said


@pytest.mark.asv
def test_asvs_other_commands_know_releases_by_their_tags(project):
    configured = ("--config", "asv.releases.conf.json")
    answer = project.asv(*configured, "compare", "v2.12.0", "v2.13.0")
    assert answer.returncode == 0 and "work.Work.track_instructions" in answer.stdout, answer.stdout + answer.stderr
    assert project.asv(*configured, "publish").returncode == 0
    index = json.loads((project.folder / ".asv/releases/html/index.json").read_text())
    assert len(index["tags"]) == 2 and "v2.12.0" in index["tags"]


@pytest.mark.asv
def test_diff_tells_what_moved_between_releases(project):
    answer = project.harness(
        "diff", "v2.12.0", "v2.13.0", "work.Work", "--config", "asv.releases.conf.json", "--rows", "3"
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "work.Work" in answer.stdout and "in all" in answer.stdout, answer.stdout


@pytest.mark.asv
def test_two_releases_are_checked_in_the_environments_that_are_there(project):
    answer = project.harness(
        *("check", "v2.12.0", "v2.13.0", "--config", "asv.releases.conf.json"),
        *("--suite", "full", "--json"),
    )
    assert answer.returncode == 3, answer.stdout + answer.stderr
    facts = json.loads(answer.stdout)
    assert {case["benchmark"]: case["verdict"] for case in facts["cases"]} == {
        "work.Work": "regressed",
        "work.New": "new",
    }
    assert "Installing" not in answer.stderr
    assert "kept from before" not in answer.stderr, "nothing tells what was installed then"


@pytest.mark.asv
def test_the_table_is_made_from_the_results_and_put_where_it_belongs(project):
    script = [sys.executable, str(ROOT / "scripts/releases_table.py"), "--config", "asv.releases.conf.json"]
    answer = subprocess.run(script, cwd=project.folder, capture_output=True, text=True, env=project.environment())
    header, _, work, new = answer.stdout.splitlines()
    assert header == "| instructions a call | v2.12.0 | v2.13.0 | all in all |", answer.stderr
    before, after = (results(project)[tag]["work.Work.track_instructions"][0][0] for tag in ("v2.12.0", "v2.13.0"))
    change = f"**{(after / before - 1) * 100:+.1f} %**"
    assert work.startswith("| `work.Work()` | ") and work.count(change) == 2, work
    assert new.startswith("| `work.New()` | n/a | ")

    page = project.folder / "page.md"
    page.write_text("before\n<!-- releases -->\nold\n<!-- end of releases -->\nafter\n")
    for _ in range(2):
        done = subprocess.run([*script, "--into", "page.md"], cwd=project.folder, env=project.environment())
        assert done.returncode == 0
    start, conditions, rest = re.split(r"^(\*Counted .*\*)\n", page.read_text(), flags=re.MULTILINE)
    assert start + rest == f"before\n<!-- releases -->\n\n\n{answer.stdout}\n<!-- end of releases -->\nafter\n"
    assert f"counting rules {COUNTING_RULES}, on " in conditions
    changes = subprocess.run(
        [*script, "--changes"], cwd=project.folder, capture_output=True, text=True, env=project.environment()
    )
    assert changes.stdout.splitlines()[0] == "| change | v2.13.0 | v2.12.0 to v2.13.0 |"
    assert f"| `work.Work()` | {change} | {change} |" in changes.stdout.splitlines()
    page.write_text("no such lines\n")
    refused = subprocess.run(
        [*script, "--into", "page.md"], cwd=project.folder, capture_output=True, text=True, env=project.environment()
    )
    assert refused.returncode == 1 and "lacks the line <!-- releases -->" in refused.stderr


@pytest.mark.asv
def test_a_run_that_was_stopped_goes_on_where_it_was(project, monkeypatch):
    """Whatever was kept is given again: here a count that no counting would give."""
    before = results(project)
    for path in (project.folder / ".asv/releases/results").glob("*/*-virtualenv*.json"):
        path.unlink()
    (record,) = project.folder.glob(".asv/counts/*/*/work.New/no-parameters/count.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "total": 10**9}))
    monkeypatch.setenv("HARNESS_RESUME", "1")
    answer = project.asv("--config", "asv.releases.conf.json", "run", "--show-stderr", "ALL")
    assert answer.returncode == 0 and "counted in an earlier run" in answer.stdout, answer.stdout + answer.stderr
    assert "Installing" not in answer.stdout
    after = results(project)
    for tag in ("v2.12.0", "v2.13.0"):
        assert after[tag]["work.Work.track_instructions"][0] == before[tag]["work.Work.track_instructions"][0]
    assert after["v2.13.0"]["work.New.track_instructions"][0][0] > 9e8
