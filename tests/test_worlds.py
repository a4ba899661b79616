"""The script that tries other Debians: what it does where a world cannot be had, or time is over."""

from __future__ import annotations

import importlib.util
import sys
import types

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def script():
    specification = importlib.util.spec_from_file_location("worlds_script", ROOT / "scripts/test_worlds.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look there
    specification.loader.exec_module(module)
    yield module
    del sys.modules[specification.name]


@pytest.fixture
def ended(script, monkeypatch, capsys):
    """The status and the words that the script ends with, given these arguments."""

    def end(*words):
        monkeypatch.setattr(sys, "argv", ["test_worlds.py", *words])
        return script.main(), capsys.readouterr()

    return end


@pytest.mark.parametrize(("words", "status"), [((), 1), (("--if-possible",), 0)])
def test_where_no_world_can_be_had_it_says_why(script, ended, monkeypatch, words, status):
    monkeypatch.setattr(script.os, "getuid", lambda: 1000)
    got, (output, _) = ended(*words)
    assert got == status
    assert output.splitlines() == [
        f"{name} is not tried: it takes root, for debootstrap and chroot" for name in script.WORLDS
    ]


def test_without_debootstrap_it_is_named(script, ended, monkeypatch):
    monkeypatch.setattr(script.os, "getuid", lambda: 0)
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    status, (output, _) = ended("trixie")
    assert status == 1 and output == "trixie is not tried: no debootstrap on PATH: apt-get install debootstrap\n"


def test_a_mirror_that_does_not_answer_is_said_and_leaves_no_world(script, ended, monkeypatch, tmp_path):
    monkeypatch.setattr(script.os, "getuid", lambda: 0)
    monkeypatch.setattr(script.cache, "folder", lambda: tmp_path)
    program = tmp_path / "debootstrap"
    program.write_text("#!/bin/sh\necho E: no mirror\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(script.shutil, "which", lambda name: str(program))
    status, (output, _) = ended("trixie")
    assert status == 1 and "debootstrap failed (E: no mirror): is a mirror of Debian to be had?" in output
    assert not list((tmp_path / "worlds").glob("trixie-*"))


def test_when_the_time_is_over_each_that_was_not_tried_is_named(script, ended, monkeypatch, tmp_path):
    clock = iter([0.0, 1.0, 2.0, 100.0, 100.0])
    monkeypatch.setattr(script, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(
        script, "WORLDS", {"two": script.World("two", ("3.13", "3.14")), "other": script.World("other", ())}
    )
    monkeypatch.setattr(script, "made", lambda world: tmp_path)
    monkeypatch.setattr(script, "passes", lambda root, version, torch: True)
    status, (output, _) = ended("--minutes", "1")
    assert status == 0
    assert output == "two, Python 3.14 is not tried: 1 minutes are over\nother is not tried: 1 minutes are over\n"


def test_a_world_in_which_a_test_fails_is_named(script, ended, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "made", lambda world: tmp_path)
    monkeypatch.setattr(script, "passes", lambda root, version, torch: version != "3.14")
    status, (_, said) = ended("--if-possible")
    assert status == 1 and said == "failed: forky, Python 3.14\n"


def test_an_unknown_world_is_refused(ended):
    with pytest.raises(SystemExit) as end:
        ended("bookworm")
    assert end.value.code == 2
