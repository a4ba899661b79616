"""The bytecode that a server reads: the same however a package was installed, and made anew where it changed."""

from __future__ import annotations

import compileall
import importlib.machinery
import importlib.util
import marshal
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from harness.engine import bytecode
from harness.system import pyc

SOURCE = """
'''Two functions with equal sets, a nested one, and names that others may hold.'''
def one(x): return x in {"cuda", "xpu"}
def two(x): return x in {"cuda", "xpu"} or (lambda name_that_is_held: name_that_is_held.attribute)(x) + "\xfe"
class Class:
    def method(self): return one(self), two(self)
"""
HEADER = 16


def install(folder: Path, **modules: str) -> Path:
    """A package `package` in `folder`; what is compiled of it is up to the caller."""
    package = folder / "package"
    package.mkdir(parents=True)
    for name, source in {"__init__": "", **modules}.items():
        (package / f"{name}.py").write_text(source)
    return package


def site(folder: Path, package: Path) -> Path:
    made = folder / "site"
    made.mkdir(exist_ok=True)
    (made / package.name).symlink_to(package)
    return made


@pytest.fixture
def filled(tmp_path):
    def fill(package: Path, kept: Path = tmp_path / "kept") -> Path:
        """The folder in which a server finds the bytecode of `package`."""
        number = len(list(tmp_path.glob("run*")))
        run = tmp_path / f"run{number}"
        run.mkdir()
        bytecode.fill(run / "bytecode", site(run, package), kept)
        return run / "bytecode/package"

    return fill


