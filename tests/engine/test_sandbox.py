"""The scratch folder: its slots, and what a server finds in it."""

import mmap
import os
import tempfile
from pathlib import Path

import pytest

from harness.engine.sandbox import Sandbox
from harness.errors import StartError, SuiteError
from harness.inside import server
from tests.conftest import SUITES


def test_the_first_run_takes_the_first_slot_and_the_next_one_at_once_another():
    with Sandbox.make() as first, Sandbox.make() as second:
        assert first.root.name == f"harness-{os.getuid()}-00" and second.root.name == f"harness-{os.getuid()}-01"
        assert len(str(first.root)) == len(str(second.root))
    assert not first.root.exists() and not second.root.exists()


def test_what_a_killed_run_left_is_removed():
    with Sandbox.make() as sandbox:
        root = sandbox.root
    root.mkdir()
    (root / "leftover").write_text("")
    with Sandbox.make() as sandbox:
        assert sandbox.root == root and not (root / "leftover").exists()


def test_nobody_else_can_look_inside():
    with Sandbox.make() as sandbox:
        assert sandbox.root.stat().st_mode & 0o077 == 0


def test_the_site_holds_the_suite_the_harness_the_environment_and_nothing_of_how_we_were_installed():
    with Sandbox.make() as sandbox:
        sandbox.fill(SUITES / "plain", with_valgrind=False)
        names = {path.name for path in sandbox.site.iterdir()}
        assert {"plain", "harness", "_client_requests.so", "asv_runner"} <= names
        assert not any("torch_instruction_suite" in name or name == "__pycache__" for name in names)
        assert not list((sandbox.site / "harness").rglob("__pycache__"))


def test_equal_cases_get_equal_empty_folders():
    with Sandbox.make() as sandbox:
        folder = sandbox.worker_folder("case")
        (folder / "cache").write_text("")
        assert sandbox.worker_folder("case") == folder and list(folder.iterdir()) == []


def test_a_suite_that_is_not_there_is_named():
    with Sandbox.make() as sandbox, pytest.raises(SuiteError, match="the suite /nonexistent does not exist"):
        sandbox.fill(Path("/nonexistent"), with_valgrind=False)


def test_a_place_that_takes_no_folders_is_named_with_the_cure(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(StartError, match=r"no scratch folder can be made in /proc .*set TMPDIR"), Sandbox.make():
        pass


def test_without_a_compiler_the_package_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with Sandbox.make() as sandbox, pytest.raises(StartError, match=r"no C compiler.*apt-get install gcc"):
        sandbox.fill(SUITES / "plain", with_valgrind=False)


def test_where_the_servers_links_lead_is_not_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "realpath", os.path.realpath)  # put back at the end
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/module.py").write_text("")
    (tmp_path / "site").mkdir()
    for name in ("site/package", "outside"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    server._keep_names(str(tmp_path / "site"))
    inside = str(tmp_path / "site/package/module.py")
    assert os.path.realpath(inside) == inside and str(Path(inside).resolve()) == inside
    assert os.path.realpath(tmp_path / "site/package/../package/module.py") == inside
    assert os.path.realpath(tmp_path / "outside/module.py") == str(tmp_path / "elsewhere/module.py")
    assert os.path.realpath(os.fsencode(inside)) == os.fsencode(tmp_path / "elsewhere/module.py")


def test_mapped_files_are_told_without_folders(tmp_path):
    """torch reads them while it is imported; the room that they took moved all that came after."""
    told = []
    for folder in (tmp_path / "a", tmp_path / ("b" * 200)):
        folder.mkdir()
        library = folder / "libcopy.so.1"
        library.write_bytes(b"x" * mmap.PAGESIZE)
        with (
            open(library, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ),
            server._mapped_files_without_folders(),
            open("/proc/self/maps") as maps,
        ):
            told.append(maps.read())
    assert told[0] == told[1] and "/" not in told[0]
    assert told[0].splitlines().count("libcopy.so.1") == 1
    with open("/proc/self/maps") as maps:
        assert "/" in maps.read()
