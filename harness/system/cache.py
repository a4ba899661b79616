"""What is built once and kept for later runs, in the user's cache folder, under names that say what it was built of.

Some of it is loaded into processes. So what somebody else may have put there or changed is not used: it is built anew,
as if the folder were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from harness.system import private, whole


def folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "torch-instruction-suite")


def key(parts: Iterable[str]) -> str:
    """A short name for something that depends on all of `parts`."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def doubt(cached: Path | None = None, top: Path | None = None) -> str | None:
    """Why `cached`, or the cache folder as a whole, is not used, as a sentence with the cure; None if it may be.

    `top` is the cache folder, for a process whose surroundings do not tell it.
    """
    top = top or folder()
    reason = private.doubt_below(top, cached or top)
    if reason is None:
        return None
    return (
        f"the cache folder {top} is not used, since {reason}: remove that, or name another folder with XDG_CACHE_HOME"
    )


def usable(otherwise: Path) -> Path:
    """The cache folder; `otherwise`, for as long as that lasts, where it is not used."""
    return folder() if doubt() is None else otherwise


def find(cached: Path, top: Path | None = None) -> Path | None:
    """`cached`, if it is there and nobody else can have changed it."""
    return cached if cached.exists() and doubt(cached, top) is None else None


def store(made: Path, cached: Path, top: Path | None = None) -> None:
    """Copy a file into the cache: whole or not at all, also when two store it at once. One that cannot be written, or
    should not be, is made anew every time."""
    with contextlib.suppress(OSError):
        if doubt(cached.parent, top) is not None:
            return
        private.make(cached.parent)
        # For others to write it is refused when it is found.
        whole.write(cached, made.read_bytes(), stat.S_IMODE(made.stat().st_mode) & 0o755)
