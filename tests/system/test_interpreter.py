"""A Python that was not tried is refused by a sentence, before anything is counted."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine import client
from harness.errors import StartError
from harness.suite import workload
from harness.suite.selection import find
from harness.system import interpreter
from tests.conftest import ROOT, SUITES


@pytest.fixture(params=[(3, 10), (3, 12), (3, 13), (4, 0)], ids=str)
def another(request, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (*request.param, 1))
    monkeypatch.setattr(platform, "python_version", lambda: ".".join(map(str, (*request.param, 1))))


def test_this_one_is_right():
    interpreter.check()


@pytest.mark.usefixtures("another")
def test_another_version_is_refused_before_a_server_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)  # nothing may be started
    loop = find(SUITES / "plain", "loops.Loop")
    with pytest.raises(
        StartError, match=r"tried with CPython 3\.11 only, and .* is CPython \d\.\d+\.1: use an environ"
    ):
        client.start(workload.configuration_for(loop, directory=str(tmp_path)))


@pytest.mark.parametrize(("name", "value"), [("PyPy", "3.11"), ("CPython", "a build without the lock")])
def test_another_implementation_is_refused(monkeypatch, name, value):
    monkeypatch.setattr(platform, "python_implementation", lambda: name)
    monkeypatch.setattr(interpreter.sysconfig, "get_config_var", lambda variable: value != "3.11")
    with pytest.raises(StartError, match=f"{name} .*{'' if value == '3.11' else 'without the lock'}: use"):
        interpreter.check()


def test_the_project_says_the_same_everywhere():
    (known,) = interpreter.TRIED
    assert (
        f'requires-python = ">={known[0]}.{known[1]},<{known[0]}.{known[1] + 1}"'
        in (ROOT / "pyproject.toml").read_text()
    )
    assert f'"CPython {known[0]}.{known[1]}."*' in (ROOT / "scripts/install_tools.sh").read_text()


def test_make_refuses_another_python(tmp_path):
    fake = tmp_path / "python3.13"
    fake.write_text(f"#!/bin/sh\nexec {sys.executable} -c \"print('CPython 3.13.5')\"\n")
    fake.chmod(0o755)
    command = ["make", "setup", f"PYTHON={fake}"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0
    assert f"tried with CPython 3.11 only, and {fake} is CPython 3.13.5: install python3.11" in answer.stderr


def others() -> list[Path]:
    """Other Pythons of this machine, to be refused for real."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    found = [path for folder in folders if folder.is_dir() for path in folder.glob("python3.1[0-9]")]
    return [path for path in found if path.name != "python3.11"]


def test_every_other_python_of_this_machine_says_the_sentence():
    for python in others():
        version = subprocess.run([python, "--version"], capture_output=True, text=True)
        if version.returncode != 0:  # a version manager's stand-in for what is not installed
            continue
        command = [python, "-m", "harness", "count", "loops.Loop", "--benchmarks", str(SUITES / "plain")]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert answer.returncode == 1 and re.match(
            r"harness: counting was tried with CPython 3\.11 only", answer.stderr
        )
