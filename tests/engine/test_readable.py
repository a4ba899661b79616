"""The readable counter against Callgrind: the same bodies of machine code."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from harness.engine import counters, valgrind
from harness.inside.counters import read_total
from tests.conftest import ROOT

pytestmark = pytest.mark.valgrind

PROGRAM = ROOT / "tests/programs/bodies.cpp"


@pytest.fixture(autouse=True)
def _fresh_valgrind():
    valgrind.find.cache_clear()


@pytest.fixture(scope="module")
def counts(tmp_path_factory) -> dict[str, dict[str, dict[int, int]]]:
    """By counter, body and size: instructions."""
    folder = tmp_path_factory.mktemp("bodies")
    program = folder / "bodies"
    subprocess.run(["g++", "-O1", "-pthread", str(PROGRAM), "-o", str(program)], check=True)
    found: dict[str, dict[str, dict[int, int]]] = {}
    for name in ("callgrind", "readable", "frames"):
        scratch = folder / name
        for part in ("out", "log"):
            (scratch / part).mkdir(parents=True)
        launch = counters.COUNTER_KINDS[name].launch(scratch)
        process = subprocess.Popen(
            [*launch.command, str(program)],
            env={**os.environ, **launch.environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and "wrong" not in output, output
        lines = re.findall(r"^(.+) (\d+) (\d+)$", output, re.MULTILINE)
        for number, (body, size, read) in enumerate(lines, 1):
            if name != "readable":
                read = read_total(str(scratch / f"out/{process.pid}.{number}"))
            found.setdefault(name, {}).setdefault(body, {})[int(size)] = int(read)
    return found


EQUAL = ["loop", "both", "strings", "exceptions", "modified code", "forked"]
DIFFERENT = ["signals", "faults", "threads"]


def grown(counts, name: str, body: str) -> int:
    """Instructions of the 1000 turns that the larger run has more."""
    return counts[name][body][1500] - counts[name][body][500]


@pytest.mark.parametrize("body", EQUAL)
def test_the_three_count_the_same_to_the_instruction(counts, body):
    assert grown(counts, "readable", body) == grown(counts, "frames", body) == grown(counts, "callgrind", body) > 0
    # What the two ways of starting and stopping cost themselves.
    assert abs(counts["readable"][body][500] - counts["callgrind"][body][500]) < 50


def test_where_they_differ_the_readable_one_is_nearer(counts):
    # A handler's return to the kernel is two instructions, which Callgrind loses.
    assert grown(counts, "readable", "signals") - grown(counts, "callgrind", "signals") == 2 * 1000
    # 3 instructions to the fault, 4 behind it, the handler and its return. The rest of the block, 4, is counted twice.
    handler = 6
    assert grown(counts, "readable", "faults") == (3 + 4 + handler + 4) * 1000 < grown(counts, "callgrind", "faults")


@pytest.mark.parametrize("name", ["callgrind", "readable", "frames"])
def test_work_of_known_size_is_counted_exactly(counts, name):
    assert grown(counts, name, "loop") == 2 * 1000
    # Four threads; what making and joining them takes depends on who is first.
    assert grown(counts, name, "threads") == pytest.approx(4 * 2 * 100 * 1000, rel=0.005)
    # Each turn runs the code it has just written, with as many turns of its own as there were turns before; 16 copy it.
    written = sum(2 * turns for turns in range(501, 1501))
    assert written < grown(counts, name, "modified code") < written + 20 * 1000


def test_all_bodies_are_compared(counts):
    for bodies in counts.values():
        assert set(bodies) == {*EQUAL, *DIFFERENT}


# Building the tool
