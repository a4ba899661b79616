"""The header of a file of bytecode, by which Python tells that it is of its version and of this very source."""

from __future__ import annotations

import importlib.util
import os
import struct

_LAYOUT = struct.Struct("<4sIII")  # magic number, flags, the source's time stamp and size
HEADER_BYTES = _LAYOUT.size


def header(stamp: int, size: int) -> bytes:
    """Of the bytecode of a source with this time stamp, in seconds, and size, in bytes."""
    return _LAYOUT.pack(importlib.util.MAGIC_NUMBER, 0, stamp & 0xFFFFFFFF, size & 0xFFFFFFFF)


def begins_with(file: str, expected: bytes) -> bool:
    """Whether `file` is there and begins with this header."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)  # a file object takes longer, and there are thousands
    except OSError:
        return False
    try:
        return os.read(descriptor, HEADER_BYTES) == expected
    except OSError:
        return False
    finally:
        os.close(descriptor)
