"""What runs under valgrind stands alone: a server sees that part of the harness; an edit elsewhere moves no count."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from plain.imports import Imports

from harness.errors import CountError
from harness.suite import counting
from tests.conftest import ROOT

INSIDE = {str(path.relative_to(ROOT / "harness")) for path in (ROOT / "harness/inside").rglob("*.py")}
#: The door, and what both ends share.
SEEN = {"__init__.py", "errors.py", "protocol.py"} | INSIDE - {"inside/door.py"}


def seen(what: str) -> set[str]:
    with pytest.raises(CountError, match="it sees: ") as refused:
        counting.count(Imports, (what,))
    return set(str(refused.value).partition("it sees: ")[2].splitlines()[0].split())


def test_the_scratch_folder_receives_only_what_runs_inside(opcodes):
    assert {name for name in seen("files") if "__pycache__" not in name} == SEEN


def test_a_server_imports_only_what_runs_inside(opcodes):
    names = {name.removesuffix(".py").replace("/", ".").replace("__init__", "").strip(".") for name in SEEN}
    modules = {f"harness.{name}".strip(".") for name in names}
    found = seen("modules")
    assert found <= modules
    # A suite without rules of its own needs nothing of torch but its author's words, which the door has.
    assert modules - found == {"harness.inside.pytorch.adapter", "harness.inside.pytorch.internals"}


def test_a_server_reads_bytecode_that_does_not_tell_of_the_installation(opcodes):
    cached, present = sorted(seen("bytecode"), key=len, reverse=True)
    assert cached.endswith("/bytecode/asv_runner/__init__.pyc") and present == "True"


def test_nothing_in_a_server_is_left_to_chance(opcodes):
    """A name made by chance is a key by chance: where it lies in a table decides what finding its neighbours costs."""
    first, second = seen("chance"), seen("chance")
    assert first == second and len(first) == 6


@pytest.mark.torch
def test_an_edit_outside_moves_no_count(tmp_path):
    """Equal to the instruction; an edit of what runs inside may move counts."""
    for name in ("harness", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))

    def count() -> float:
        command = [sys.executable, "-m", "harness", "count", "dtensor.Detach", "--param", "device=cpu"]
        answer = subprocess.run(
            [*command, "--counter", "readable", "--json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        return float(json.loads(answer.stdout)["instructions"])

    before = count()
    for path in (tmp_path / "harness").rglob("*.py"):
        name = str(path.relative_to(tmp_path / "harness"))
        if name not in SEEN - {"__init__.py"} and name != "inside/door.py":
            path.write_text(f"{path.read_text()}\n\nADDED = [str(number) for number in range(1000)]\n")
    (tmp_path / "harness/report/added.py").write_text("ADDED = 1\n")
    assert count() == before > 10_000
