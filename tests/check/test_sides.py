"""What the two sides of a check are. Milliseconds."""

from __future__ import annotations

import pytest

from harness.check import sides
from harness.errors import RepositoryError
from harness.overlay.git import Repository
from tests.histories import History


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repository")
    made.commit("first")
    made.commit("second")
    return made


def test_the_wheel_of_both_sides_is_that_of_the_older_one(history):
    repository, first, second = Repository(history.folder), history.commits["first"], history.commits["second"]
    assert sides.older(repository, first, second) == sides.older(repository, second, first) == first
    history.git("checkout", "--quiet", "-b", "branch", first)
    branch = history.commit("on a branch")
    assert sides.older(repository, second, branch) == second, "the base's"


def test_a_clone_of_this_suite_is_refused_and_what_holds_torch_is_not(history):
    for name in ("asv.conf.json", "harness/__init__.py"):
        history.write(name, "")
    ours = history.commit("the suite")
    history.write("torch/__init__.py", "")
    torch = history.commit("torch is there")
    repository = Repository(history.folder)
    with pytest.raises(RepositoryError, match="with `--config asv.conf.json` its pins"):
        sides._refuse_this_suite(repository, ours)
    sides._refuse_this_suite(repository, torch)
    sides._refuse_this_suite(repository, history.commits["first"])
