"""Reading a repository without a checkout."""

import os
import subprocess
import time

import pytest

from harness.errors import RepositoryError
from harness.overlay.git import Repository, hosted_name
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


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://github.com/pytorch/pytorch.git", "pytorch/pytorch"),
        ("https://somebody:secret@github.com/pytorch/pytorch/", "pytorch/pytorch"),
        ("ssh://git@host:22/group/part/name.git", "group/part/name"),
        ("git@github.com:owner/name.git", "owner/name"),
        ("/home/somebody/pytorch", None),
        ("../pytorch", None),
        ("file:///srv/pytorch.git", None),
        ("", None),
    ],
)
def test_a_repository_is_called_by_its_path_on_its_host(address, name):
    assert hosted_name(address) == name


def test_where_a_clone_is_from(history):
    assert Repository(history.folder).origin is None
    history.git("remote", "add", "origin", "https://github.com/owner/name")
    assert Repository(history.folder).origin == "owner/name"


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


# The working tree


@pytest.fixture
def worked_on(tmp_path):
    made = History(tmp_path / "clone")
    made.write("file.py", "ONE = 1\n")
    made.write(".gitignore", "*.log\n")
    made.commit("first")
    return made


def test_a_working_tree_without_edits_is_its_commit(worked_on):
    assert Repository(worked_on.folder).snapshot(["new", "sub"]) == worked_on.commits["first"]
    (worked_on.folder / "file.log").write_text("ignored")
    assert Repository(worked_on.folder).snapshot(["new", "sub"]) == worked_on.commits["first"]


def test_edits_new_and_removed_files_are_in_the_snapshot_and_nothing_else_changes(worked_on):
    worked_on.write("new/file.py", "NEW = 1\n")
    worked_on.write("staged.py", "STAGED = 1\n")
    worked_on.git("add", "staged.py")
    worked_on.write("core.12345", "nothing to do with it")
    (worked_on.folder / "file.py").unlink()
    before = worked_on.git("status", "--porcelain")
    repository = Repository(worked_on.folder)
    commit = repository.snapshot(["new", "sub"])
    assert repository.changed(worked_on.commits["first"], commit) == ["file.py", "new/file.py", "staged.py"]
    assert repository.is_ancestor(worked_on.commits["first"], commit)
    assert repository.snapshot(["new", "sub"]) == commit, "equal contents are one commit"
    assert worked_on.git("status", "--porcelain") == before and worked_on.git("stash", "list") == ""


def test_an_edit_of_equal_size_just_after_a_checkout_is_seen(worked_on, tmp_path):
    """git tells by the time of its index that a file of the same second may have changed."""
    time.sleep(1 - time.time() % 1)  # what follows is of one second
    worked_on.git("clone", "--quiet", ".", str(tmp_path / "cloned"))
    (tmp_path / "cloned/file.py").write_text("ONE = 2\n")
    time.sleep(1.1)
    assert Repository(tmp_path / "cloned").snapshot(["new", "sub"]) != worked_on.commits["first"]


def test_a_snapshot_holds_all_of_the_clone_wherever_it_is_asked_for(worked_on):
    worked_on.write("sub/inner.py", "")
    worked_on.write("file.py", "ONE = 2\n")
    commit = Repository(worked_on.folder / "sub").snapshot(["new", "sub"])
    assert Repository(worked_on.folder).changed(worked_on.commits["first"], commit) == ["file.py", "sub/inner.py"]


def test_a_bare_repository_has_no_working_tree(worked_on, tmp_path):
    worked_on.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(RepositoryError, match="has no working tree: name the commit after too"):
        Repository(tmp_path / "bare").snapshot(["new", "sub"])


def test_the_users_own_index_and_name_do_not_matter(worked_on, monkeypatch):
    worked_on.write("file.py", "ONE = 2\n")
    commit = Repository(worked_on.folder).snapshot(["new", "sub"])
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "somebody")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere/objects")
    assert Repository(worked_on.folder).snapshot(["new", "sub"]) == commit


def test_what_git_was_told_to_take_as_unchanged_is_seen(worked_on):
    worked_on.git("update-index", "--assume-unchanged", "file.py")
    worked_on.write("file.py", "ONE = 22\n")
    commit = Repository(worked_on.folder).snapshot(["new"])
    assert Repository(worked_on.folder).changed(worked_on.commits["first"], commit) == ["file.py"]
    assert worked_on.git("ls-files", "-v", "file.py").startswith("h"), "the user's index is as it was"


def test_conflicts_are_to_be_resolved_first(worked_on):
    worked_on.git("checkout", "--quiet", "-b", "other")
    worked_on.write("file.py", "ONE = 2\n")
    worked_on.commit("other")
    worked_on.git("checkout", "--quiet", "main")
    worked_on.write("file.py", "ONE = 3\n")
    worked_on.commit("ours")
    with pytest.raises(subprocess.CalledProcessError):
        worked_on.git("merge", "other")
    with pytest.raises(RepositoryError, match=r"has conflicts, as in file\.py: resolve them first"):
        Repository(worked_on.folder).snapshot(["new"])
