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
import sysconfig
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from harness import cli
from harness.cli import count
from harness.engine import client, waiting
from harness.engine.configuration import Configuration
from harness.engine.sandbox import site_packages
from harness.errors import HarnessError
from harness.system import interpreter, private, processes, stamps

#: Variables of the user that decide what a session is; those of the harness decide it too.
_DECIDE = ("CUDA_VISIBLE_DEVICES", "CXX", "HOME", "LD_LIBRARY_PATH", "PATH", "XDG_CACHE_HOME")
_LINE_BYTES = 1 << 20
_END_SECONDS = 15.0
_SESSION = "session-"
_CONFIGURATION = "configuration.json"


@dataclasses.dataclass
class _Child:
    """A child that counts, and who asked for it. `modules` is where it tells what it has imported."""

    pid: int
    pidfd: int
    connection: socket.socket
    modules: int


class WaitingProcess:
    def __init__(self, folder: Path, listener: socket.socket, minutes: float) -> None:
        self._folder = folder
        self._listener = listener
        self._minutes = minutes
        self._ends = time.monotonic() + 60 * minutes
        self._child: _Child | None = None
        self._ended = False
        self._python = (sys.executable, _of_python(os.environ))
        self._stamps = stamps.of(_loaded_from())
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def serve(self) -> None:
        """Answer requests until one of them, or the time, ends it."""
        while not self._ended and (self._child is not None or time.monotonic() < self._ends):
            for key, _ in self._selector.select(
                max(0.0, self._ends - time.monotonic()) if self._child is None else None
            ):
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
            _send(connection, {"refused": refused})
        elif kind == "tell":
            _send(connection, self._told())
        elif kind == "make room":
            self._end_unless_it_counts()
            _send(connection, {"busy": self._child is not None})
        elif kind == "stop":
            told = self._told()
            self.end()
            _send(connection, told)

    def _refused(self, request: dict[str, Any]) -> str | None:
        """Why a count is not taken here, as a clause; None if it is."""
        if self._child is not None:
            return "it counts for somebody else"
        if (request["python"], _of_python(request["variables"])) != self._python:
            return "it was started with another interpreter, or other variables PYTHON..."
        changed = stamps.changed(self._stamps, stamps.of(_loaded_from()))
        return None if changed is None else f"{changed} was changed since it was started"

    def _told(self) -> dict[str, Any]:
        configuration: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            (kept,) = self._folder.glob(f"{_SESSION}*/{_CONFIGURATION}")
            configuration = json.loads(kept.read_text())["configuration"]
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
        ours, inside = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            self._listener.close()
            connection.close()
            _be_the_command(request, descriptors, inside, _KeptSession(self._folder, parent))
        os.close(inside)
        self._child = child = _Child(pid, os.pidfd_open(pid), connection, ours)
        self._selector.register(child.pidfd, selectors.EVENT_READ, self._child_ended)
        self._selector.register(connection, selectors.EVENT_READ, self._asker_left)

    def _asker_left(self) -> None:
        """Ctrl-C, most likely: the child is to end."""
        assert self._child is not None
        self._selector.unregister(self._child.connection)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child.pid, signal.SIGTERM)

    def _child_ended(self) -> None:
        child, self._child = self._child, None
        assert child is not None
        self._selector.unregister(child.pidfd)
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.connection)
        os.close(child.pidfd)
        _, status = os.waitpid(child.pid, 0)
        with contextlib.suppress(OSError):
            _send(child.connection, {"status": _exit_status(status)})
        child.connection.close()
        with open(child.modules, "rb") as file:
            _import(file.read().decode().split())
        self._ends = time.monotonic() + 60 * self._minutes

    # Ending

    def _end_unless_it_counts(self) -> None:
        if self._child is None:
            self.end()

    def end(self) -> None:
        """End the supervisor, which removes its scratch folder, and whatever else is left."""
        if self._ended:
            return
        self._ended = True
        if self._child is not None:
            os.kill(self._child.pid, signal.SIGTERM)
            with contextlib.suppress(OSError):
                _send(self._child.connection, {"status": 128 + signal.SIGTERM})
        for directory in self._folder.glob(f"{_SESSION}*"):
            shutil.rmtree(directory, ignore_errors=True)
        deadline = time.monotonic() + _END_SECONDS
        while processes.descendants(os.getpid()) and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.02)
        processes.kill_descendants()


