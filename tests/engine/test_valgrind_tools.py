"""What building this project's valgrind tools can meet."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.engine import counters, valgrind, valgrind_tools
from harness.errors import StartError

pytestmark = pytest.mark.valgrind


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder for the tool, with an empty cache beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = tmp_path / "valgrind"
    valgrind.find().link_own_files(made)
    return made


def built_in(cache: Path) -> list[Path]:
    return sorted(cache.glob("torch-instruction-suite/*/readable-*"))


def test_the_tool_is_built_once_and_again_when_its_source_changes(folder, tmp_path):
    valgrind_tools.add(folder, valgrind.find(), valgrind_tools.READABLE)
    (built,) = built_in(tmp_path / "cache")
    made = built.stat().st_mtime_ns

    again = tmp_path / "again"
    again.mkdir()
    valgrind_tools.add(again, valgrind.find(), valgrind_tools.READABLE)
    assert (again / built.name).samefile(built) and built.stat().st_mtime_ns == made

    edited = tmp_path / "edited.c"
    edited.write_text(valgrind_tools.READABLE.sources[0].read_text() + "/* edited */\n")
    other = tmp_path / "other"
    other.mkdir()
    valgrind_tools.add(other, valgrind.find(), dataclasses.replace(valgrind_tools.READABLE, sources=(edited,)))
    assert len(built_in(tmp_path / "cache")) == 2


def test_a_cache_that_cannot_be_written_is_done_without(folder, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where the folder should be")
    valgrind_tools.add(folder, valgrind.find(), valgrind_tools.READABLE)
    assert next(iter(folder.glob("readable-*-linux"))).is_file()


def test_another_machine_is_refused(folder, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(StartError, match="made for x86_64 only, this machine is riscv64: count with Callgrind"):
        valgrind_tools.add(folder, valgrind.find(), valgrind_tools.READABLE)


def elsewhere(tmp_path: Path, *without: str) -> valgrind.Valgrind:
    """A valgrind under a prefix of its own that lacks something."""
    found = valgrind.find()
    prefix = tmp_path / "prefix"
    for place in ("include/valgrind", "lib/valgrind"):
        (prefix / place).mkdir(parents=True)
    for source, target in (
        (found.prefix / "include/valgrind", "include/valgrind"),
        (valgrind_tools._libraries(found, "libvex-amd64-linux.a", valgrind_tools.READABLE), "lib/valgrind"),
    ):
        for file in source.iterdir():
            if file.name not in without:
                (prefix / target / file.name).symlink_to(file)
    (prefix / "bin").mkdir()
    (prefix / "bin/valgrind").write_text(f'#!/bin/sh\nexec {found.path} "$@"\n')
    (prefix / "bin/valgrind").chmod(0o755)
    return valgrind.Valgrind(str(prefix / "bin/valgrind"), found.version)


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
        valgrind_tools.add(folder, elsewhere(tmp_path, missing), valgrind_tools.READABLE)
    assert "count with Callgrind instead (HARNESS_COUNTER=callgrind" in str(failure.value)


def test_a_tool_that_does_not_run_is_refused_and_not_cached(folder, tmp_path):
    other = elsewhere(tmp_path)
    Path(other.path).write_text("#!/bin/sh\necho 'mismatch of core and tool' >&2\nexit 1\n")
    with pytest.raises(StartError, match="does not run with valgrind .*(?s:.)*mismatch of core and tool"):
        valgrind_tools.add(folder, other, valgrind_tools.READABLE)
    assert built_in(tmp_path / "cache") == []


def test_without_a_compiler_it_says_so(folder, tmp_path, monkeypatch):
    found = valgrind.find()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError, match="no C compiler"):
        valgrind_tools.add(folder, found, valgrind_tools.READABLE)


def test_callgrind_goes_on_working_where_valgrinds_files_are_not_found(tmp_path, monkeypatch):
    found = valgrind.find()
    monkeypatch.setattr(valgrind.Valgrind, "places", lambda *names: [])
    assert "VALGRIND_LIB" not in counters.COUNTER_KINDS["callgrind"].launch(tmp_path).environment
    with pytest.raises(StartError, match=f"own tools are not found under {found.prefix}"):
        counters.COUNTER_KINDS["readable"].launch(tmp_path)


@pytest.mark.parametrize("tool", [valgrind_tools.READABLE, valgrind_tools.FRAMES], ids=lambda tool: tool.name)
def test_every_tool_builds_runs_and_is_under_valgrinds_licence(tool, folder):
    valgrind_tools.add(folder, valgrind.find(), tool)
    assert tool.sources[0].read_text().startswith("/* SPDX-License-Identifier: GPL-2.0-or-later\n")
    assert (folder / f"{tool.name}-amd64-linux").exists()
