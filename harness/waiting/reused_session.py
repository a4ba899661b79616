"""The session that outlives the command that began it: what waits with the server is this folder of its supervisor."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.engine import client
from harness.engine.configuration import Configuration
from harness.engine.environment import LET_THROUGH
from harness.engine.settings import VARIABLES
from harness.errors import StartError

#: Variables of the user that decide what a session is.
_DECIDE = (*LET_THROUGH, *VARIABLES, "HOME", "LD_LIBRARY_PATH", "PATH", "XDG_CACHE_HOME")
_NAME = "session-"
_RECORD = "session.json"
_END_SECONDS = 30.0


class ReusedSession:
    """The session of earlier commands, as the command of the moment sees it."""

    def __init__(self, folder: Path, owner: int) -> None:
        """Sessions lie in `folder`, one at a time, and live as long as the process `owner`."""
        self._folder = folder
        self._owner = owner

    @contextlib.contextmanager
    def __call__(self, configuration: Configuration) -> Iterator[Callable[[], Path]]:
        """As client.beginning does it, save that the session outlives the block. One that was begun with other settings
        is ended first. One that had to take another scratch folder than the first, since another run has that, does not
        outlive the block: later counts would have another memory layout. Raises StartError."""
        decide = {name: value for name, value in os.environ.items() if name in _DECIDE}
        text = json.dumps({"configuration": dataclasses.asdict(configuration), "variables": decide})
        settings = json.loads(text)  # as it will be read again
        for earlier, found in _sessions(self._folder):
            if found.get("settings") == settings and client.answers_in(earlier):
                for note in found["notes"]:
                    client.warn(note)
                yield functools.partial(Path, earlier)
                return
            _end(earlier, found)
        # A name of its own: the supervisor that was ended removes the folder that it had once more.
        directory = Path(tempfile.mkdtemp(prefix=_NAME, dir=self._folder))
        reused = dataclasses.replace(
            configuration, directory=str(directory), owner=self._owner, remove_directory=True, reused=True
        )
        notes: list[str] = []

        def tell(note: str) -> None:
            notes.append(note)
            client.warn(note)

        starting = client.Starting(reused, tell)
        outlives = False
        try:
            yield starting
            with contextlib.suppress(StartError):  # where nobody asked, since all was skipped
                starting()
            if starting.in_first_scratch_folder:
                record = {"settings": settings, "notes": notes, "pid": starting.pid}
                (directory / _RECORD).write_text(json.dumps(record))
                outlives = True
        finally:
            if not outlives:
                starting.end()


def settings_in(folder: Path) -> dict[str, Any]:
    """The fields of the Configuration of the session in `folder`; none where there is no session."""
    return next((record["settings"]["configuration"] for _, record in _sessions(folder) if record), {})


def end_all(folder: Path) -> None:
    """End the session in `folder`, and wait for its end."""
    for directory, record in _sessions(folder):
        _end(directory, record)


def _sessions(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The folders of sessions, and what is recorded of each; nothing of one that never was ready."""
    found = []
    for directory in folder.glob(f"{_NAME}*"):
        try:
            found.append((directory, json.loads((directory / _RECORD).read_text())))
        except (OSError, ValueError):
            found.append((directory, {}))
    return found


def _end(directory: Path, record: dict[str, Any]) -> None:
    """End a session. Its supervisor is waited for: until it has ended it has the scratch folder. Where nobody listens
    it is gone, and another process may have its number."""
    if record and client.answers_in(directory):
        with contextlib.suppress(ProcessLookupError):
            supervisor = os.pidfd_open(record["pid"])
            try:
                signal.pidfd_send_signal(supervisor, signal.SIGTERM)
                select.select([supervisor], [], [], _END_SECONDS)
            finally:
                os.close(supervisor)
    shutil.rmtree(directory, ignore_errors=True)
