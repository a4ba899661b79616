"""What tells that code in a folder was changed: when each file that Python or the linker would load was written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

#: By path: the time of the last change in nanoseconds, the size in bytes, the number of the inode.
Stamps = dict[str, tuple[int, int, int]]
_LOADED = (".py", ".so", ".c", ".h", ".jinja", ".pth", "METADATA")
_SKIPPED = ("__pycache__", "include", "test", "tests")


def of(places: Iterable[Path]) -> Stamps:
    """The stamps of files, and of every source and library below folders, links followed. What nobody loads is left
    out: bytecode, which is checked when it is loaded; packages' tests; folders of headers."""
    found: Stamps = {}
    seen: set[str] = set()
    for place in places:
        if place.is_dir():
            _add(os.path.realpath(place), found, seen)
        else:
            found[str(place)] = _stamp(str(place))
    return found


def _add(folder: str, found: Stamps, seen: set[str]) -> None:
    """`folder` is its own real path."""
    if folder in seen:
        return
    seen.add(folder)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(_LOADED) or ".so." in name:
                found[entry.path] = _stamp(entry.path)
            elif name not in _SKIPPED and os.path.isdir(entry):
                _add(os.path.realpath(entry.path) if entry.is_symlink() else entry.path, found, seen)


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        facts = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (facts.st_mtime_ns, facts.st_size, facts.st_ino)


def changed(before: Stamps, after: Stamps) -> str | None:
    """The first file, by name, that is another one, or is new or gone; None if there is none."""
    return min((path for path in before.keys() | after.keys() if before.get(path) != after.get(path)), default=None)