def modules_in(folder: Path) -> list[Path]:
    """The bytecode in a folder, without the index of it."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def code_of(file: Path) -> bytes:
    return file.read_bytes()[HEADER:]


def nested(code: CodeType) -> list[Any]:
    return [code, *(x for constant in code.co_consts if isinstance(constant, CodeType) for x in nested(constant))]


def test_where_and_by_what_a_package_was_compiled_does_not_matter(tmp_path, filled):
    never = code_of(filled(install(tmp_path / "never", module=SOURCE)) / "module.pyc")
    short = install(tmp_path / "s", module=SOURCE)
    long = install(tmp_path / ("long" * 40), module=SOURCE)
    assert compileall.compile_dir(short, quiet=1)
    held = [sys.intern("name_that_is_held"), sys.intern("attribute"), sys.intern("\xfe")]
    assert compileall.compile_dir(long, quiet=1) and held
    # One more, as some pip leaves it: each set is an object of its own.
    other = install(tmp_path / "other", module=SOURCE)
    assert compileall.compile_dir(other, quiet=1)
    cached = Path(importlib.util.cache_from_source(str(other / "module.py")))
    data = cached.read_bytes()
    changed = marshal.dumps(bytecode._with_sets_of_its_own(marshal.loads(data[HEADER:])))
    assert changed != data[HEADER:]
    cached.write_bytes(data[:HEADER] + changed)

    assert [code_of(filled(package) / "module.pyc") for package in (short, long, other)] == 3 * [never]
    codes = nested(marshal.loads(never))
    assert {code.co_filename for code in codes} == {"/package/module.py"} and len(codes) == 6


def test_what_is_there_is_kept_and_a_source_that_changed_is_compiled_anew(tmp_path, filled):
    package = install(tmp_path / "environment", module="VALUE = 1", other="")
    first = filled(package)
    before = {path.name: path.stat().st_ino for path in modules_in(first)}
    assert set(before) == {"__init__.pyc", "module.pyc", "other.pyc"}
    (package / "module.py").write_text("VALUE = 1000")
    second = filled(package)
    after = {path.name: path.stat().st_ino for path in modules_in(second)}
    assert {name for name in after if after[name] != before[name]} == {"module.pyc"}
    assert 1000 in marshal.loads(code_of(second / "module.pyc")).co_consts


def test_where_no_source_changed_no_bytecode_is_looked_at(tmp_path, filled, monkeypatch):
    package = install(tmp_path / "environment", module="VALUE = 1", other="")
    filled(package)
    looked_at: list[str] = []
    monkeypatch.setattr(pyc, "begins_with", lambda file, header: looked_at.append(file))
    filled(package)
    assert looked_at == []
    (package / "new.py").write_text("")
    assert (filled(package) / "new.pyc").exists() and len(looked_at) == 4


def test_bytecode_that_somebody_deleted_is_made_anew(tmp_path, filled):
    package = install(tmp_path / "environment", module="VALUE = 1")
    folder = filled(package).resolve()
    assert subprocess.run(["find", folder, "-name", "*.pyc", "-delete"]).returncode == 0
    assert not list(folder.iterdir())
    assert (filled(package) / "module.pyc").exists()


def test_python_takes_it_for_the_bytecode_of_the_source(tmp_path, filled):
    package = install(tmp_path / "environment", module="VALUE = 1")
    file = filled(package) / "module.pyc"
    cached = Path(importlib.util.cache_from_source(str(package / "module.py")))
    cached.parent.mkdir(exist_ok=True)
    cached.write_bytes(file.read_bytes().replace(b"VALUE", b"OTHER"))
    loader = importlib.machinery.SourceFileLoader("module", str(package / "module.py"))
    code = loader.get_code("module")
    assert code.co_names == ("OTHER",), "it was read, not compiled"
    assert code.co_filename == str(package / "module.py")


def test_two_packages_of_one_name_lie_side_by_side(tmp_path, filled):
    """Two commits counted at once: neither may read what belongs to the other."""
    one = filled(install(tmp_path / "one", module="VALUE = 1"))
    two = filled(install(tmp_path / "two", module="VALUE = 1000"))
    assert marshal.loads(code_of(one / "module.pyc")).co_consts[0] == 1
    assert marshal.loads(code_of(two / "module.pyc")).co_consts[0] == 1000


def test_what_does_not_compile_is_left_out_in_silence(tmp_path, filled):
    package = install(tmp_path / "environment", wrong="def (", loud="'\\d'", nul="\0")
    (package / "tests").mkdir()
    (package / "tests/test.py").write_text("")
    (package / ".#nowhere.py").symlink_to("nowhere")
    (package / ".#itself.py").symlink_to(".#itself.py")
    (package / "broken.py").write_text("VALUE = 1")
    cached = Path(importlib.util.cache_from_source(str(package / "broken.py")))
    cached.parent.mkdir(exist_ok=True)
    facts = (package / "broken.py").stat()
    header = pyc.header(int(facts.st_mtime), facts.st_size)
    cached.write_bytes(header + b"\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {path.name for path in modules_in(filled(package))} == {"__init__.pyc", "loud.pyc"}


def test_where_nothing_can_be_kept_it_lies_in_the_scratch_folder(tmp_path, filled):
    (tmp_path / "file").write_text("")
    folder = filled(install(tmp_path / "environment", module=""), kept=tmp_path / "file/kept")
    assert not folder.is_symlink() and (folder / "module.pyc").exists()


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path, filled, monkeypatch):
    def full(new, path):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        filled(install(tmp_path / "environment", module=""))
    assert [path for path in (tmp_path / "kept").rglob("*") if path.is_file()] == []


def test_the_names_of_a_package_are_told_and_kept(tmp_path):
    package = install(tmp_path / "environment", module=SOURCE)

    def names(number: int, named: tuple[str, ...] = ("package",)) -> bytes:
        run = tmp_path / f"run{number}"
        run.mkdir()
        return bytecode.fill(run / "bytecode", site(run, package), tmp_path / "kept", named)

    first = names(1)
    assert b"Z\x11name_that_is_held" in first and b"Z\x09attribute" in first and b"Z\x06method" in first
    assert b"nested" not in first, "of constants only names"
    assert names(2) == first and names(3, ()) == b""
    (package / "module.py").write_text("import another_name")
    renewed = names(4)
    assert b"Z\x0canother_name" in renewed and b"name_that_is_held" not in renewed
