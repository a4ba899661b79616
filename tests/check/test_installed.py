"""`harness check` on a repository whose commits asv installs, each side in an environment of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.asv_plugin.per_commit import installed_by
from harness.errors import RepositoryError
from harness.overlay import git
from tests.projects import Repository

PINS = {"install_command": ["python -m pip install -r {build_dir}/project.py"], "build_command": []}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Repository:
    return Repository(tmp_path_factory.mktemp("installed") / "project")


def checked(project: Repository, *words: str, status: int) -> dict[str, Any]:
    answer = project.harness(
        "check", *words, "--config", "asv.conf.json", "--suite", "full", "--counter", "opcodes", "--json"
    )
    assert answer.returncode == status, answer.stdout + answer.stderr
    facts: dict[str, Any] = json.loads(answer.stdout)
    return facts


@pytest.mark.asv
def test_two_commits_are_installed_side_by_side_and_a_function_is_named(project):
    assert project.asv("machine", "--yes").returncode == 0
    facts = checked(project, project.commits["first"], project.commits["slower"], status=3)
    assert facts["verdict"] == "1 regressed, 1 skipped" and facts["notes"] == []
    case = facts["cases"][0]
    assert case["change"]["relative"] == pytest.approx(0.01, abs=0.001)
    assert case["reason"]["functions"][0]["function"] == "work"
    assert len(list(project.folder.glob(".asv/env/*/*/lib/*/site-packages/project.py"))) == 2


@pytest.mark.asv
def test_commits_that_install_the_same_share_an_environment_and_that_is_said(project):
    facts = checked(project, project.commits["first"], project.commits["equal"], status=0)
    assert facts["verdict"] == "1 unchanged, 1 skipped"
    assert facts["notes"] == ["both sides install the same, and this suite counts both: a difference would be noise"]


@pytest.mark.asv
def test_the_edits_of_the_working_tree_are_installed(project):
    text = (project.folder / "project.py").read_text()
    project.write("project.py", text.replace("1010", "990"))
    try:
        facts = checked(project, "HEAD", status=0)
    finally:
        project.write("project.py", text)
    assert facts["verdict"] == "1 improved, 1 skipped"
    assert facts["head"]["name"].startswith("the working tree: ")


@pytest.mark.parametrize(
    ("commands", "same"),
    [
        (PINS, True),
        ({**PINS, "build_command": None}, False),
        ({**PINS, "build_command": ["python -m pip wheel -w {build_cache_dir} ."]}, False),
        ({**PINS, "install_command": ["python -m pip install {build_dir}"]}, False),
        ({**PINS, "install_command": ["python -m pip install {wheel_file}"]}, False),
        ({**PINS, "install_command": ["python -m pip install torch"]}, True),
    ],
)
def test_an_environment_is_shared_only_by_commits_that_install_the_same(project, commands, same):
    repository = git.Repository(project.folder)
    commits = project.commits
    names = {name: installed_by(commands, repository, commits[name]) for name in ("first", "equal")}
    assert (names["first"] == names["equal"]) is same


def test_what_is_installed_differs_with_the_files_and_with_the_commands(project):
    repository, commits = git.Repository(project.folder), project.commits
    first = installed_by(PINS, repository, commits["first"])
    assert installed_by(PINS, repository, commits["slower"]) != first
    assert installed_by({**PINS, "uninstall_command": ["true"]}, repository, commits["first"]) != first
    lacking = {"install_command": ["pip install -r {build_dir}/requirements.txt"]}
    with pytest.raises(RepositoryError, match="has no file requirements.txt"):
        installed_by(lacking, repository, commits["first"])
