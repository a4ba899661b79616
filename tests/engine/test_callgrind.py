"""The real counter on pure Python, and what valgrind and its surroundings can do wrong. Seconds each."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine import client, valgrind
from harness.errors import CountError, StartError
from harness.profile import callgrind_format
from harness.suite import counting
from harness.suite.selection import find
from tests.conftest import ROOT, SUITES

pytestmark = pytest.mark.valgrind

Loop = find(SUITES / "plain", "loops.Loop")
Faults = find(SUITES / "plain", "faults.Faults")


@pytest.fixture(autouse=True)
def _fresh_valgrind():
    valgrind.find.cache_clear()


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def count_elsewhere(*prefix: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`harness count` of one case in a process of its own, with other surroundings."""
    command = [sys.executable, "-m", "harness", "count", "loops.Loop", "--benchmarks", str(SUITES / "plain")]
    environment = {**os.environ, **variables}
    arguments = [*prefix, *command, "--param", "size=10", "--param", "kind=list"]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, timeout=120, env=environment)


def test_equal_cases_count_the_same_to_the_instruction_in_any_order_from_any_server_and_environment(tmp_path):
    wanted = [(10, "list"), (1000, "tuple")]
    found = []
    for order in (wanted, wanted[::-1]):
        with client.session(counting.configuration_for(Loop)) as directory:
            for _ in range(2):
                found.append({params: counting.ask(Loop, params, directory).instructions_per_call for params in order})
    assert found[1:] == found[:1] * 3
    assert found[0][1000, "tuple"] > 20 * found[0][10, "list"]

    elsewhere = count_elsewhere(UNUSED="x" * 5000, PYTHONHASHSEED="7", LANG="C")
    assert float(elsewhere.stdout.split()[0].replace(",", "")) == found[0][10, "list"], elsewhere.stderr

    # The same suite under a longer name of its folder.
    moved = tmp_path / "a_rather_longer_name_of_a_folder" / "plain"
    shutil.copytree(SUITES / "plain", moved)
    command = [sys.executable, "-m", "harness", "count", "loops.Loop", "--benchmarks", str(moved)]
    answer = subprocess.run([*command, "--param", "size=10"], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert float(answer.stdout.split()[0].replace(",", "")) == found[0][10, "list"], answer.stderr


def test_a_profile_is_kept_with_the_count_and_adds_up_to_it(monkeypatch, tmp_path):
    for name, value in {"CONF_DIR": str(tmp_path), "COMMIT": "abc", "ENV_NAME": "env"}.items():
        monkeypatch.setenv(f"ASV_{name}", value)
    with client.session(counting.configuration_for(Loop)) as directory:
        counted = counting.ask(Loop, (1000, "list"), directory)
    packed = tmp_path / ".asv/counts/abc/env/loops.Loop/1000-list/callgrind.out.gz"
    counts = callgrind_format.parse(gzip.decompress(packed.read_bytes()).decode())
    assert counts.total == counted.total == sum(spent.own for spent in counts.functions.values())
    assert 0 < counted.overhead < counted.total / 100
    assert "valgrind" in counted.fingerprint


def test_an_instruction_that_valgrind_does_not_know_is_named_with_the_cure():
    with client.session(counting.configuration_for(Faults)) as directory:
        with pytest.raises(CountError, match=r"an AVX-512 instruction .*\(bytes 0x62 .*-march=x86-64-v3"):
            counting.ask(Faults, ("meets AVX-512",), directory)
        assert counting.ask(Faults, ("none again",), directory).total > 0


def test_a_killed_server_under_valgrind_is_replaced():
    with client.session(counting.configuration_for(Faults)) as directory:
        with pytest.raises(CountError, match="the fork server died"):
            counting.ask(Faults, ("kills the server",), directory)
        assert counting.ask(Faults, ("none again",), directory).total > 0


def test_without_valgrind_nothing_starts_and_the_cure_is_named(tmp_path):
    for tool in ("gcc", "cc"):
        if shutil.which(tool):
            (tmp_path / tool).symlink_to(shutil.which(tool))
    answer = count_elsewhere(PATH=str(tmp_path))
    assert answer.returncode == 1 and answer.stdout == ""
    assert answer.stderr.startswith("harness: no `valgrind` on PATH: install it")


def test_a_valgrind_whose_client_requests_do_not_arrive_is_refused(tmp_path):
    program(
        tmp_path / "bin",
        "valgrind",
        'case "$1" in --version) echo valgrind-3.19.0;; *) '
        'while case "$1" in --*) true;; *) false;; esac; do shift; done; exec "$@";; esac',
    )
    answer = count_elsewhere(PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert answer.returncode == 1 and "client requests do not reach it" in answer.stderr


def test_without_valgrinds_headers_the_package_is_named(tmp_path):
    gcc = shutil.which("gcc")
    complaint = "fatal error: valgrind/callgrind.h: No such file or directory"
    program(
        tmp_path / "bin",
        "gcc",
        f'case "$*" in *client_requests.c*) echo "{complaint}" >&2; exit 1;; esac; exec {gcc} "$@"',
    )
    answer = count_elsewhere(PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert answer.returncode == 1 and "header valgrind/callgrind.h is not installed" in answer.stderr


def test_a_temporary_folder_that_cannot_be_written_is_passed_over(tmp_path):
    answer = count_elsewhere(*_in_a_small_world(tmp_path / "tmp", "mount -o remount,ro"))
    assert answer.returncode == 0 and float(answer.stdout.split()[0].replace(",", "")) > 0, answer.stderr


def test_a_full_disk_is_named_and_costs_no_process(tmp_path):
    answer = count_elsewhere(*_in_a_small_world(tmp_path / "tmp", "true"))
    assert answer.returncode == 1 and "No space left" in answer.stderr, answer.stderr


def _in_a_small_world(folder: Path, then: str) -> list[str]:
    """A command prefix: `folder` is a file system of 64 KiB, in a namespace of the command's own."""
    script = f'mount -t tmpfs -o size=64k none "{folder}" && {then} "{folder}" && exec "$@"'
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]


def test_a_supervisor_that_cannot_start_says_why():
    configuration = counting.configuration_for(Loop, suite="/nonexistent")
    with pytest.raises(StartError, match="the suite /nonexistent does not exist"):
        with client.session(configuration):
            pass
