"""The process of the server that waits for the next count.

It forks a child for each count, and the child is the command itself. What takes long is there already: this process has
imported, natively, what the suite's modules imported when they were last read; and the supervisor of an earlier count
still has its fork server. The suite may be edited: each child reads it anew, and the supervisor copies it anew. What
else a server has loaded may not: where a file of the environment, of this interpreter or of the harness was changed, no
count is taken here, and all of it ends. It also ends when nobody has asked for some minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from harness.engine import waiting_requests
from harness.engine.client import Beginning
from harness.errors import HarnessError
from harness.system import interpreter, private, processes, sockets, stamps
from harness.waiting import loaded, reused_session
from harness.waiting.reused_session import ReusedSession

#: Runs `harness count` with these arguments, by a session that is begun so; returns its exit status.
Command = Callable[[argparse.Namespace, Beginning], int]
_LINE_BYTES = 1 << 20
_TICK_SECONDS = 5.0
_END_SECONDS = 15.0


@dataclasses.dataclass
class _Child:
    """A child that counts, and who asked for it. `modules` is a file in memory, for what it has imported."""

    pid: int
    pidfd: int
    connection: socket.socket
    modules: int


class WaitingProcess:
    """Listens in a folder for requests of `harness count`, one at a time. It forks a child for each, which runs the
    command with the session that an earlier one has left, and it ends after some minutes in which nobody has asked."""

    def __init__(self, folder: Path, listener: socket.socket, minutes: float, run: Command) -> None:
        self._run = run
        self._folder = folder
        self._identity = _identity(folder)
        self._listener = listener
        self._minutes = minutes
        self._ends = time.monotonic() + 60 * minutes
        self._child: _Child | None = None
        self._ended = False
        self._started_as = waiting_requests.started_as()
        self._places = loaded.places()
        self._stamps = stamps.of(self._places)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def serve(self) -> None:
        """Answer requests until one of them, or the time, ends it; or somebody has removed the folder."""
        while not self._ended and _identity(self._folder) == self._identity:
            if self._child is None and time.monotonic() > self._ends:
                return
            left = _TICK_SECONDS if self._child is not None else max(0.0, self._ends - time.monotonic())
            for key, _ in self._selector.select(min(_TICK_SECONDS, left)):
                key.data()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        descriptors: list[int] = []
        try:
            if private.user_of_peer(connection) == os.getuid():
                connection.settimeout(10)
                line, descriptors = _received(connection)
                self._answer(connection, json.loads(line), descriptors)
        except (OSError, ValueError, KeyError):
            pass  # whoever it is has gone, or is no command of ours
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            if self._child is None or self._child.connection is not connection:
                connection.close()

    def _answer(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        kind = request["request"]
        if kind == "count":
            refused = self._refused(request)
            if refused is None:
                self._minutes = request["arguments"]["wait"] or self._minutes
                self._begin(connection, request, descriptors)
                return
            self._end_unless_it_counts()
            _send(connection, {"refused": refused, "busy": self._child is not None})
        elif kind == "describe":
            _send(connection, self._description())
        elif kind == "make room":
            self._end_unless_it_counts()
            _send(connection, {"busy": self._child is not None})
        elif kind == "stop":
            description = self._description()
            self.end()
            _send(connection, description)

    def _refused(self, request: dict[str, Any]) -> str | None:
        """Why a count is not taken here, as a clause; None if it is."""
        if self._child is not None:
            return "it counts for somebody else"
        differ = [name for name, value in request["started as"].items() if self._started_as.get(name) != value]
        if differ:
            return f"it was started with another {' and another '.join(differ)}"
        changed = stamps.changed(self._stamps, stamps.of(self._places))
        return None if changed is None else f"{changed} was changed since it was started"

    def _description(self) -> dict[str, Any]:
        configuration = reused_session.settings_in(self._folder)
        family = {os.getpid(), *processes.descendants(os.getpid())}
        return {
            "pid": os.getpid(),
            "python": sys.executable,
            "counter": configuration.get("counter"),
            "suite": configuration.get("suite"),
            "counts": self._child is not None,
            "minutes_left": round(max(0.0, self._ends - time.monotonic()) / 60, 1),
            "megabytes": sum(map(processes.own_megabytes, family)),
        }

    # Counting

    def _begin(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        modules = os.memfd_create("modules")
        parent = os.getpid()
        # Until the child has become the command, no signal makes it act as this process would.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            pid = os.fork()
            if pid == 0:
                self._listener.close()
                connection.close()
                session = ReusedSession(self._folder, parent)
                _be_the_command(self._run, request, descriptors, session, modules, self._places)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._child = child = _Child(pid, os.pidfd_open(pid), connection, modules)
        self._selector.register(child.pidfd, selectors.EVENT_READ, self._child_ended)
        self._selector.register(connection, selectors.EVENT_READ, functools.partial(self._asker_left, child))

    def _asker_left(self, child: _Child) -> None:
        """Ctrl-C, most likely: the child is to end."""
        if self._child is child:
            self._selector.unregister(child.connection)
            os.kill(child.pid, signal.SIGTERM)

    def _child_ended(self) -> None:
        child, self._child = self._child, None
        assert child is not None
        self._selector.unregister(child.pidfd)
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.connection)
        os.close(child.pidfd)
        _, status = os.waitpid(child.pid, 0)
        with contextlib.suppress(OSError):
            _send(child.connection, {"status": os.waitstatus_to_exitcode(status)})
        child.connection.close()
        with contextlib.suppress(ChildProcessError):  # the supervisor of a session that was ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        os.lseek(child.modules, 0, os.SEEK_SET)
        with open(child.modules, "rb") as file:
            _import(file.read().decode().split())
        self._ends = time.monotonic() + 60 * self._minutes

    # Ending

    def _end_unless_it_counts(self) -> None:
        if self._child is None:
            self.end()

    def end(self) -> None:
        """End the session, and whatever else is left; whoever asks from now on finds nobody."""
        if self._ended:
            return
        self._ended = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # Its name is free for another from here on.
        folder = self._folder.with_name(f"{self._folder.name}-{os.getpid()}")
        if _identity(self._folder) == self._identity:
            with contextlib.suppress(OSError):
                os.rename(self._folder, folder)
        if self._child is not None:
            os.kill(self._child.pid, signal.SIGTERM)
            with contextlib.suppress(OSError):
                _send(self._child.connection, {"status": 128 + signal.SIGTERM})
        reused_session.end_all(folder)
        shutil.rmtree(folder, ignore_errors=True)
        deadline = time.monotonic() + _END_SECONDS
        while processes.descendants(os.getpid()) and time.monotonic() < deadline:
            time.sleep(0.02)  # each removes what it has made, once its folder is gone
        processes.kill_descendants()
        self._listener.setblocking(False)
        with contextlib.suppress(OSError):
            while True:  # those who came before it had gone
                connection, _ = self._listener.accept()
                with connection:
                    _send(connection, {"refused": "it ended just then", "busy": False})


def _be_the_command(
    run: Command,
    request: dict[str, Any],
    descriptors: list[int],
    session: ReusedSession,
    modules: int,
    looked_at: list[Path],
) -> NoReturn:
    """In a child: run `harness count` as if it had been typed where the request comes from. Write to the file `modules`
    what it has imported of what is looked at for changes."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.setpgid(0, 0)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.environ.clear()
        os.environ.update(request["variables"])
        tempfile.tempdir = None
        os.umask(request["umask"])
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, request["processors"])
        os.chdir(request["folder"])
        known = set(sys.modules)
        arguments = argparse.Namespace(**request["arguments"])
        suite = Path(arguments.benchmarks).resolve().name
        status = run(arguments, session)
        os.write(modules, "\n".join(loaded.imported(known, suite, looked_at)).encode())
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _import(names: list[str]) -> None:
    """Import what the suite's modules import, for the next child; what cannot be imported alone, it will."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from another one of the same name; None where there is none."""
    try:
        facts = os.lstat(folder)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _received(connection: socket.socket) -> tuple[bytes, list[int]]:
    """A line, and the descriptors that came with it."""
    line, descriptors, _, _ = socket.recv_fds(connection, _LINE_BYTES, 3)
    while line and not line.endswith(b"\n"):
        more = connection.recv(_LINE_BYTES)
        if not more:
            break
        line += more
    return line, descriptors


