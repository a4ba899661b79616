"""The command's side: count by the server that waits, if there is one, and leave one waiting where that is wanted."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.engine import waiting_requests
from harness.errors import StartError
from harness.system import private, processes

_START_SECONDS = 60.0
#: It is to find this very harness, whichever way it was found here.
_FINDING = "import sys; sys.path.insert(0, sys.argv[1]); "
#: The status of a count that was ended together with the server.
_ENDED = 128 + signal.SIGTERM
_HOW_TO_END_IT = "`harness servers --stop` ends it"


def count_there(arguments: argparse.Namespace, program: str) -> int | None:
    """The exit status of `harness count` with these arguments; None where no server waits that could run it, and none
    can be left now. `program` is the code of such a server's process. Raises StartError."""
    answer = _ask(arguments)
    if arguments.wait is not None and (answer is None or answer.get("busy") is False):
        failure = _start(program, arguments.wait)
        answer = _ask(arguments)
        if answer is None and failure is not None:
            raise StartError(f"no server can be left waiting: {failure}")
        if answer is not None and answer.get("status", _ENDED) != _ENDED:
            minutes = f"{arguments.wait:g} min"
            print(f"harness: the server waits {minutes} for the next count; {_HOW_TO_END_IT}", file=sys.stderr)
    if answer is None or "refused" in answer:
        return None
    status = int(answer["status"])
    if status < 0:
        print(f"harness: the count {processes.ending_in_words(-status)}", file=sys.stderr)
    return status if status >= 0 else 128 - status


def _ask(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The answer of the server that waits; None where there is none, or this process lacks what the other would need of
    it. A refusal is told."""
    try:
        for descriptor in (0, 1, 2):
            os.fstat(descriptor)
        folder = os.getcwd()
    except OSError:
        return None
    sys.stdout.flush()  # it comes before what the other prints
    os.umask(umask := os.umask(0o77))
    request = {
        "request": "count",
        "arguments": vars(arguments),
        "started as": waiting_requests.started_as(),
        "folder": folder,
        "variables": dict(os.environ),
        "umask": umask,
        "processors": sorted(os.sched_getaffinity(0)),
    }
    answer: dict[str, Any] | None = waiting_requests.ask(request, descriptors=(0, 1, 2), seconds=None)
    if answer is not None and "refused" in answer:
        print(f"harness: the server that waits is not used: {answer['refused']}", file=sys.stderr)
    return answer


def _start(program: str, minutes: float) -> str | None:
    """Start the process of a server that waits; what it said, which tells why it failed if it did. Another command may
    have started one just then."""
    place = waiting_requests.folder()
    reason = private.doubt(place)
    if reason is not None:
        return f"{reason}: remove that, or name another temporary folder with TMPDIR"
    relative = [entry for entry in os.environ.get("PYTHONPATH", "/").split(os.pathsep) if not os.path.isabs(entry)]
    if relative:
        return f"PYTHONPATH holds {relative[0]!r}, which is another folder in another process: name it from / on"
    try:
        # -P: the folder that this is called in is not looked through for modules.
        root = Path(__file__).parent.parent.parent
        answer = subprocess.run(
            [sys.executable, "-P", "-c", _FINDING + program, str(root), str(place), str(minutes)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            timeout=_START_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = answer.stdout.decode(errors="replace").strip()
    return said or (f"it ended with status {answer.returncode}" if answer.returncode else None)
