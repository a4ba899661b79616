"""What another user puts in our way, in a folder that is everybody's: not used, not followed, and said.

The other user is a child process that has become `nobody`, which takes root: CI is root, and there nothing is skipped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import protocol
from harness.engine import client, sandbox, valgrind, valgrind_tools
from harness.engine.sandbox import Sandbox
from harness.errors import CountError, OverlayError, StartError
from harness.inside.definitions import TimerArgs
from harness.overlay import wheels
from harness.pytorch import builds
from harness.suite import counting
from harness.suite.selection import find
from harness.system import cache, private
from tests.conftest import SUITES, wait_until

NOBODY = 65534
Loop = find(SUITES / "plain", "loops.Loop")
as_root = pytest.mark.skipif(os.getuid() != 0, reason="acting as a second user takes root, and this is no root")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder as /tmp is, that `nobody` can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        folder = Path(made)
        folder.chmod(0o1777)
        yield folder


@pytest.fixture
def temporary(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the temporary folder of this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    return shared


def plant(statement: str, *arguments: object) -> None:
    """Run `statement` as the other user, with os, socket and `arguments` as `a`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, none of which the child needs
        child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            os.umask(0)
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            exec(statement, {"os": os, "socket": socket, "a": [str(each) for each in arguments]})
            status = 0
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0, statement


def first_slot(base: Path, ending: str = "") -> Path:
    return sandbox.slot(base, 0).with_suffix(ending)


