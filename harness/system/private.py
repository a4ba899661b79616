"""What nobody else can have changed: whose a file is, and who may write it; and whose process a socket leads to.

What lies in a shared place, and is loaded or written to from there, may have been put there by another user. Root may
do anything anyway, so what belongs to root is as good as one's own.
"""

from __future__ import annotations

import os
import pwd
import socket
import stat
import struct
from pathlib import Path

_PEER = struct.Struct("3i")  # pid, user, group
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def doubt(path: Path) -> str | None:
    """Why somebody else may have changed what lies at `path` (a symbolic link is not followed), as a clause; None if
    nobody can have, and where nothing lies there."""
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{path} cannot be looked at ({error.strerror})"
    if facts.st_uid not in (os.getuid(), 0):
        return f"{path} belongs to {user(facts.st_uid)}"
    if stat.S_ISLNK(facts.st_mode):
        return f"{path} is a symbolic link"
    if facts.st_mode & _OTHERS_WRITE:
        return f"others may write {path} (its mode is {stat.S_IMODE(facts.st_mode):o})"
    return None


def doubt_below(top: Path, path: Path) -> str | None:
    """The same of `path` and every folder above it up to `top`, which may itself be a link of one's own."""
    outermost = top.resolve() if top.is_symlink() and os.lstat(top).st_uid in (os.getuid(), 0) else top
    steps = [path, *path.parents]
    inside = reversed(steps[: steps.index(top)])
    return next((reason for step in (outermost, *inside) if (reason := doubt(step)) is not None), None)


def make(folder: Path) -> None:
    """Make `folder` and what it lies in, where missing, for this user alone. Raises OSError."""
    for ancestor in reversed([folder, *folder.parents]):
        if not ancestor.exists():
            ancestor.mkdir(mode=0o700, exist_ok=True)


def user_of_peer(connection: socket.socket) -> int:
    """The user whose process is at the other end of a connected Unix socket: the one that listens there."""
    return _peer(connection)[1]


def pid_of_peer(connection: socket.socket) -> int:
    """The process at the other end of a connected Unix socket."""
    return _peer(connection)[0]


def _peer(connection: socket.socket) -> tuple[int, int, int]:
    """Its pid, user and group."""
    pid, user_number, group = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return pid, user_number, group


def user(number: int) -> str:
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"
