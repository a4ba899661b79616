"""Write a file whole or not at all, also when two processes or threads write it at once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


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
