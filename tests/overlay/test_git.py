"""Reading a repository without a checkout."""

import os

import pytest

from harness.errors import RepositoryError
from harness.overlay.git import Repository
from tests.histories import History


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repository")
    made.write("torch/a.py", "1\n")
    made.write("docs/b.rst", "text\n")
    os.symlink("a.py", made.folder / "torch/link.py")
    os.symlink("../nowhere.py", made.folder / "torch/dangling.py")
    made.commit("first")
    made.write("docs/b.rst", "more\n")
    made.commit("docs")
    made.git("mv", "torch/a.py", "torch/c.py")
    made.commit("renamed")
    return made


def test_files_contents_and_links(history):
    repository = Repository(history.folder)
    files = repository.files(history.commits["first"], ["torch"])
    assert files.keys() == {"torch/a.py", "torch/link.py"} and files["torch/link.py"] == files["torch/a.py"]
    assert repository.contents([files["torch/a.py"], files["torch/link.py"]]) == [b"1\n", b"1\n"]
    with pytest.raises(RepositoryError, match="lacks the file contents 1111.*the clone is incomplete"):
        repository.contents(["1" * 40])


def test_what_changed_and_what_touched(history):
    repository = Repository(history.folder)
    first, docs, renamed = history.commits.values()
    assert repository.changed(first, renamed) == ["docs/b.rst", "torch/a.py", "torch/c.py"]
    assert repository.first_parents(first, renamed) == [first, docs, renamed]
    assert repository.touching(first, renamed, ["torch"]) == {renamed}
    assert repository.subject(docs) == "docs"


def test_how_commits_are_related(history):
    repository = Repository(history.folder)
    first, _, renamed = history.commits.values()
    assert repository.is_ancestor(first, renamed) and not repository.is_ancestor(renamed, first)
    assert repository.distance(first, renamed) == 2
    assert repository.has(first) and not repository.has("1" * 40)
    history.git("checkout", "--quiet", "--orphan", "other")
    assert not repository.are_related(history.commit("unrelated"), first)


def test_bare_and_shared_clones_are_repositories_too(history, tmp_path):
    history.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    history.git("clone", "--quiet", "--shared", ".", str(tmp_path / "shared"))
    for name in ("bare.git", "shared"):
        assert Repository(tmp_path / name).commit("HEAD") == history.commits["renamed"]


def test_what_is_not_there_is_said(history, tmp_path):
    with pytest.raises(RepositoryError, match=r"has no commit 'no-such': look with `git log`, or `git fetch` it"):
        Repository(history.folder).commit("no-such")
    with pytest.raises(RepositoryError, match="has no commit '--help'"):
        Repository(history.folder).commit("--help")
    with pytest.raises(RepositoryError, match="is no folder"):
        Repository(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RepositoryError, match="is no git repository"):
        Repository(tmp_path / "empty")
