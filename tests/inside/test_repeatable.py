"""What a server meets that differs from run to run: names of files, and the memory of extension modules."""

from __future__ import annotations

import importlib
import mmap
import os
import sys
from importlib import _bootstrap_external
from pathlib import Path

import pytest

from harness.engine import extension
from harness.inside import repeatable


def test_where_the_servers_links_lead_is_not_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "realpath", os.path.realpath)  # put back at the end
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/module.py").write_text("")
    (tmp_path / "site").mkdir()
    for name in ("site/package", "outside"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    repeatable.keep_names(str(tmp_path / "site"))
    inside = str(tmp_path / "site/package/module.py")
    assert os.path.realpath(inside) == inside and str(Path(inside).resolve()) == inside
    assert os.path.realpath(tmp_path / "site/package/../package/module.py") == inside
    assert os.path.realpath(tmp_path / "outside/module.py") == str(tmp_path / "elsewhere/module.py")
    assert os.path.realpath(os.fsencode(inside)) == os.fsencode(tmp_path / "elsewhere/module.py")


def test_mapped_files_are_told_without_folders(tmp_path):
    """torch reads them while it is imported; the room that they took moved all that came after."""
    told = []
    for folder in (tmp_path / "a", tmp_path / ("b" * 200)):
        folder.mkdir()
        library = folder / "libcopy.so.1"
        library.write_bytes(b"x" * mmap.PAGESIZE)
        with (
            open(library, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ),
            repeatable.mapped_files_without_folders(),
            open("/proc/self/maps") as maps,
        ):
            told.append(maps.read())
    assert told[0] == told[1] and "/" not in told[0]
    assert told[0].splitlines().count("libcopy.so.1") == 1
    with open("/proc/self/maps") as maps:
        assert "/" in maps.read()


class Recorder:
    """Stands in for the C extension."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def renew_allocators(self) -> None:
        self.done.append("new memory")


@pytest.fixture
def recorder(monkeypatch):
    loader = _bootstrap_external.ExtensionFileLoader
    for name in ("create_module", "exec_module"):
        monkeypatch.setattr(loader, name, getattr(loader, name))  # put back at the end
    return Recorder()


def test_an_extension_module_and_what_it_makes_later_begin_in_new_memory(recorder, tmp_path, monkeypatch):
    extension.add(tmp_path, with_valgrind=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "made_of_python.py").write_text("")
    for name in ("_client_requests", "made_of_python"):
        monkeypatch.setitem(sys.modules, name, sys)  # so that it is as it was at the end
        del sys.modules[name]
    repeatable.renew_for_extensions(recorder, ("_client_requests.native_lack", "_client_requests.nothing", "os.getpid"))
    module = importlib.import_module("_client_requests")
    assert recorder.done == ["new memory"] * 2
    module.is_native()
    assert recorder.done == ["new memory"] * 2
    module.native_lack()
    assert recorder.done == ["new memory"] * 4
    importlib.import_module("made_of_python")
    assert os.getpid() and recorder.done == ["new memory"] * 4
