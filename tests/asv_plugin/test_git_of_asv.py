"""asv's git, less submodules."""

import pytest
from asv.plugins.git import Git
from asv.repo import Repo
from asv.util import UserError, iter_subclasses

from harness.asv_plugin.git import GitWithoutSubmodules
from harness.asv_plugin.private_parts import folder_of_repository
from tests.histories import History


@pytest.fixture
def history(tmp_path):
    """A repository with a submodule that could be fetched, if somebody did."""
    inner = History(tmp_path / "inner")
    inner.write("inner.txt", "inner\n")
    inner.commit("inner")
    made = History(tmp_path / "repository")
    made.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.folder), "huge")
    made.write("torch/a.py", "1\n")
    made.commit("first")
    made.write("torch/a.py", "2\n")
    made.commit("second")
    return made


def test_a_checkout_has_the_commit_and_no_submodule(history, tmp_path, monkeypatch):
    (tmp_path / ".gitconfig").write_text(
        '[submodule]\n\trecurse = true\n\tactive = .\n[protocol "file"]\n\tallow = always\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    ours = GitWithoutSubmodules(str(history.folder), str(tmp_path / "mirror"))
    assert folder_of_repository(ours) == history.folder
    for subject, text in (("first", "1\n"), ("second", "2\n"), ("first", "1\n")):
        ours.checkout(str(tmp_path / "checkout"), history.commits[subject])
        assert (tmp_path / "checkout/torch/a.py").read_text() == text
        assert list((tmp_path / "checkout/huge").iterdir()) == []
    assert not (tmp_path / "checkout/.git/modules").exists()
    # What asv's own does here, so that the check above could fail.
    Git(str(history.folder), str(tmp_path / "mirror")).checkout(str(tmp_path / "other"), history.commits["first"])
    assert (tmp_path / "other/huge/inner.txt").exists()


def test_a_remote_is_mirrored(history, tmp_path):
    ours = GitWithoutSubmodules(f"file://{history.folder}", str(tmp_path / "mirror"))
    assert folder_of_repository(ours) == tmp_path / "mirror"
    ours.checkout(str(tmp_path / "checkout"), history.commits["second"])
    assert (tmp_path / "checkout/torch/a.py").read_text() == "2\n"


def test_it_is_chosen_by_name_only(history):
    assert GitWithoutSubmodules in iter_subclasses(Repo)
    assert not GitWithoutSubmodules.url_match(str(history.folder)) and Git.url_match(str(history.folder))


def test_a_clone_that_is_not_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"there is no git clone at '../pytorch' .*: clone PyTorch there, or set `repo`"
    ):
        GitWithoutSubmodules("../pytorch", str(tmp_path / "mirror"))
    assert not (tmp_path / "mirror").exists()
