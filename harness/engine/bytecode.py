"""The bytecode of the environment's packages, made the same wherever and by whatever they were compiled.

Four things in bytecode tell of the installation. The path of the source is in it: a server makes a string as long as
that for each module that it imports, and then drops it. marshal marks the strings that were held more than once when it
wrote them, which depends on what else the compiling process had loaded: nearly every file that one pip writes differs
from what another pip writes. Equal sets of constants are one object or several. And what nobody has imported yet has no
bytecode at all, so that the server compiles it. Each changes what a server allocates and when: they moved counts by
0.01 to 0.2 % between environments of the same packages. So a server reads copies, in which each path begins at
site-packages, each interned string is marked, and each set is an object of its own.
"""

from __future__ import annotations

import _imp
import contextlib
import marshal
import operator
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from harness.system import cache, pyc, whole

_SKIPPED = ("tests", "__pycache__")
#: Named as bytecode is, so that whoever deletes all bytecode deletes it too, and as no module can be.
_INDEX = ".index.pyc"
#: The names in a package's bytecode, as marshal writes them: see inside/names.c. Named like the index.
_NAMES = ".names.pyc"
#: How marshal writes a string of ASCII that is interned and short enough for an attribute's name: a letter, its
#: length, its text.
_SHORT_INTERNED = re.compile(rb"[Z\xda]([\x02-\x4f])")


def fill(target: Path, site: Path, kept: Path, named: Iterable[str] = ()) -> bytes:
    """Make `target`, in which each module that a link in `site` leads to has its bytecode: that of `<site>/<name>.py`
    is `<target>/<name>.pyc`.

    The files of a package lie in `kept`, for the next time, and are made anew where a source has changed; they lie in
    `target` itself where `kept` cannot be written. An index says of which sources they were made, so that one look at
    thousands of modules is enough. A module that was never compiled is compiled, and Python keeps that,
    if it may, beside the source. What cannot be compiled is left out, and so are packages' tests, which nobody counts.
    Gives the names in the bytecode of the packages `named`. Raises OSError where there is no room.
    """
    names = []
    for letter in range(256):
        sys.intern(chr(letter))  # each is one string in the whole process, interned or not as it happens
    target.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for entry in site.iterdir():
            real = os.path.realpath(entry)
            if entry.is_symlink() and entry.suffix == ".py" and entry.exists():
                _write(real, os.stat(real), entry.name, f"{target / entry.name}c")
            elif entry.is_symlink() and os.path.isdir(real) and (modules := list(_modules(real))):
                folder = _place(kept / f"{entry.name}-{cache.key([real])}", target / entry.name)
                index = _index(modules)
                if not _holds(f"{folder}/{_INDEX}", index):
                    for module, facts in modules:
                        _write(f"{real}/{module}", facts, f"{entry.name}/{module}", f"{folder}/{module}c")
                    Path(folder, _NAMES).unlink(missing_ok=True)
                    whole.write(Path(folder, _INDEX), index)
                if entry.name in named:
                    names.append(_names(folder))
    return b"".join(names)


def _names(folder: Path) -> bytes:
    """The names in the bytecode below a folder, in an order that follows from what they say; kept there in a file."""
    kept = Path(folder, _NAMES)
    if not kept.exists():
        names = set()
        for path in folder.resolve().rglob("*.pyc"):
            data = path.read_bytes()
            for match in _SHORT_INTERNED.finditer(data):
                name = data[match.end() : match.end() + match[1][0]]
                if name.isascii() and name.decode().isidentifier():
                    names.add(name)
        whole.write(kept, b"".join(b"Z%c%s" % (len(name), name) for name in sorted(names)))
    return kept.read_bytes()


def _place(kept: Path, target: Path) -> Path:
    """`kept`, with a link from `target`; `target` itself where it cannot be written."""
    with contextlib.suppress(OSError):
        kept.mkdir(parents=True, exist_ok=True)
    if os.access(kept, os.W_OK):
        target.symlink_to(kept)
        return kept
    return target


def _modules(folder: str, within: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """The modules below a folder, by their paths from there. Thousands, for each session: looked at once each."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                with contextlib.suppress(OSError):  # editors leave links that lead nowhere
                    yield within + entry.name, entry.stat()
            elif entry.name not in _SKIPPED and entry.is_dir(follow_symlinks=False):
                yield from _modules(entry.path, f"{within}{entry.name}/")


def _index(modules: list[tuple[str, os.stat_result]]) -> bytes:
    """The modules, and of each what the header of its bytecode tells of its source."""
    lines = sorted(f"{pyc.header(int(facts.st_mtime), facts.st_size).hex()} {module}" for module, facts in modules)
    return "\n".join(lines).encode(errors="surrogateescape")


def _holds(file: str, data: bytes) -> bool:
    try:
        with open(file, "rb") as opened:
            return opened.read() == data
    except OSError:
        return False


def _write(source: str, facts: os.stat_result, name: str, file: str) -> None:
    header = pyc.header(int(facts.st_mtime), facts.st_size)
    if pyc.begins_with(file, header):
        return
    code = _code(source)
    if code is not None:
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole.write(path, header + _marshalled(code, f"/{name}"))


def _code(source: str) -> CodeType | None:
    try:
        return SourceFileLoader(source, source).get_code(source)
    except (SyntaxError, ValueError, TypeError, EOFError, OSError):
        return None


def _marshalled(code: CodeType, name: str) -> bytes:
    """`code` as if the file `name` had been compiled. Python puts the real name in its place when it is loaded."""
    _imp._fix_co_filename(code, name)  # type: ignore[attr-defined]
    # A copy, so that each interned string is held at least twice: in both.
    copied = marshal.loads(marshal.dumps(code))
    return marshal.dumps(_with_sets_of_its_own(copied))


def _with_sets_of_its_own(code: CodeType) -> CodeType:
    """`code`, in which no set of constants is the same object as another one."""
    constants = tuple(map(_own, code.co_consts))
    same = all(map(operator.is_, constants, code.co_consts))
    return code if same else code.replace(co_consts=constants)


def _own(constant: Any) -> Any:
    if isinstance(constant, CodeType):
        return _with_sets_of_its_own(constant)
    return frozenset(list(constant)) if isinstance(constant, frozenset) else constant
