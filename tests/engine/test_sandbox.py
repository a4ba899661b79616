"""The scratch folder: its slots, and what a server finds in it."""

import os
import tempfile
from pathlib import Path

import pytest

from harness.engine.sandbox import Sandbox
from harness.errors import StartError, SuiteError
from tests.conftest import SUITES


def test_the_first_run_takes_the_first_slot_and_the_next_one_at_once_another():
    with Sandbox.make() as first, Sandbox.make() as second:
        names = [sandbox.root.name.rstrip("X") for sandbox in (first, second)]
        assert names == [f"harness-{os.getuid()}-00-", f"harness-{os.getuid()}-01-"]
    assert not first.root.exists() and not second.root.exists()


@pytest.mark.parametrize("letters", [1, 2, 30, 31, 32, 33, 100])
def test_the_path_of_a_scratch_folder_is_as_long_wherever_it_lies(letters, monkeypatch):
    """Objects that hold it take as much memory then."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = Path(short, "n" * letters)
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with Sandbox.make() as sandbox:
            length = len(os.fsencode(sandbox.root))
            assert length % 64 == 0 and length - len(os.fsencode(folder)) <= 64 + len("/harness-1000-00-")


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
