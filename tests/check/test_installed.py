"""`harness check` on a repository whose commits asv installs, each side in an environment of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.asv_plugin.per_commit import installed_by
from harness.errors import RepositoryError
from harness.overlay import git
from tests.projects import Repository

WITHOUT_A_PROJECT = '''
from harness import Workload

class Work(Workload):
    """What no commit changes."""

    calls = 10

    def work(self):
        return [number for number in range(1000)]
'''


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
def test_the_edits_of_the_working_tree_are_installed(project):
    text = (project.folder / "project.py").read_text()
    project.write("project.py", text.replace("1010", "990"))
    try:
        facts = checked(project, "HEAD", status=0)
    finally:
        project.write("project.py", text)
    assert facts["verdict"] == "1 improved, 1 skipped"
    assert facts["head"]["name"].startswith("the working tree: ")


@pytest.fixture(scope="module")
def pinned(tmp_path_factory) -> Repository:
    """A project whose commits contribute a file of requirements and nothing else; the work is in the benchmark."""
    made = Repository(tmp_path_factory.mktemp("pinned") / "project", "", WITHOUT_A_PROJECT)
    settings = json.loads((made.folder / "asv.conf.json").read_text())
    settings["install_command"][0] = "python -m pip install --no-index --requirement {build_dir}/requirements.txt"
    made.write("asv.conf.json", json.dumps(settings))
    for name, text in (("first", "# nothing\n"), ("equal", "# nothing\n"), ("other", "# nothing, too\n")):
        made.write("requirements.txt", text)
        made.git("add", "requirements.txt")
        made.commits[name] = made.commit("", name)
    return made


@pytest.mark.asv
def test_commits_that_install_the_same_share_an_environment_and_that_is_said(pinned):
    assert pinned.asv("machine", "--yes").returncode == 0
    facts = checked(pinned, pinned.commits["first"], pinned.commits["equal"], status=0)
    assert facts["verdict"] == "1 unchanged"
    assert facts["notes"] == ["both sides install the same, and this suite counts both: a difference would be noise"]
    assert checked(pinned, pinned.commits["equal"], pinned.commits["other"], status=0)["notes"] == []
    pinned.write(".gitignore", ".*\nasv.*\nbenchmarks\n")
    pinned.write("new.txt", "")
    pinned.write("requirements.txt", "# an edit\n")
    notes = checked(pinned, "HEAD", status=0)["notes"]
    assert notes == ["not in head: files that git does not know (new.txt); `git add` them"]


REQUIREMENTS = ["python -m pip install --requirement {build_dir}/requirements.txt"]
PINS: dict[str, Any] = {"build_command": [], "install_command": REQUIREMENTS, "uninstall_command": []}


@pytest.mark.parametrize(
    ("commands", "same"),
    [
        (PINS, True),
        ({**PINS, "install_command": ["python -m pip install torch"]}, True),
        ({**PINS, "build_command": None}, False),
        ({**PINS, "uninstall_command": None}, False),
        ({**PINS, "build_command": ["python -m pip install ."]}, False),  # in the checkout, where builds run
        ({**PINS, "install_command": ["python -m pip install {build_dir}"]}, False),
        ({**PINS, "install_command": ["python -m pip install {wheel_file}"]}, False),
        ({**PINS, "install_command": ["sh -c 'pip install $ASV_BUILD_DIR'"]}, False),
        ({**PINS, "install_command": ["python {build_dir}/install.py"]}, False),  # which may read anything
        ({**PINS, "install_command": ["pip install -r {build_dir}/requirements.txt {build_dir}"]}, False),
    ],
)
def test_an_environment_is_shared_only_by_commits_that_install_the_same(pinned, commands, same):
    repository = git.Repository(pinned.folder)
    names = {name: installed_by(commands, repository, pinned.commits[name]) for name in ("first", "equal")}
    assert (names["first"] == names["equal"]) is same


@pytest.mark.parametrize(
    "line",
    ["-r pins.txt", "--constraint=pins.txt", "-e .", "./wheels/a.whl", "project @ file:///somewhere/project.whl"],
)
def test_requirements_that_lead_to_another_file_are_the_commits_own(tmp_path, line):
    made = Repository(tmp_path / "project", "", WITHOUT_A_PROJECT)
    commits = []
    for pin in ("one", "two"):
        made.write("pins.txt", pin)
        made.write("requirements.txt", f"numpy\n{line}\n")
        made.git("add", "pins.txt", "requirements.txt")
        commits.append(made.commit("", pin))
    names = {installed_by(PINS, git.Repository(made.folder), commit) for commit in commits}
    assert len(names) == 2


def test_what_is_installed_differs_with_the_files_and_with_the_commands(pinned, project):
    repository, commits = git.Repository(pinned.folder), pinned.commits
    first = installed_by(PINS, repository, commits["first"])
    assert installed_by(PINS, repository, commits["other"]) != first
    assert installed_by({**PINS, "uninstall_command": ["true"]}, repository, commits["first"]) != first
    with pytest.raises(RepositoryError, match="has no file requirements.txt"):
        installed_by(PINS, git.Repository(project.folder), project.commits["first"])
