"""Write a file whole or not at all, also when two processes or threads write it at once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def refused(path: Path) -> str | None:
    """Why no file can be written at `path`, as far as can be told before; None if one can."""
    if path.is_dir():
        return f"{path} is a folder: name a file"
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}: make it, or name another file"
    if not os.access(path if path.exists() else folder, os.W_OK):
        return f"{path} cannot be written to: name another file"
    return None


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put a file of `data` in the place of whatever lies at `path`, whose folder is there. Raises OSError, and then
    nothing has changed."""
    number, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    new = Path(name)
    try:
        with open(number, "wb") as file:
            file.write(data)
        new.chmod(mode)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
