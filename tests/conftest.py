"""What the tests share: sessions with the counter that needs no valgrind, and a watch over what is left behind."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.engine import valgrind
from harness.system import processes
from tests.programs.unmarked import sitecustomize

ROOT = Path(__file__).parent.parent
SUITES = Path(__file__).parent / "suites"
sys.path[:0] = [
    str(SUITES),
    str(ROOT / "scripts"),
]  # what tests import by name, and what the scripts import of each other


#: The marks of the test that runs.
RUNNING: set[str] = set()
#: Tests with one of these marks may run valgrind. The others find a program in its place that fails.
WITH_VALGRIND = {"valgrind", "asv", "torch", "torch_native"}
#: Tests with one of these may run asv's program. In the others it ends as soon as it starts.
WITH_ASV = {"asv", "torch"}
#: Tests with one of these may import torch. The others find none, whatever ran before them in their process.
WITH_TORCH = {"torch", "torch_native"}
PATH, PYTHONPATH = os.environ["PATH"], os.environ.get("PYTHONPATH")
#: Where the programs and the module lie that an unmarked test finds.
UNMARKED = ROOT / "tests/programs/unmarked"
#: torch's modules, while tests run that must not use them.
_aside: dict[str, ModuleType] = {}
REFUSING = sitecustomize.Refusing(lambda: not RUNNING & WITH_TORCH)
sys.meta_path.insert(0, REFUSING)


@pytest.hookimpl(tryfirst=True)  # before fixtures, those of a module too
def pytest_runtest_setup(item: pytest.Item) -> None:
    RUNNING.clear()
    RUNNING.update(mark.name for mark in item.iter_markers())
    valgrind.find.cache_clear()
    os.environ["PATH"] = PATH if RUNNING & WITH_VALGRIND else f"{UNMARKED}:{PATH}"
    # Processes of a test of whole runs may import what they like.
    refused = {"asv": not RUNNING & WITH_ASV, "torch": not RUNNING & (WITH_TORCH | WITH_ASV)}
    os.environ[sitecustomize.VARIABLE] = " ".join(name for name, is_refused in refused.items() if is_refused)
    folders = [str(UNMARKED) if any(refused.values()) else "", PYTHONPATH or ""]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    if not os.environ["PYTHONPATH"]:
        del os.environ["PYTHONPATH"]
    if RUNNING & WITH_TORCH:
        sys.modules.update(_aside)
        _aside.clear()
    else:
        torch = [name for name in sys.modules if name.partition(".")[0] == "torch"]
        _aside.update({name: sys.modules.pop(name) for name in torch})
    REFUSING.refused = 0


def pytest_sessionfinish() -> None:
    """What torch does as the process ends may need its modules."""
    RUNNING.update(WITH_TORCH)
    sys.modules.update(_aside)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first: when tests run side by side, the last ones to end are short ones. What uses a
    browser, and what is done with each of several counters by one of valgrind's, is marked by that."""
    for item in items:
        if {"browser", "axe"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("browser")
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(value in ("callgrind", "readable", "frames") for value in parameters if isinstance(value, str)):
            item.add_marker("valgrind")
    items.sort(key=lambda item: 0 if item.get_closest_marker("torch") else 1 if item.get_closest_marker("asv") else 2)


@pytest.fixture(scope="session", autouse=True)
def _temporary_folder_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests that run side by side do not see each other's scratch folders: two in one folder would have two names, and
    so two memory layouts. It lies where pytest keeps the last three runs' folders."""
    folder = tmp_path_factory.getbasetemp() / "shared"
    folder.mkdir()
    os.environ["TMPDIR"], tempfile.tempdir = str(folder), None


@pytest.fixture(autouse=True)
def _clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test has a temporary folder of its own, and leaves neither a process nor a scratch folder there."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in list(os.environ):
        if name.startswith(("ASV", "HARNESS")):
            monkeypatch.delenv(name)
    processes.adopt_orphans()
    before = our_processes().keys()  # a module's own server, which outlives the test

    def left_running() -> list[str]:
        return [command for pid, command in our_processes().items() if pid not in before]

    yield
    assert wait_until(lambda: not left_running()), f"left running: {left_running()}"
    left = [path.name for path in temporary.iterdir() if path.name.startswith("harness-")]
    assert not left, f"left in the temporary folder: {left}"
    assert not REFUSING.refused, sitecustomize.SENTENCES["torch"]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project's commits, counted and published; see projects.published."""
    from tests import projects  # which needs this file

    return projects.published(tmp_path_factory.mktemp("published") / "repository")


@pytest.fixture
def opcodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count bytecodes instead of instructions: no valgrind, milliseconds."""
    monkeypatch.setenv("HARNESS_COUNTER", "opcodes")
    monkeypatch.setenv("HARNESS_CORES", "2")


def wait_until(condition, seconds: float = 20.0) -> bool:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def our_processes() -> dict[int, str]:
    """Descendants of this process, orphans included since it adopts them, and their command lines. Those that Python's
    pools of processes leave to whoever may want another pool are not among them."""
    found = {}
    for pid in processes.descendants(os.getpid()):
        try:
            found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return {pid: command for pid, command in found.items() if "from multiprocessing." not in command}
