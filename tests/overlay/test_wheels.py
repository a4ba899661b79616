"""Wheels: what they say of themselves, where they come from, which one a commit takes. Made-up ones, in folders."""

import base64
import contextlib
import functools
import http.server
import shutil
import sys
import threading

import pytest

from harness.errors import OverlayError
from harness.overlay import wheels
from harness.overlay.git import Repository
from tests.histories import small_history, small_wheel


@pytest.fixture
def history(tmp_path):
    made = small_history(tmp_path / "repository")
    for number in range(1, 6):
        made.write("torch/later.py", f"{number}\n")
        made.commit(f"later {number}")
    return made


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_each_commit_takes_the_nearest_older_wheel(history, tmp_path):
    commits = history.commits
    for version, subject in (("1.0", "base"), ("1.1", "later 2"), ("1.2", "later 4")):
        small_wheel(history, commits[subject], tmp_path / "wheels", version)
    files = wheels.named(tmp_path / "wheels")
    repository = Repository(history.folder)
    taken = {subject: wheels.nearest(repository, commit, files).version for subject, commit in commits.items()}
    assert taken == {
        "base": "1.0",
        "later 1": "1.0",
        "later 2": "1.1",
        "later 3": "1.1",
        "later 4": "1.2",
        "later 5": "1.2",
    }


def test_a_release_branch_is_as_old_as_where_it_parted(history, tmp_path):
    history.git("checkout", "--quiet", "-b", "release", history.commits["later 2"])
    history.write("torch/worker.py", "picked = 1\n")
    release = history.commit("picked")
    history.git("checkout", "--quiet", "main")
    small_wheel(history, history.commits["base"], tmp_path / "wheels", "1.0")
    small_wheel(history, release, tmp_path / "wheels", "1.1")
    files = wheels.named(tmp_path / "wheels")
    repository = Repository(history.folder)
    assert wheels.nearest(repository, history.commits["later 1"], files).version == "1.0"
    assert wheels.nearest(repository, history.commits["later 3"], files).version == "1.1"


def test_no_wheel_as_old_is_said_and_an_only_one_is_taken_anyway(history, tmp_path):
    repository = Repository(history.folder)
    small_wheel(history, history.commits["later 4"], tmp_path / "wheels", "1.2")
    only = wheels.named(tmp_path / "wheels")
    assert wheels.nearest(repository, history.commits["base"], only).version == "1.2"
    small_wheel(history, history.commits["later 5"], tmp_path / "wheels", "1.3")
    with pytest.raises(
        OverlayError, match=r"no wheel is as old as commit .*; there are torch 1.2 .*, torch 1.3 .*: name"
    ):
        wheels.nearest(repository, history.commits["base"], wheels.named(tmp_path / "wheels"))


def test_a_history_too_shallow_to_tell_is_said(history, tmp_path):
    small_wheel(history, history.commits["base"], tmp_path / "wheels", "1.0")
    small_wheel(history, history.commits["later 3"], tmp_path / "wheels", "1.1")
    history.git("clone", "--quiet", "--depth=1", f"file://{history.folder}", str(tmp_path / "shallow"))
    with pytest.raises(OverlayError, match=r"which wheel is nearest cannot be told: .* `git fetch --unshallow`"):
        wheels.nearest(Repository(tmp_path / "shallow"), history.commits["later 5"], wheels.named(tmp_path / "wheels"))


def test_a_file_lists_releases_nightlies_and_files(history, tmp_path):
    commits = history.commits
    small_wheel(history, commits["base"], tmp_path / "index", "2.0")
    small_wheel(history, commits["later 1"], tmp_path / "index", "2.1.0.dev20260601")
    small_wheel(history, commits["later 2"], tmp_path / "index", "2.1.0.dev20260602")
    small_wheel(history, commits["later 3"], tmp_path / "own", "2.2")
    listed = tmp_path / "wheels.txt"
    listed.write_text(
        "# what to count on\n--no-index\n--find-links index\n"
        "2.0\n2026-06-02  # a nightly\nown/torch-2.2-py3-none-any.whl\n"
    )
    assert [file.version for file in wheels.named(listed)] == ["2.0", "2.1.0.dev20260602", "2.2"]
    assert [file.commit for file in wheels.named(listed)] == [
        commits[subject] for subject in ("base", "later 2", "later 3")
    ]
    listed.write_text("--no-index\n--find-links index\n2026-06-03\n")
    with pytest.raises(OverlayError, match=r"no nightly of torch of 20260603; there are: .*2.1.0.dev20260602"):
        wheels.named(listed)
    listed.write_text("--no-index\n--find-links index\n9.9\n")
    with pytest.raises(OverlayError, match=r"`pip download .* torch==9.9` failed"):
        wheels.named(listed)