def _send(connection: socket.socket, answer: dict[str, Any]) -> None:
    connection.sendall(json.dumps(answer).encode() + b"\n")


def _listen(folder: Path) -> socket.socket:
    """Listen in `folder`, which is made, in the place of what a process that was killed has left. Raises OSError, where
    somebody listens there too."""
    # Made elsewhere and moved as a whole: there is none whose socket is not there yet.
    made = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    try:
        listener = sockets.listen(made, waiting_requests.SOCKET)
        if folder.is_dir() and not sockets.answers(folder, waiting_requests.SOCKET):
            left = made / "left"
            os.rename(folder, left)
            if sockets.answers(left, waiting_requests.SOCKET):
                os.rename(left, folder)  # it began to listen just then
            else:
                shutil.rmtree(left, ignore_errors=True)
        os.rename(made, folder)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return listener


def main(run: Command) -> None:
    folder, minutes = Path(sys.argv[2]), float(sys.argv[3])
    process = None
    try:
        interpreter.check()
        listener = _listen(folder)
    except (HarnessError, OSError) as error:
        print(error, flush=True)
        sys.exit(1)
    if os.fork() != 0:
        os._exit(0)  # whoever started it waits for this one
    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    try:
        process = WaitingProcess(folder, listener, minutes, run)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        process.serve()
    finally:
        if process is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            process.end()
