"""Two versions of Python in one configuration: two environments, two series. Where this machine has a second one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from harness.system import interpreter
from tests.projects import Repository

pytestmark = pytest.mark.asv
OWN = f"3.{sys.version_info.minor}"


def another() -> str:
    for major, minor in interpreter.TRIED:
        found = shutil.which(f"python{major}.{minor}")
        # A version manager's stand-in for what is not installed is found, and does not run.
        if (
            f"{major}.{minor}" != OWN
            and found
            and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0
        ):
            return f"{major}.{minor}"
    pytest.skip("no second version of Python on PATH; make test-worlds has two")


def version_in(fingerprint: dict[str, str]) -> str:
    return ".".join(fingerprint["python"].split(".")[:2])


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("pythons") / "repository")
    settings = json.loads((made.folder / "asv.conf.json").read_text())
    settings["pythons"] = [OWN, another()]
    made.write("asv.conf.json", json.dumps(settings))
    assert made.asv("machine", "--yes").returncode == 0
    answer = made.asv("run", "--show-stderr", "HEAD^!")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return made


def test_each_has_an_environment_and_counts_of_its_own(repository):
    commit = repository.commits["renamed"]
    counts = {}
    for kept in repository.folder.glob(f".asv/counts/{commit}/*/work.Work/cpu/count.json"):
        record = json.loads(kept.read_text())
        counts[version_in(record["fingerprint"])] = record["instructions per call"]
    assert counts.keys() == {OWN, another()} and counts[OWN] != counts[another()]
    results = sorted(path.name for path in repository.folder.glob(f".asv/results/*/{commit[:8]}-*.json"))
    assert len(results) == 2 and all(any(f"py{version}" in name for name in results) for version in counts)


def test_published_each_is_a_series(repository):
    answer = repository.asv("publish")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    index = json.loads((repository.folder / ".asv/html/index.json").read_text())
    assert index["params"]["python"] == sorted([OWN, another()])


def test_explain_says_whose_count_it_is(repository):
    answer = repository.harness("explain", "work.Work", "--param", "device=cpu", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (told,) = json.loads(answer.stdout)
    assert f"py{version_in(told['fingerprint'])}" in told["environment"]