class Private(http.server.SimpleHTTPRequestHandler):
    """An index of HTML pages, as PyTorch's is, for those with a password."""

    def do_GET(self):
        wanted = f"Basic {base64.b64encode(b'me:secret').decode()}"
        if self.headers["Authorization"] == wanted:
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def private_index(folder):
    """The address of an index of the wheels in `folder`, with the password in it."""
    (folder / "simple/torch").mkdir(parents=True)
    for path in folder.glob("*.whl"):
        shutil.move(path, folder / "simple/torch" / path.name)
    handler = functools.partial(Private, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://me:secret@127.0.0.1:{server.server_port}/simple"
        server.shutdown()


@pytest.mark.parametrize("where", ["option", "configuration"])
def test_a_nightly_is_found_where_pip_is_told_to_look(history, tmp_path, monkeypatch, where):
    small_wheel(history, history.commits["later 1"], tmp_path / "index", "2.1.0.dev20260601")
    small_wheel(history, history.commits["later 2"], tmp_path / "links", "2.1.0.dev20260602")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pip.conf").write_text("")
    with private_index(tmp_path / "index") as address:
        options = f"--index-url {address}\n--find-links {tmp_path / 'links'}\n"
        if where == "configuration":
            told = f"index-url = {address}\nfind-links = {tmp_path / 'links'}\n"
            (tmp_path / "pip.conf").write_text(f"[global]\n{told}")
            options = ""
        (tmp_path / "wheels.txt").write_text(f"{options}2026-06-01\n2026-06-02\n")
        found = [file.version for file in wheels.named(tmp_path / "wheels.txt")]
    assert found == ["2.1.0.dev20260601", "2.1.0.dev20260602"]


def test_a_date_is_the_whole_date_of_a_nightly():
    versions = ["2.1.0.dev202606011", "2.1.0.dev20260601+cpu", "2.1.0.dev20260531+20260601"]
    assert wheels._nightly("20260601", versions) == "2.1.0.dev20260601+cpu"


def test_a_pip_too_old_to_tell_versions_is_said(tmp_path, monkeypatch):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 'no such option: --json' >&2\nexit 2\n")
    old.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(old))
    (tmp_path / "wheels.txt").write_text("2026-06-01\n")
    with pytest.raises(OverlayError, match=r"takes pip 25\.1 or newer.*: `.*python -m pip install --upgrade pip`"):
        wheels.named(tmp_path / "wheels.txt")


def test_what_was_downloaded_and_unpacked_is_not_fetched_again(history, tmp_path, monkeypatch):
    small_wheel(history, history.commits["base"], tmp_path / "index", "2.0")
    (tmp_path / "wheels.txt").write_text("--no-index\n--find-links index\n2.0\n")
    first = wheels.named(tmp_path / "wheels.txt")[0].unpack()
    monkeypatch.setattr(wheels, "_pip", lambda *arguments: pytest.fail(f"pip was called again: {arguments}"))
    assert wheels.named(tmp_path / "wheels.txt")[0].unpack() == first
    assert (first.folder / "torch/lib/native.txt").exists() and first.metadata.name == "torch-2.0.dist-info"


def test_what_is_no_wheel_is_said(tmp_path):
    with pytest.raises(OverlayError, match="is neither a folder of wheels nor a text file"):
        wheels.named(tmp_path / "nowhere")
    with pytest.raises(OverlayError, match=r"no wheel of torch in .*: expected files torch-\*\.whl"):
        wheels.named(tmp_path)
    (tmp_path / "torch-1.whl").write_text("no zip")
    with pytest.raises(OverlayError, match="is no wheel of torch: File is not a zip file"):
        wheels.named(tmp_path)
    with pytest.raises(OverlayError, match=r"no wheel of torch in .*: install the pin"):
        wheels.unpacked(tmp_path)


def test_a_wheel_that_names_no_commit_is_refused(history, tmp_path):
    small_wheel(history, "HEAD", tmp_path / "wheels", "1.0")
    with pytest.raises(OverlayError, match="names no commit"):
        wheels.named(tmp_path / "wheels")
