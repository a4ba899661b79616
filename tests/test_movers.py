"""What moves a case between memory layouts: scripts/movers.py, on a case that does by design."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import movers
import pytest

from harness.profile.comparison import Run
from harness.profile.model import CallPath, FunctionCost, Profile
from harness.profile.symbols import Function
from tests.conftest import ROOT

SUITE = '''"""A case that does more the longer a variable is that nobody should read."""
import os
from harness import Workload


def looked_up(turns):
    return [turn + 1 for turn in range(turns)]


class Moves(Workload):
    params = [["absent", "moves", "stays"]]
    param_names = ["what"]
    calls = 3

    def setup(self, what):
        if what == "absent":
            raise NotImplementedError("there is nothing to move")
        self.turns = 100 + (len(os.environ.get("PADDING", "")) if what == "moves" else 0)

    def work(self):
        looked_up(self.turns)
'''
LOOP, DICT = Function("loop", "suite.py"), Function("lookup", "libpython")


def run(calls: int, **own: int) -> Run:
    """Machine code under one Python function: `own` instructions of all calls."""
    native = {LOOP: {Function(name, "libpython"): number for name, number in own.items()}}
    total = sum(own.values())
    return Run(Profile(total, {LOOP: FunctionCost(total, total, calls)}, CallPath(), True, {}, native), 0, calls)


def test_differences_are_a_call():
    moved = movers.differences(run(10, eval=1000, lookup=200, gone=50), run(5, eval=500, lookup=150))
    assert moved == {(LOOP, DICT): 10.0, (LOOP, Function("gone", "libpython")): -5.0}


def test_a_table_ends_with_what_is_left_out():
    lines = movers.table([["one"], ["two"], ["three"]], [1.0, -30.0, 2.0], ["machine code"], 1)
    assert [line.split() for line in lines] == [
        ["change", "machine", "code"],
        ["-30.00", "two"],
        ["+3.00", "2", "more"],
    ]


@pytest.mark.valgrind
def test_the_function_that_moved_is_named(tmp_path: Path):
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "__init__.py").write_text("")
    (suite / "moving.py").write_text(SUITE)
    command = [sys.executable, "scripts/movers.py", "moving.Moves", "--benchmarks", str(suite), "--layouts", "2"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    absent, others = answer.stdout.split("moving.Moves(moves)")
    assert absent == "moving.Moves(absent)\n  skipped: there is nothing to move\n"
    moves, stays = others.split("moving.Moves(stays)")
    python = next(line for line in moves.splitlines() if "looked_up" in line)
    assert float(python.split()[0].replace(",", "")) > 40 * 5, moves
    assert "spread 0.0000%" in stays and "change" not in stays, stays


def test_a_number_of_layouts_that_cannot_be_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["movers.py", "moving.Moves", "--layouts", "1"])
    with pytest.raises(SystemExit):
        movers.main()
    assert "--layouts is 1; it takes 2 to 9" in capsys.readouterr().err
