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
from harness.suite import counting
from harness.suite.selection import find
from harness.system import interpreter
from tests.conftest import ROOT, SUITES


@pytest.fixture(params=[(3, 10), (3, 16), (4, 0)], ids=str)
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
        StartError, match=r"works with CPython 3\.11 to 3\.15, and .* is CPython \d\.\d+\.1: use an environ"
    ):
        client.start(counting.configuration_for(loop, directory=str(tmp_path)))


@pytest.mark.parametrize(("name", "value"), [("PyPy", None), ("CPython", 1)])
def test_another_implementation_is_refused(monkeypatch, name, value):
    monkeypatch.setattr(platform, "python_implementation", lambda: name)
    monkeypatch.setattr(interpreter.sysconfig, "get_config_var", lambda variable: value)
    with pytest.raises(StartError, match=f"is {name} .*{', a free-threaded build' if value else ''}: use"):
        interpreter.check()


def test_the_project_says_the_same_everywhere():
    first, last = interpreter.TRIED[0], interpreter.TRIED[-1]
    assert tuple((3, minor) for minor in range(first[1], last[1] + 1)) == interpreter.TRIED
    assert f'requires-python = ">=3.{first[1]},<3.{last[1] + 1}"' in (ROOT / "pyproject.toml").read_text()
    script = (ROOT / "scripts/install_tools.sh").read_text()
    assert f"counting works with {interpreter.KNOWN}, and" in script
    assert f'"CPython 3.1"[{first[1] - 10}-{last[1] - 10}].*)' in script


@pytest.mark.parametrize(
    "says", ["CPython 3.10.13", "CPython 3.16.0", "CPython 3.13.5, a free-threaded build", "PyPy 3.11.2"]
)
def test_make_refuses_another_python(tmp_path, says):
    fake = tmp_path / "python3.13"
    fake.write_text(f"#!/bin/sh\necho '{says}'\n")
    fake.chmod(0o755)
    command = ["make", "setup", f"PYTHON={fake}"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0
    assert f"counting works with CPython 3.11 to 3.15, and {fake} is {says}: install one of these" in answer.stderr


def others() -> list[Path]:
    """Pythons of this machine that are not known, to be refused for real."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    found = [path for folder in folders if folder.is_dir() for path in folder.glob("python3.[0-9]*")]
    known = {f"python3.{minor}" for _, minor in interpreter.TRIED}
    return [path for path in found if re.fullmatch(r"python3\.\d+", path.name) and path.name not in known]


def test_every_other_python_of_this_machine_says_the_sentence():
    for python in others():
        version = subprocess.run([python, "--version"], capture_output=True, text=True)
        if version.returncode != 0:  # a version manager's stand-in for what is not installed
            continue
        command = [python, "-m", "harness", "count", "loops.Loop", "--benchmarks", str(SUITES / "plain")]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert answer.returncode == 1 and re.match(
            r"harness: counting works with CPython 3\.11 to 3\.15", answer.stderr
        )


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with what make needs, and an environment in it that 3.7 made."""
    for name in ("Makefile", "scripts", "pyproject.toml", "requirements-dev.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/pyvenv.cfg").write_text("home = /nowhere\nversion = 3.7.16\n")
    return tmp_path


def made(folder: Path, words: str, python: str | Path = sys.executable) -> str:
    command = ["make", *words.split(), f"PYTHON={python}"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_make_gives_another_version_an_environment_of_its_own(elsewhere):
    own = f".venv-{sys.version_info.major}.{sys.version_info.minor}"
    assert f" -m venv {own}\n" in made(elsewhere, "-n setup")
    (elsewhere / ".venv/pyvenv.cfg").unlink()
    assert " -m venv .venv\n" in made(elsewhere, "-n setup")


def test_make_names_a_python_that_is_not_there(elsewhere):
    command = ["make", "setup", "PYTHON=python3.99"]
    answer = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0 and "no python3.99 on PATH: install it, or name another" in answer.stderr


def test_make_makes_an_environment_anew_whose_python_is_gone(elsewhere):
    version = ".".join(map(str, sys.version_info[:3]))
    (elsewhere / ".venv/pyvenv.cfg").write_text(f"home = /nowhere\nversion = {version}\n")
    (elsewhere / ".venv/bin/python").symlink_to("/nowhere/python3")
    (elsewhere / ".venv/tools.stamp").write_text("")
    python = elsewhere / "python"  # pip, which nobody here needs, takes nearly all the time that an environment takes
    python.write_text(f'#!/bin/sh\n[ "$2" != venv ] || set -- "$@" --without-pip\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    assert "the Python that .venv was made with is gone: it is made anew" in made(elsewhere, "tools", python)
    assert subprocess.run([elsewhere / ".venv/bin/python", "-c", ""]).returncode == 0
    assert not (elsewhere / ".venv/tools.stamp").exists()
    assert "is gone" not in made(elsewhere, "tools", python)
