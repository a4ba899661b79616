"""Finding valgrind, and reading its log into a sentence."""

import os
import stat
import sys

import pytest

from harness.engine import valgrind
from harness.errors import StartError


@pytest.fixture(autouse=True)
def _forget():
    valgrind.find.cache_clear()
    yield
    valgrind.find.cache_clear()


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_no_valgrind_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StartError, match=r"no `valgrind` on PATH.*apt-get install valgrind"):
        valgrind.find()


def test_another_system_says_so(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(StartError, match="needs Linux, this is 'darwin'"):
        valgrind.find()


def test_something_else_of_that_name_is_quoted(monkeypatch, tmp_path):
    program(tmp_path / "valgrind", "echo hello; exit 3")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(StartError, match="answered 'hello"):
        valgrind.find()


def test_the_command_names_tool_and_log():
    command = valgrind.Valgrind("/v", "3.19.0").command("callgrind", "/log", "--instr-atstart=no")
    assert command[:2] == ("/v", "--tool=callgrind")
    assert "--instr-atstart=no" in command and "--log-file=/log/%p" in command


def test_a_folder_of_links_takes_the_place_of_valgrinds_own(tmp_path):
    own = tmp_path / "libexec/valgrind"
    own.mkdir(parents=True)
    (own / "none-amd64-linux").touch()
    (tmp_path / "bin").mkdir()
    found = valgrind.Valgrind(str(tmp_path / "bin/valgrind"), "3.19.0")
    assert found.link_own_files(tmp_path / "links")
    assert (tmp_path / "links/none-amd64-linux").samefile(own / "none-amd64-linux")
    assert not valgrind.Valgrind("/nowhere/bin/valgrind", "3.19.0").link_own_files(tmp_path / "none")


AVX512 = """==1== vex amd64->IR: unhandled instruction bytes: 0x62 0xF1 0x7C 0x48 0x58 0xC0 0xC3
==1== Process terminating with default action of signal 4 (SIGILL): dumping core
"""


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        (AVX512, "an AVX-512 instruction that valgrind does not know (bytes 0x62 0xF1"),
        (AVX512.replace("0x62", "0xC4"), "met an instruction that valgrind does not know"),
        ("==1== Process terminating with default action of signal 11 (SIGSEGV)", "died of SIGSEGV"),
        ("==1==     Valgrind's memory management: out of memory:", "valgrind ran out of memory"),
    ],
)
def test_a_log_is_read_into_a_sentence(log, sentence):
    assert sentence in valgrind.reason_in(log)


def test_a_log_that_says_nothing_explains_nothing():
    assert valgrind.reason_in("==1== For interactive control, run 'callgrind_control -h'.") is None