def snapshot(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((path.name, os.lstat(path).st_uid, os.lstat(path).st_mode) for path in folder.iterdir())


# Scratch folders


@as_root
@pytest.mark.parametrize(
    "planted",
    [
        "os.mkdir(a[0] + '', 0o777)",
        "os.symlink(a[2], a[0])",
        "os.symlink('/nonexistent', a[0])",
        "open(a[0], 'w').close()",
        "open(a[1], 'w').close()",
        "os.symlink(a[2] + '/written', a[1])",
        "os.mkfifo(a[1], 0o666)",
        "os.mkdir(a[1], 0o777)",
        "socket.socket(socket.AF_UNIX).bind(a[1])",
    ],
)
def test_what_another_user_made_beforehand_is_passed_over(temporary, tmp_path, planted):
    (tmp_path / "victim").mkdir()
    plant(planted, first_slot(temporary), first_slot(temporary, ".lock"), tmp_path / "victim")
    before = snapshot(temporary)
    with Sandbox.make() as made:
        assert made.root == sandbox.slot(temporary, 1)
        facts = os.lstat(made.root)
        assert facts.st_uid == os.getuid() and facts.st_mode & 0o777 == 0o700
    assert snapshot(temporary) == before and list((tmp_path / "victim").iterdir()) == []


@as_root
def test_where_every_slot_is_taken_it_says_so(temporary):
    plant("[os.mkdir(path) for path in a]", *(sandbox.slot(temporary, number) for number in range(100)))
    with pytest.raises(StartError, match=r"all 100 names .* are taken: .*did another user .*TMPDIR"), Sandbox.make():
        pass


def test_a_link_of_ones_own_is_not_followed_either(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/file").write_text("")
    first_slot(tmp_path / "tmp").symlink_to(tmp_path / "victim")
    with Sandbox.make() as made:
        assert made.root == sandbox.slot(tmp_path / "tmp", 1)
    first_slot(tmp_path / "tmp").unlink()
    assert (tmp_path / "victim/file").exists()


def test_a_temporary_folder_in_which_everybody_may_rename_is_refused(tmp_path):
    (tmp_path / "tmp").chmod(0o777)
    with (
        pytest.raises(StartError, match=r"everybody may replace what lies in .*chmod \+t .*or set TMPDIR"),
        Sandbox.make(),
    ):
        pass
    (tmp_path / "tmp").chmod(0o1777)
    with Sandbox.make():
        pass


# Supervisors


@as_root
def test_a_supervisor_of_another_user_is_not_asked(shared):
    """The other user listens where we look for our own supervisor, and would answer."""
    script = "import os, socket, sys, time\nos.setuid(65534)\nos.chdir(sys.argv[1])\n"
    script += "s = socket.socket(socket.AF_UNIX)\ns.bind('harness.socket')\nos.chmod('harness.socket', 0o777)\n"
    script += "s.listen()\nc = s.accept()[0]\nsys.stdout.write(repr(c.recv(99)))"
    listening = subprocess.Popen([sys.executable, "-c", script, shared], stdout=subprocess.PIPE, text=True)
    try:
        assert wait_until(lambda: (shared / "harness.socket").exists())
        ask = protocol.Ask(protocol.Case("module", "Work", 0, (), 1.0))
        wait_until(lambda: (shared / "harness.socket").stat().st_mode & 0o777 == 0o777)
        with pytest.raises(CountError, match="was started by user nobody and is not asked: count in a folder of your"):
            with client.asking(shared, ask):
                pass
        assert listening.communicate(timeout=20)[0] == "b''"  # not even what is counted was told
    finally:
        listening.send_signal(signal.SIGKILL)
        listening.wait()


def test_no_supervisor_is_started_where_another_may_take_its_place(tmp_path, monkeypatch):
    (tmp_path / "everybody").mkdir()
    (tmp_path / "everybody").chmod(0o777)
    monkeypatch.chdir(tmp_path / "everybody")
    with pytest.raises(StartError, match=r"no supervisor is started where .*others may write .*its mode is 777"):
        Loop.setup_cache()
    assert list((tmp_path / "everybody").iterdir()) == []


# The cache folder


@pytest.fixture
def cached(tmp_path, monkeypatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "made").write_text("made")
    return cache.folder()


def test_what_is_stored_is_found_and_only_its_owner_gets_in(cached, tmp_path):
    os.chmod(tmp_path / "made", 0o777)
    before = os.umask(0)
    try:
        cache.store(tmp_path / "made", cached / "tool/name")
    finally:
        os.umask(before)
    assert cache.find(cached / "tool/name") == cached / "tool/name" and cache.doubt() is None
    modes = [path.stat().st_mode & 0o777 for path in (cached.parent, cached, cached / "tool", cached / "tool/name")]
    assert modes == [0o700, 0o700, 0o700, 0o755]
    assert [path.name for path in (cached / "tool").iterdir()] == ["name"]


@pytest.mark.parametrize("writable", ["", "tool", "tool/name"])
@pytest.mark.parametrize("bits", [0o020, 0o002])
def test_what_others_may_write_is_neither_used_nor_written(cached, tmp_path, writable, bits):
    cache.store(tmp_path / "made", cached / "tool/name")
    path = cached / writable
    path.chmod(path.stat().st_mode | bits)
    assert cache.find(cached / "tool/name") is None
    sentence = cache.doubt(cached / "tool/name") or ""
    assert sentence.startswith(f"the cache folder {cached} is not used, since others may write {path} (its mode is ")
    assert sentence.endswith(": remove that, or name another folder with XDG_CACHE_HOME")
    (tmp_path / "made").write_text("other")
    cache.store(tmp_path / "made", cached / "tool/name")
    assert (cached / "tool/name").read_text() == ("other" if writable == "tool/name" else "made")


def test_links_inside_are_not_used_and_the_folder_may_be_one_of_ones_own(cached, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    cached.parent.mkdir()
    cached.symlink_to(elsewhere)
    cache.store(tmp_path / "made", cached / "tool/name")
    assert cache.find(cached / "tool/name") is not None and (elsewhere / "tool/name").exists()
    (cached / "tool/link").symlink_to(tmp_path / "made")
    assert cache.find(cached / "tool/link") is None
    assert "tool/link is a symbolic link" in (cache.doubt(cached / "tool/link") or "")
    elsewhere.chmod(0o777)
    assert cache.find(cached / "tool/name") is None and f"others may write {elsewhere} " in (cache.doubt() or "")


@as_root
@pytest.mark.parametrize("whose", ["folder", "file", "link"])
def test_what_belongs_to_another_user_is_not_used(shared, tmp_path, monkeypatch, whose):
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    theirs = cache.folder()
    (tmp_path / "made").write_text("made")
    if whose == "folder":
        plant("os.makedirs(a[0] + '/tool', 0o755); open(a[0] + '/tool/name', 'w').write('theirs')", theirs)
    elif whose == "link":
        plant("os.mkdir(a[1], 0o755); os.symlink(a[1], a[0])", theirs, shared / "their folder")
    else:
        cache.store(tmp_path / "made", theirs / "tool/name")
        os.chown(theirs / "tool/name", NOBODY, NOBODY)
    assert cache.find(theirs / "tool/name") is None
    assert "belongs to user nobody: remove that" in (cache.doubt(theirs / "tool/name") or "")
    cache.store(tmp_path / "made", theirs / "tool/other")
    assert (theirs / "tool/other").exists() == (whose == "file")


@as_root
@pytest.mark.valgrind
def test_another_users_tool_is_built_anew_instead_of_loaded(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    folder = tmp_path / "valgrind"
    valgrind.find().link_own_files(folder)
    name = valgrind_tools._cached(
        valgrind.find(), valgrind_tools.READABLE, valgrind_tools._command(valgrind.find(), valgrind_tools.READABLE)
    )
    plant("os.makedirs(a[0]); open(a[0] + '/' + a[1], 'w').write('theirs')", name.parent, name.name)
    valgrind_tools.add(folder, valgrind.find(), valgrind_tools.READABLE)
    assert not (folder / name.name).is_symlink() and (folder / name.name).read_bytes()[:4] == b"\x7fELF"
    assert name.read_text() == "theirs"


def test_statements_that_others_may_have_compiled_are_compiled_anew(tmp_path, cached):
    """With a compiler made up here, which copies."""
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\necho run >>$0.runs\ncp "$1" "$3"\n')
    compiler.chmod(0o755)
    made = builds._Compiler(str(compiler), (), (), ("facts",), cached)
    source = builds.loop_source(TimerArgs(stmt=";", setup=""), 1)

    def runs() -> int:
        (tmp_path / "library.so").unlink(missing_ok=True)
        assert made.build(source, tmp_path / "library.so") is None and (tmp_path / "library.so").exists()
        return len((tmp_path / "compiler.runs").read_text().splitlines())

    assert [runs(), runs()] == [1, 1]
    (library,) = cached.glob("cpp-*.so")
    library.chmod(0o666)
    assert [runs(), runs()] == [2, 2]  # and stored in the place of what others may write
    cached.chmod(0o777)
    assert [runs(), runs()] == [3, 4]


def test_a_wheel_has_no_other_place_so_it_is_refused(cached):
    cached.mkdir(parents=True)
    cached.chmod(0o777)
    with pytest.raises(OverlayError, match="is not used, since others may write .*: remove that, or name another"):
        wheels._downloaded("1.0", (), list)


def test_what_a_workload_builds_is_cached_for_the_run_alone(cached, tmp_path):
    with Sandbox.make() as sandbox:
        assert cache.usable(sandbox.cache) == cached
        cached.mkdir(parents=True)
        cached.chmod(0o777)
        top = cache.usable(sandbox.cache)
        assert top == sandbox.root / "cache"
        cache.store(tmp_path / "made", top / "name", top)
        assert cache.find(top / "name", top) is not None
    assert list(cached.iterdir()) == [] and not top.exists()


def test_whoever_counts_is_told_once(cached, opcodes):
    cached.mkdir(parents=True)
    cached.chmod(0o777)
    notes: list[str] = []
    with client.session(counting.configuration_for(Loop), notes.append):
        pass
    assert len(notes) == 1 and notes[0].startswith(f"the cache folder {cached} is not used, since others may write")


def test_users_are_told_by_name_or_by_number():
    assert private.user(0) == "user root" and private.user(2**31 - 7) == "user 2147483641"
