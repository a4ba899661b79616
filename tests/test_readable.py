"""The readable counter against Callgrind: the same bodies of machine code; and what building its tool can meet."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import callgrind_out, counter, readable, valgrind
from harness.errors import StartError

PROGRAM = Path(__file__).parent / "programs/bodies.cpp"


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
    for name in ("callgrind", "readable"):
        scratch = folder / name
        for part in ("out", "log"):
            (scratch / part).mkdir(parents=True)
        launch = counter.KINDS[name].launch(scratch)
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
            if name == "callgrind":
                read = callgrind_out.read_total(str(scratch / f"out/{process.pid}.{number}"))
            found.setdefault(name, {}).setdefault(body, {})[int(size)] = int(read)
    return found


EQUAL = ["loop", "both", "strings", "exceptions", "modified code", "forked"]
DIFFERENT = ["signals", "faults", "threads"]


def grown(counts, name: str, body: str) -> int:
    """Instructions of the 1000 turns that the larger run has more."""
    return counts[name][body][1500] - counts[name][body][500]


@pytest.mark.parametrize("body", EQUAL)
def test_both_counters_count_the_same_to_the_instruction(counts, body):
    assert grown(counts, "readable", body) == grown(counts, "callgrind", body) > 0
    # What the two ways of starting and stopping cost themselves.
    assert abs(counts["readable"][body][500] - counts["callgrind"][body][500]) < 50


def test_where_they_differ_the_readable_one_is_nearer(counts):
    # A handler's return to the kernel is two instructions, which Callgrind loses.
    assert grown(counts, "readable", "signals") - grown(counts, "callgrind", "signals") == 2 * 1000
    # 3 instructions to the fault, 4 behind it, the handler and its return. The rest of the block, 4, is counted twice.
    handler = 6
    assert grown(counts, "readable", "faults") == (3 + 4 + handler + 4) * 1000 < grown(counts, "callgrind", "faults")


@pytest.mark.parametrize("name", ["callgrind", "readable"])
def test_work_of_known_size_is_counted_exactly(counts, name):
    assert grown(counts, name, "loop") == 2 * 1000
    # Four threads; what making and joining them takes depends on who is first.
    assert grown(counts, name, "threads") == pytest.approx(4 * 2 * 100 * 1000, rel=0.005)
    # Each turn runs the code it has just written, with as many turns of its own as there were turns before; 16 copy it.
    written = sum(2 * turns for turns in range(501, 1501))
    assert written < grown(counts, name, "modified code") < written + 20 * 1000


def test_all_bodies_are_compared(counts):
    assert set(counts["readable"]) == set(counts["callgrind"]) == {*EQUAL, *DIFFERENT}


# Building the tool


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder for the tool, with an empty cache beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = tmp_path / "valgrind"
    valgrind.find().link_own_files(made)
    return made


def tools(cache: Path) -> list[Path]:
    return sorted(cache.glob("torch-instruction-suite/*/readable-*"))


def test_the_tool_is_built_once_and_again_when_its_source_changes(folder, tmp_path, monkeypatch):
    readable.furnish(folder, valgrind.find())
    (built,) = tools(tmp_path / "cache")
    made = built.stat().st_mtime_ns

    again = tmp_path / "again"
    again.mkdir()
    readable.furnish(again, valgrind.find())
    assert (again / built.name).samefile(built) and built.stat().st_mtime_ns == made

    edited = tmp_path / "edited.c"
    edited.write_text(readable._SOURCE.read_text() + "/* edited */\n")
    monkeypatch.setattr(readable, "_SOURCE", edited)
    other = tmp_path / "other"
    other.mkdir()
    readable.furnish(other, valgrind.find())
    assert len(tools(tmp_path / "cache")) == 2


def test_a_cache_that_cannot_be_written_is_done_without(folder, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where the folder should be")
    readable.furnish(folder, valgrind.find())
    assert next(iter(folder.glob("readable-*-linux"))).is_file()


def test_another_machine_is_refused(folder, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(StartError, match="made for x86_64 only, this machine is riscv64: count with Callgrind"):
        readable.furnish(folder, valgrind.find())


def elsewhere(tmp_path: Path, *without: str) -> valgrind.Valgrind:
    """A valgrind under a prefix of its own that lacks something."""
    found = valgrind.find()
    prefix = tmp_path / "prefix"
    for place in ("include/valgrind", "lib/valgrind"):
        (prefix / place).mkdir(parents=True)
    for source, target in (
        (found.prefix / "include/valgrind", "include/valgrind"),
        (readable._libraries(found, "libvex-amd64-linux.a"), "lib/valgrind"),
    ):
        for file in source.iterdir():
            if file.name not in without:
                (prefix / target / file.name).symlink_to(file)
    (prefix / "bin").mkdir()
    (prefix / "bin/valgrind").write_text(f'#!/bin/sh\nexec {found.path} "$@"\n')
    (prefix / "bin/valgrind").chmod(0o755)
    return valgrind.Valgrind(str(prefix / "bin/valgrind"), found.version, found.launcher)


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("libcoregrind-amd64-linux.a", "needs valgrind's static library libcoregrind-amd64-linux.a, which is not in"),
        ("pub_tool_tooliface.h", "header pub_tool_tooliface.h is not in"),
        ("libvex.h", "does not build"),
    ],
)
def test_what_valgrind_lacks_is_named_with_the_cure(folder, tmp_path, missing, sentence):
    with pytest.raises(StartError, match=sentence) as failure:
        readable.furnish(folder, elsewhere(tmp_path, missing))
    assert "count with Callgrind instead (HARNESS_COUNTER=callgrind" in str(failure.value)


def test_a_tool_that_does_not_run_is_refused_and_not_cached(folder, tmp_path):
    other = elsewhere(tmp_path)
    Path(other.path).write_text("#!/bin/sh\necho 'mismatch of core and tool' >&2\nexit 1\n")
    with pytest.raises(StartError, match="does not run with valgrind .*(?s:.)*mismatch of core and tool"):
        readable.furnish(folder, other)
    assert tools(tmp_path / "cache") == []


def test_without_a_compiler_it_says_so(folder, tmp_path, monkeypatch):
    found = valgrind.find()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError, match="no C compiler"):
        readable.furnish(folder, found)


def test_callgrind_goes_on_working_where_valgrinds_files_are_not_found(tmp_path, monkeypatch):
    found = valgrind.find()
    monkeypatch.setattr(valgrind.Valgrind, "places", lambda *names: [])
    assert "VALGRIND_LIB" not in counter.KINDS["callgrind"].launch(tmp_path).environment
    with pytest.raises(StartError, match=f"own tools are not found under {found.prefix}"):
        counter.KINDS["readable"].launch(tmp_path)


def test_the_source_of_the_tool_is_under_valgrinds_licence():
    assert readable._SOURCE.read_text().startswith("/* SPDX-License-Identifier: GPL-2.0-or-later\n")
    assert shutil.which("gcc") or shutil.which("cc")
