"""A test without the mark gets neither valgrind nor asv nor torch, and neither do its processes."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest, projects


def said(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 1
    return answer.stderr.strip().splitlines()[-1]


def test_valgrind_fails():
    assert said("valgrind", "--version") == "a test that runs valgrind is to be marked: pytest.mark.valgrind"


@pytest.mark.parametrize(
    "command", [[str(Path(sys.executable).with_name("asv")), "--version"], [sys.executable, "-m", "asv", "--version"]]
)
def test_asv_fails(command):
    assert said(*command) == "a test that runs asv is to be marked with it: pytest.mark.asv"
    with pytest.raises(AssertionError, match="a test that runs asv is to be marked"):
        projects.asv_program()


def test_torch_fails_here_and_in_a_process(monkeypatch, tmp_path):
    (tmp_path / "installed/torch/lib").mkdir(parents=True)  # as a wheel's is laid out; torch itself may not be there
    (tmp_path / "installed/torch/__init__.py").touch()
    (tmp_path / "installed/torch/fx.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    for name in ("torch", "torch.fx"):
        with pytest.raises(ImportError, match="a test that imports torch is to be marked"):
            importlib.import_module(name)
    assert conftest.REFUSING.refused == 2
    conftest.REFUSING.refused = 0  # it was meant
    script = f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); import torch"
    assert said(sys.executable, "-c", script).endswith(
        "a test that imports torch is to be marked with it: pytest.mark.torch_native"
    )


def test_a_torch_that_is_made_up_is_found(monkeypatch, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert importlib.import_module("torch").__file__ == str(tmp_path / "torch/__init__.py")


def test_torch_that_ran_before_is_set_aside_and_put_back(monkeypatch):
    torch = type(sys)("torch")
    monkeypatch.setattr(conftest, "_aside", {})
    monkeypatch.setitem(sys.modules, "torch", torch)
    before = set(conftest.RUNNING)

    class Marked:
        def __init__(self, *names: str) -> None:
            self.names = names

        def iter_markers(self):
            return [getattr(pytest.mark, name) for name in self.names]

    try:
        conftest.pytest_runtest_setup(Marked())
        assert "torch" not in sys.modules
        conftest.pytest_runtest_setup(Marked("torch_native"))
        assert sys.modules["torch"] is torch
    finally:
        sys.modules.pop("torch", None)
        conftest.pytest_runtest_setup(Marked(*before))