class _KeptSession:
    """The session of earlier counts, as the child of the moment sees it; one that was begun with other settings is
    ended, and another begun."""

    def __init__(self, folder: Path, owner: int) -> None:
        self._folder = folder
        self._owner = owner

    @contextlib.contextmanager
    def __call__(self, configuration: Configuration) -> Iterator[Callable[[], Path]]:
        """As client.beginning does it, save that the session outlives the block. Raises StartError."""
        decide = {name: value for name, value in os.environ.items() if name in _DECIDE or name.startswith("HARNESS_")}
        settings = {"configuration": dataclasses.asdict(configuration), "variables": decide}
        text = json.dumps(settings, sort_keys=True)
        for directory in self._folder.glob(f"{_SESSION}*"):
            if _text(directory / _CONFIGURATION) == text and client.answers_in(directory):
                yield functools.partial(Path, directory)
                return
            shutil.rmtree(directory, ignore_errors=True)  # which ends the supervisor there
        # A name of its own: the supervisor that was ended removes the folder that it had once more.
        directory = Path(tempfile.mkdtemp(prefix=_SESSION, dir=self._folder))
        where = dataclasses.replace(configuration, directory=str(directory), owner=self._owner)
        kept = dataclasses.replace(where, remove_directory=True, kept=True)
        process = client.launch(kept)
        ready = client.ready_once(process, kept)
        try:
            yield ready
            ready()  # also where nobody asked for it: all is skipped, say
            (directory / _CONFIGURATION).write_text(text)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise


def _text(file: Path) -> str | None:
    try:
        return file.read_text()
    except OSError:
        return None


def _be_the_command(request: dict[str, Any], descriptors: list[int], modules: int, session: _KeptSession) -> NoReturn:
    """In a child: run `harness count` as if it had been typed where the request comes from."""
    status = 1
    try:
        os.setpgid(0, 0)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.environ.clear()
        os.environ.update(request["variables"])
        tempfile.tempdir = None
        os.chdir(request["folder"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        arguments = argparse.Namespace(**request["arguments"])
        known = set(sys.modules)
        status = cli.carry_out(lambda: count.counted(arguments, session))
        sys.stdout.flush()
        sys.stderr.flush()
        suite = Path(arguments.benchmarks).resolve().name
        new = [name for name in sys.modules if name not in known and name.partition(".")[0] != suite]
        os.write(modules, "\n".join(new).encode())
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _import(names: list[str]) -> None:
    """Import what the suite's modules import, for the next child; what cannot be imported alone, it will."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _loaded_from() -> list[Path]:
    """Where what a server or a child loads lies; the suite is read anew."""
    programs = [shutil.which(name) for name in ("valgrind", "g++")]
    own = [Path(os.path.realpath(sys.executable)), Path(__file__).parent.parent]
    library = Path(sysconfig.get_path("stdlib"))
    inner = [entry for entry in library.iterdir() if entry.name != "site-packages"]
    return [*own, *(Path(program) for program in programs if program), *inner, *site_packages()]


def _of_python(variables: Any) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith("PYTHON")}


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


def _exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def main() -> None:
    folder, minutes = Path(sys.argv[2]), float(sys.argv[3])
    process = None
    try:
        interpreter.check()
        # Made elsewhere and moved as a whole: there is none whose socket is not there yet.
        made = Path(tempfile.mkdtemp(prefix="harness-", dir=folder.parent))
        try:
            os.chdir(made)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(waiting.SOCKET)
            listener.listen()
            os.rename(made, folder)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            raise
        os.chdir("/")
    except (HarnessError, OSError) as error:
        print(error, flush=True)
        sys.exit(1)
    if os.fork() != 0:
        os._exit(0)  # whoever started it waits for this one
    processes.adopt_orphans()
    try:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
        process = WaitingProcess(folder, listener, minutes)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        process.serve()
    finally:
        if process is not None:
            process.end()
        shutil.rmtree(folder, ignore_errors=True)
