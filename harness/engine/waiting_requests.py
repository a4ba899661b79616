"""The server that waits for the next count: where it is found, and what others say to it.

`harness count --wait` leaves one; waiting/process.py is its process. Each user has at most one in a temporary
folder. Its session has the first scratch folder there, and another one would be another memory layout: so
whoever starts a server of their own has this one make room first, unless it is counting just then.

It listens on a socket. A request is a line of JSON, whose "request" is one of these; so is the answer:

    count       with "arguments" of the command, what it was "started as", the "folder", "variables", "umask" and
                "processors" it was given in, and three descriptors for its input and output: "status", what it ended
                with; or "refused", why it was not run, and whether that is because the server is "busy"
    describe    what `harness servers` shows
    make room   end, unless it is counting: "busy" says whether it is
    stop        end in any case
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness.errors import StartError
from harness.system import private, sockets

SOCKET = "waiting.socket"
_ANSWER_SECONDS = 90.0
_FLAGS = ("dev_mode", "isolated", "no_site", "no_user_site", "optimize", "utf8_mode")
_CURE = "end it with `harness servers --stop`, and try again"


def folder() -> Path:
    return Path(tempfile.gettempdir(), f"harness-{os.getuid()}-waiting")


def started_as() -> dict[str, Any]:
    """What a process that runs a command has to have in common with the one that the command was given to."""
    flags = {name: getattr(sys.flags, name) for name in _FLAGS}
    variables = {name: value for name, value in sorted(os.environ.items()) if name.startswith("PYTHON")}
    return {
        "harness": str(Path(__file__).parent.parent),
        "Python": os.path.abspath(sys.executable),
        "set of Python's options": flags,
        "set of variables PYTHON...": variables,
    }


def ask(request: dict[str, Any], descriptors: tuple[int, ...] = (), seconds: float | None = _ANSWER_SECONDS) -> Any:
    """The answer to a request, for which the server has so many seconds; None where no server waits. Raises StartError
    where it gives none."""
    place = folder()
    if private.doubt(place) is not None:
        return None
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(sockets.connected(place, SOCKET))
        except OSError:
            return None
        if private.user_of_peer(connection) != os.getuid():
            return None
        connection.settimeout(seconds)
        line = json.dumps(request).encode() + b"\n"
        try:
            sent = socket.send_fds(connection, [line], descriptors)
            if line[sent:]:  # it may have answered by now, and closed its end
                connection.sendall(line[sent:])
            with connection.makefile("rb") as lines:
                answer = lines.readline()
        except OSError as error:
            raise StartError(f"the server that waits does not answer ({error}): {_CURE}") from None
        if not answer:
            raise StartError(f"the server that waits ended before it had answered: {_CURE}")
        return json.loads(answer)


def make_room() -> None:
    """Have the server that waits, if there is one, end: for whoever starts another."""
    with contextlib.suppress(StartError):
        ask({"request": "make room"})


def stop() -> dict[str, Any] | None:
    """End the server that waits, also while it counts; and what `describe` would have given. Raises StartError."""
    return _unless_refused(ask({"request": "stop"}))


def describe() -> dict[str, Any] | None:
    """Facts about the server that waits, by name; None where there is none. Raises StartError."""
    return _unless_refused(ask({"request": "describe"}))


def _unless_refused(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if answer is None or "refused" in answer else answer
