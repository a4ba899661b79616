"""asv's private parts are as harness/asv_plugin/private_parts.py takes them to be, in the asv that is installed."""

import sys

import pytest
from asv.config import Config
from asv.plugins.git import Git
from asv.plugins.virtualenv import Virtualenv
from asv_runner import console

from harness.asv_plugin import private_parts
from tests.histories import History


@pytest.fixture
def history(tmp_path):
    made = History(tmp_path / "repository")
    made.write("a.py", "1\n")
    made.commit("first")
    return made


def environment(folder, monkeypatch):
    """An environment of asv's whose folder lies below `folder`, before anything of it is made."""
    monkeypatch.chdir(folder.parent)
    configuration = Config.from_json({"project": "project", "repo": ".", "env_dir": str(folder)})
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return Virtualenv(configuration, python, {}, {}), configuration


def test_a_repository_has_its_objects_in_its_path(history, tmp_path):
    clone = Git(str(history.folder), str(tmp_path / "mirror"))
    mirror = Git(f"file://{history.folder}", str(tmp_path / "mirror"))
    assert private_parts.folder_of_repository(clone) == history.folder
    assert private_parts.folder_of_repository(mirror) == tmp_path / "mirror"
    assert (tmp_path / "mirror/objects").is_dir()


def test_an_environment_lies_where_its_path_says(tmp_path, monkeypatch):
    own, _ = environment(tmp_path / "env", monkeypatch)
    folder = private_parts.folder_of_environment(own)
    assert folder == tmp_path / "env" / own.dir_name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").touch(0o755)
    assert own.find_executable("python") == str(folder / "bin/python")


def test_an_installation_is_forgotten(tmp_path, monkeypatch):
    own, _ = environment(tmp_path / "env", monkeypatch)
    private_parts.folder_of_environment(own).mkdir(parents=True)
    own._set_installed_commit_hash("0123")
    assert own.installed_commit_hash == "0123"
    private_parts.forget_installation(own)
    assert own.installed_commit_hash is None


def test_a_moved_environment_is_nowhere_else(tmp_path, monkeypatch):
    own, configuration = environment(tmp_path / "env", monkeypatch)
    first = str(private_parts.folder_of_environment(own))
    mentions = {name for name, value in facts(own).items() if first in value}
    assert mentions == {"_path", "_cache", "_build_root", "_global_env_vars"}  # all of them are moved below
    own._is_setup = True
    private_parts.move_environment(own, configuration, tmp_path / "other")
    assert private_parts.folder_of_environment(own) == tmp_path / "other"
    assert {name for name, value in facts(own).items() if first in value} == set()
    assert own._is_setup is False
    # They are as asv's constructor makes them for this folder.
    made, _ = environment(tmp_path / "env", monkeypatch)
    assert {name: value.replace(first, str(tmp_path / "other")) for name, value in facts(made).items()} == facts(own)


def facts(own):
    return {name: str(vars(value) if name == "_cache" else value) for name, value in vars(own).items()}


def test_all_of_gits_commands_are_changed(history, tmp_path):
    class Watched(private_parts.ChangedGitCommands, Git):
        dvcs = "watched"

        @classmethod
        def url_match(cls, url):
            return False

        def changed(self, arguments):
            seen.append(arguments[0])
            return None if arguments[0] == "cat-file" else arguments

    seen: list[str] = []
    repository = Watched(str(history.folder), str(tmp_path / "mirror"))
    assert repository.get_date(history.commits["first"]) > 0
    assert repository.get_hash_from_name("main") == history.commits["first"]
    repository.checkout(str(tmp_path / "checkout"), history.commits["first"])
    assert {"rev-list", "rev-parse", "clone", "checkout"} <= set(seen)
    assert repository._run_git(["cat-file", "-p", "HEAD"]) == ""  # not run


def test_asv_colours_by_one_function(capsys, monkeypatch):
    monkeypatch.setattr(console, "_color_text", console._color_text)
    monkeypatch.setattr(console, "isatty", lambda file: True)
    assert private_parts.coloured("a", "green") == "\x1b[0;32ma\x1b[0m"
    private_parts.colour_with(lambda text, colour: f"<{colour}>{private_parts.coloured(text, colour)}")
    console.color_print("name", "green")
    assert capsys.readouterr().out == "<green>\x1b[0;32mname\x1b[0m\n"
