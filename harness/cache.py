"""What is built once and kept for later runs, in the user's cache folder, under names that say what it was built of."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path


def folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "torch-instruction-suite")


def key(parts: Iterable[str]) -> str:
    """A short name for something that depends on all of `parts`."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def store(made: Path, cached: Path) -> None:
    """Copy a file into the cache: whole or not at all, also when two store it at once. One that cannot be written is
    made anew every time."""
    with contextlib.suppress(OSError):
        cached.parent.mkdir(parents=True, exist_ok=True)
        new = cached.with_name(f".{os.getpid()}-{cached.name}")
        shutil.copy(made, new)
        new.rename(cached)
