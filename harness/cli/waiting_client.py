"""Count by the server that waits, if there is one, and leave one waiting where that is wanted."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness.engine import waiting
from harness.errors import StartError

_START_SECONDS = 60.0
#: It is to find this very harness, whichever way it was found here.
_START = "import sys; sys.path.insert(0, sys.argv[1]); from harness.cli.waiting_process import main; main()"


def count(arguments: argparse.Namespace) -> int | None:
    """The exit status of `harness count` with these arguments; None where no server waits that could run it, and none
    is to be left. Raises StartError."""
    status = _ask(arguments)
    if status is not None or arguments.wait is None:
        return status
    _start(arguments.wait)
    status = _ask(arguments)
    print(
        f"harness: the server waits {arguments.wait:g} min for the next count; `harness servers --stop` ends it",
        file=sys.stderr,
    )
    return status


def _ask(arguments: argparse.Namespace) -> int | None:
    # What this process has printed comes before what the server prints.
    sys.stdout.flush()
    request = {
        "request": "count",
        "python": sys.executable,
        "arguments": vars(arguments),
        "folder": os.getcwd(),
        "variables": dict(os.environ),
    }
    answer = waiting.ask(request, descriptors=(0, 1, 2), seconds=None)
    if answer is None:
        return None
    if "refused" in answer:
        print(f"harness: the server that waits is not used: {answer['refused']}", file=sys.stderr)
        return None
    return int(answer["status"])


def _start(minutes: float) -> None:
    """Start the process of a server that waits, in the place of what one that was killed has left. Raises StartError
    where none can be started."""
    place = waiting.folder()
    try:
        if waiting.tell() is None and place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        answer = subprocess.run(
            [sys.executable, "-c", _START, str(Path(__file__).parent.parent.parent), str(place), str(minutes)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            timeout=_START_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"no server can be left waiting ({error}): make room, or count without --wait") from None
    said = answer.stdout.decode(errors="replace").strip()
    if answer.returncode or said:
        raise StartError(f"no server can be left waiting: {said or f'it ended with status {answer.returncode}'}")
