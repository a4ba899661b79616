"""Unix sockets in a folder: listen there, connect to who listens there.

A socket's path may have 107 bytes only, and the folder may lie deep. So both reach it through /proc.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def listen(folder: Path, name: str) -> socket.socket:
    """A socket of this name in `folder` that only this user can open. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with _through_proc(folder, name) as path:
            listener.bind(path)
        listener.listen()
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


@contextlib.contextmanager
def connected(folder: Path, name: str) -> Iterator[socket.socket]:
    """A connection to who listens in `folder` at the socket of this name. Raises OSError where nobody does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with connection:
        with _through_proc(folder, name) as path:
            connection.connect(path)
        yield connection


def answers(folder: Path, name: str) -> bool:
    """Whether somebody listens there; who was killed leaves the socket."""
    with contextlib.suppress(OSError), connected(folder, name):
        return True
    return False


@contextlib.contextmanager
def _through_proc(folder: Path, name: str) -> Iterator[str]:
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{place}/{name}"
    finally:
        os.close(place)
