"""The stages of a server: what is counted at one does not wait for the next, and is always counted at its own."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import Workload, protocol
from harness.engine import client
from harness.engine.schedule import Schedule
from harness.errors import CaseSkipped, StartError, SuiteError
from harness.suite import counting
from tests.conftest import ROOT

SUITE = """
from harness import Workload


class Imported(Workload):
    stage = "imported"
    calls = 10

    def work(self):
        return sum(range(10))


class Rehearsed(Imported):
    stage = "rehearsed"


class Bare(Imported):
    stage = "bare"


class Kills(Imported):
    def work(self):
        import os, time

        os.kill(os.getppid(), 9)
        time.sleep(60)
"""
#: Rules whose rehearsal waits for a file, and says something; or fails.
WAITS = """
    def rehearse(self) -> None:
        import os, time

        while not os.path.exists({file!r}):
            time.sleep(0.01)
        self.said = ("what was seen while it was rehearsed",)

    def notes(self) -> tuple[str, ...]:
        return ("what was seen while it was imported", *getattr(self, "said", ()))
"""
CHANCE = """
    def rehearse(self) -> None:
        import random

        self.said = (repr(random.random()),)

    def notes(self) -> tuple[str, ...]:
        return getattr(self, "said", ())
"""
#: Rules whose rehearsal fails, before the process of the stage before has said that it serves that one.
FAILS = """
    def rehearse(self) -> None:
        raise ValueError("it cannot be rehearsed")

    def versions(self) -> dict[str, str]:
        import time

        time.sleep(1)
        return {}
"""
DIES = """
    def rehearse(self) -> None:
        import os

        os.kill(os.getpid(), 9)
"""
ASKS = """
import json, sys, tempfile, threading
from pathlib import Path
from harness.engine import client
from harness.errors import HarnessError
from harness.suite import counting
import suite

answers = {}
asked = []

def ask(name):
    def run():
        try:
            counted = counting.ask(getattr(suite, name.split()[0]), (), directory)
            answers[name] = [counted.instructions_per_call > 0, list(counted.notes), counted.fingerprint]
        except HarnessError as error:
            answers[name] = str(error)
    thread = threading.Thread(target=run)
    thread.start()
    asked.append(thread)
    return thread

with client.session(counting.configuration_for(suite.Imported, counter="opcodes")) as directory:
    ask("Rehearsed")
    for name in sys.argv[2:]:
        ask(name).join()
    answers["waits"] = "Rehearsed" not in answers
    Path(sys.argv[1]).touch()
    for thread in asked:
        thread.join()
    ask("Rehearsed again").join()
    ask("Imported").join()
    answers["servers"] = len(list(Path(tempfile.gettempdir()).glob("harness-*/server*")))
print(json.dumps(answers))
"""


def answers(folder: Path, rules: str, names: Sequence[str] = ("Imported", "Bare")) -> tuple[dict[str, Any], str]:
    """What becomes of a case at each stage, with a copy of the harness whose plain rules are these; and what is printed
    beside it."""
    shutil.copytree(ROOT / "harness", folder / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "harness/inside/rules.py"
    text = path.read_text()
    assert text.count("\n\ndef load(") == 1
    path.write_text(text.replace("\n\ndef load(", f"{rules}\n\ndef load("))
    (folder / "suite.py").write_text(SUITE)
    answer = subprocess.run(
        [sys.executable, "-c", ASKS, str(folder / "go on"), *names],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found, answer.stderr


def test_what_is_only_imported_is_counted_while_the_rehearsal_runs(tmp_path):
    found, printed = answers(tmp_path, WAITS.format(file=str(tmp_path / "go on")))
    assert found["waits"]
    assert found["Imported"][:2] == found["Bare"][:2] == [True, []]
    # What is found at a stage is told once: with the server's start, or with the first count after it.
    assert printed.count("what was seen while it was imported") == 1
    assert found["Rehearsed"][:2] == [True, ["what was seen while it was rehearsed"]]


def test_a_rehearsal_that_fails_fails_what_needs_it(tmp_path):
    """Every case that needs it, with the reason; the others are counted by that same server."""
    found, _ = answers(tmp_path, FAILS)
    assert "ValueError('it cannot be rehearsed')" in found["Rehearsed"]
    assert found["Rehearsed again"] == found["Rehearsed"]
    assert found["Imported"][:2] == found["Bare"][:2] == [True, []]
    assert found["servers"] == 1


def test_chance_is_the_same_at_each_stage_in_every_server(tmp_path):
    """In every child the module random takes a seed of the system's. It moved a compile's count by 0.6 %."""
    found, _ = answers(tmp_path, CHANCE)
    assert found["Rehearsed"][1] == [repr(random.Random(0).random())]


def test_a_process_that_dies_rehearsing_fails_what_needs_it(tmp_path):
    found, _ = answers(tmp_path, DIES)
    for name in ("Rehearsed", "Rehearsed again"):
        assert "the fork server died before it was rehearsed: it was killed by SIGKILL" in found[name]
    assert found["Imported"][0] and found["Bare"][0]
    assert found["servers"] == 1


def test_a_case_that_kills_its_server_fails_no_case_that_waits_for_the_rehearsal(tmp_path):
    found, _ = answers(tmp_path, WAITS.format(file=str(tmp_path / "go on")), ["Kills"])
    assert "the fork server died while this case was counted: it was killed by SIGKILL" in found["Kills"]
    assert found["Rehearsed"][0] and found["Imported"][0]


def test_what_fails_before_the_first_stage_is_told(opcodes):
    from plain.suites import Born

    configuration = counting.configuration_for(Born, import_first=("no_such_module",))
    with pytest.raises(StartError, match=r"could not import what it needs: ModuleNotFoundError.*no_such_module"):
        with client.session(configuration):
            pass


def test_each_stage_has_a_process_of_its_own(opcodes):
    from plain.suites import Born, BornEarly, BornImported

    told = set()
    with client.session(counting.configuration_for(Born)) as directory:
        for born in (Born, BornEarly, BornImported, Born):
            with pytest.raises(CaseSkipped) as skipped:
                counting.ask(born, (), directory)
            told.add((born.stage, str(skipped.value)))
    assert len(told) == len({parent for _, parent in told}) == 3


def test_an_unknown_stage_is_refused():
    with pytest.raises(SuiteError, match="its stage is 'late'; known are bare, imported, rehearsed"):
        type("Late", (Workload,), {"stage": "late", "work": lambda self: 1, "__module__": "plain.suites"})


def test_a_case_whose_stage_is_not_there_waits_and_others_pass():
    first, second = (protocol.Case("m", "W", 0, (), 1.0, stage=stage) for stage in ("rehearsed", "imported"))
    schedule = Schedule()
    schedule.ask(first, (first, second))
    schedule.ask(second, ())
    assert schedule.next(lambda case: case.stage == "imported") is second
    assert schedule.next(lambda case: case.stage == "imported") is None
    assert schedule.next() is first
