"""The session that outlives the command that began it: what waits with the server is this folder of its supervisor."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import select
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.engine import client, sandbox
from harness.engine.configuration import Configuration
from harness.errors import StartError

#: Variables of the user that decide what a session is; those of the harness decide it too.
_DECIDE = ("CUDA_VISIBLE_DEVICES", "CXX", "HOME", "LD_LIBRARY_PATH", "PATH", "XDG_CACHE_HOME")
_NAME = "session-"
_RECORD = "session.json"
_END_SECONDS = 30.0


class KeptSession:
    """The session of earlier commands, as the command of the moment sees it."""

    def __init__(self, folder: Path, owner: int) -> None:
        """Sessions lie in `folder`, one at a time, and live as long as the process `owner`."""
        self._folder = folder
        self._owner = owner

    @contextlib.contextmanager
    def __call__(self, configuration: Configuration) -> Iterator[Callable[[], Path]]:
        """As client.beginning does it, save that the session outlives the block. One that was begun with other settings
        is ended first. Where another run has the first scratch folder, the session is an ordinary one: to keep it would
        be to keep another memory layout. Raises StartError."""
        decide = {name: value for name, value in os.environ.items() if name in _DECIDE or name.startswith("HARNESS_")}
        text = json.dumps({"configuration": dataclasses.asdict(configuration), "variables": decide})
        settings = json.loads(text)  # as it will be read again
        for directory, record in _sessions(self._folder):
            if record.get("settings") == settings and client.answers_in(directory):
                for note in record["notes"]:
                    _tell(note)
                yield functools.partial(Path, directory)
                return
            _end(directory, record)
        if not sandbox.first_is_free():
            with client.beginning(configuration) as ready:
                yield ready
            return
        # A name of its own: the supervisor that was ended removes the folder that it had once more.
        directory = Path(tempfile.mkdtemp(prefix=_NAME, dir=self._folder))
        where = dataclasses.replace(configuration, directory=str(directory), owner=self._owner)
        kept = dataclasses.replace(where, remove_directory=True, kept=True)
        notes: list[str] = []

        def tell(note: str) -> None:
            notes.append(note)
            _tell(note)

        process = client.launch(kept)
        ready = client.Starting(process, kept, tell)
        try:
            yield ready
            with contextlib.suppress(StartError):  # where nobody asked, since all was skipped
                ready()
                record = {"settings": settings, "notes": notes, "pid": process.pid}
                (directory / _RECORD).write_text(json.dumps(record))
        except BaseException:
            _end(directory, {"pid": process.pid})
            raise


def settings_in(folder: Path) -> dict[str, Any]:
    """The fields of the Configuration of the session in `folder`; none where there is no session."""
    return next((record["settings"]["configuration"] for _, record in _sessions(folder) if record), {})


def end_all(folder: Path) -> None:
    """End what is kept in `folder`, and wait for its end."""
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
    """The supervisor ends when its folder is gone. It is waited for: until then it holds the scratch folder."""
    with contextlib.ExitStack() as stack:
        supervisor = []
        with contextlib.suppress(KeyError, ProcessLookupError):
            supervisor.append(os.pidfd_open(record["pid"]))
            stack.callback(os.close, supervisor[0])
        shutil.rmtree(directory, ignore_errors=True)
        select.select(supervisor, [], [], _END_SECONDS if supervisor else 0)


def _tell(note: str) -> None:
    print(f"harness: {note}", file=sys.stderr)
