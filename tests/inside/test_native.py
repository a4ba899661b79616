"""Native stretches: what runs on the processor itself within valgrind, and what becomes of it. See inside/native.c."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from plain.loops import Loop

from harness.engine import client, counters, extension
from harness.errors import SuiteError
from harness.suite import counting
from tests.conftest import ROOT

INSIDE = ROOT / "harness/inside"
PROGRAMS = ROOT / "tests/programs"
pytestmark = [
    pytest.mark.valgrind,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="native stretches are made for x86-64"),
]


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    """A folder with the extension and the libraries."""
    folder: Path = tmp_path_factory.mktemp("native")
    extension.add(folder, with_valgrind=True)
    build = ["g++", "-O1", "-fPIC", "-shared", "-mavx2", f"-I{INSIDE}", str(PROGRAMS / "native_parts.cpp")]
    subprocess.run([*build, "-DINNER", "-o", str(folder / "inner.so")], check=True)
    for name in ("outer", "outer_of_before", "outer_of_after"):
        subprocess.run([*build, "-o", str(folder / f"{name}.so")], check=True)
    return folder


def run(
    parts: Path, task: str, tool: str = "callgrind", **variables: str
) -> tuple[subprocess.CompletedProcess[str], str]:
    """The program's process under a tool of valgrind, once ended, and valgrind's log."""
    scratch = Path(tempfile.mkdtemp(dir=parts))
    for name in ("log", "out"):
        (scratch / name).mkdir()
    launch = counters.COUNTER_KINDS[tool].launch(scratch)
    process = subprocess.run(
        [*launch.command, sys.executable, str(PROGRAMS / "native_stretch.py"), str(parts), task],
        env={**os.environ, **launch.environment, "LD_BIND_NOW": "1", "GO_NATIVE": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return process, "".join(path.read_text() for path in (scratch / "log").iterdir())


def answers(parts: Path, task: str, tool: str = "callgrind", **variables: str) -> dict[str, Any]:
    process, log = run(parts, task, tool, **variables)
    assert process.returncode == 0, (process, log)
    found: dict[str, Any] = json.loads(process.stdout)
    return found


def test_loops_of_known_size_around_native_stretches_are_counted_exactly(parts):
    found = answers(parts, "exact", "readable")
    for small, large in (found["before"], found["after"]):
        assert large - small == 2 * 1000
    assert found["before"] == found["after"]
    assert found["across"] < 20_000  # of two million: what handing over takes is simulated


@pytest.mark.parametrize("tool", ["callgrind", "readable", "frames"])
def test_a_native_loop_is_not_simulated(parts, tool):
    found = answers(parts, "speed", tool)
    assert found["native"] < found["simulated"] / 3


def test_children_work(parts):
    found = answers(parts, "children")
    # "No such file or directory", or 127 where valgrind's spawned child cannot tell its parent.
    missing = found.pop("missing")
    assert missing == found.pop("missing, simulated") and missing in ("No such file or directory", 127)
    assert found == {
        "forked": 7,
        "subprocess": "said\n",
        "spawned": 5,
        "vforked": 6,
        "system": 4,
        "imports": "42\n",
        "still native": True,
    }


def test_signals_reach_the_program(parts):
    found = answers(parts, "signals")
    assert len(found) == 7 and all(found.values()), found


def test_thousands_of_signals_reach_it_too(parts):
    found = answers(parts, "many_signals")
    assert found["alarms"] > 400 and found["children"] > 5


def test_memory_libraries_exceptions_and_registers(parts):
    found = answers(parts, "memory")
    assert found == {
        "constructor": 42,
        "caught": 3,
        "thread-local": 42,
        "vectors": 1,
        "deep": 1500,
        "loaded natively sees the same processor": True,
        "loaded before sees it": True,
        "resized": "text",
        "protected": 0,
        "moved code sees it": True,
        "simulated again sees it": True,
        "and the rest": [3, 1],
        "loaded between sees it": True,
    }


def test_a_thread_is_simulated_and_after_it_code_is_native_again(parts):
    assert answers(parts, "threads") == {"with a thread": False, "told": [499500], "again": True}


def test_a_fault_is_told_by_valgrind_as_ever(parts):
    """With the same stack, to the instruction, as where all is simulated."""
    told = []
    for native in ("1", "0"):
        process, log = run(parts, "fault", GO_NATIVE=native)
        assert process.returncode == -signal.SIGSEGV and process.stdout == "before\n"
        (_, ending) = log.split("Process terminating with default action of signal 11 (SIGSEGV)")
        told.append([line.partition("== ")[2] for line in ending.splitlines()])
    assert "Access not within mapped region at address 0x0" in told[0][1]
    assert told[0] == told[1]


def test_a_fault_reaches_the_programs_own_handler(parts):
    process, _ = run(parts, "handled_fault")
    assert "Fatal Python error: Segmentation fault" in process.stderr and "in string_at" in process.stderr


def test_a_recursion_without_end_is_a_stack_overflow(parts):
    process, log = run(parts, "overflow")
    assert process.returncode == -signal.SIGSEGV
    assert "Stack overflow in thread" in log and "recurses" in log


def test_a_signal_that_ends_the_process_ends_it(parts):
    process, _ = run(parts, "terminated")
    assert process.returncode == -signal.SIGTERM


def test_it_can_be_switched_off(parts):
    assert answers(parts, "lack", GO_NATIVE="0") == {"native": False, "lack": "HARNESS_NATIVE=0 switches it off"}
    assert answers(parts, "lack") == {"native": True, "lack": None}


@pytest.mark.parametrize("tool", ["callgrind", "readable"])
def test_a_count_is_the_same_with_and_without(monkeypatch, tool):
    monkeypatch.setenv("HARNESS_COUNTER", tool)
    counts, facts = {}, {}
    for native in ("1", "0"):
        monkeypatch.setenv("HARNESS_NATIVE", native)
        with client.session(counting.configuration_for(Loop)) as directory:
            counted = counting.ask(Loop, (10, "list"), directory)
        counts[native], facts[native] = counted.instructions_per_call, counted.fingerprint["native until counted"]
    assert counts["1"] == counts["0"] > 100
    assert facts == {"1": "yes", "0": "no"}


def test_another_value_is_refused(monkeypatch):
    monkeypatch.setenv("HARNESS_NATIVE", "no")
    with pytest.raises(SuiteError, match="HARNESS_NATIVE is 'no'; it takes 0, or 1 as if it were not set"):
        counting.count(Loop, (10, "list"))
