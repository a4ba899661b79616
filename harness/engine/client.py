"""Outside valgrind: start a supervisor for a folder, ask it for a case, stop it.

asv's `setup_cache` starts one and leaves it; every benchmark process then asks. `harness.count` does all three.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness import protocol
from harness.engine import waiting_requests
from harness.engine.configuration import LOG, SOCKET, Configuration
from harness.errors import CountError, StartError
from harness.system import interpreter, private, sockets

#: What begins a session as `beginning` does.
Beginning = Callable[[Configuration], contextlib.AbstractContextManager[Callable[[], Path]]]
_START_SECONDS = 1000.0
_END_SECONDS = 30.0
#: A file that lies in a supervisor's folder from the first count on.
_SAID = "said"
#: The supervisor is to find this very harness, whichever way it was found here.
_START = "import sys; sys.path.insert(0, sys.argv[1]); from harness.engine.supervisor_process import main; main()"


def warn(note: str) -> None:
    """Tell a note of a supervisor to whoever reads the counts."""
    print(f"harness: {note}", file=sys.stderr)


def start(configuration: Configuration, tell: Callable[[str], None] = warn) -> None:
    """Start a supervisor and its fork server, and wait until cases can be asked for. Whoever reads the counts is to
    know what is given to `tell`. Raises StartError."""
    Starting(configuration, tell)()


def _launch(configuration: Configuration) -> subprocess.Popen[bytes]:
    """Start a supervisor, and do not wait for it. Raises StartError."""
    interpreter.check()
    reason = private.doubt(Path(configuration.directory))
    if reason is not None:
        raise StartError(f"no supervisor is started where somebody else may take its place: {reason}")
    waiting_requests.make_room()
    with open(os.path.join(configuration.directory, LOG), "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(Path(__file__).parent.parent.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:  # where it has died, its log says of what
        process.stdin.write(json.dumps(dataclasses.asdict(configuration)).encode())
    return process


def _wait(process: subprocess.Popen[bytes], directory: Path) -> dict[str, Any]:
    """Wait until a supervisor that was launched can be asked; what it said then. Raises StartError."""
    assert process.stdout is not None
    try:
        if not select.select([process.stdout], [], [], _START_SECONDS)[0]:
            raise StartError(f"the supervisor said nothing for {_START_SECONDS:.0f} s")
        with process.stdout:
            answer = process.stdout.read()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if not answer:
        process.wait()
        raise StartError(f"the supervisor died while starting:\n{_log(directory)}")
    outcome: dict[str, Any] = json.loads(answer)
    if outcome["error"] is not None:
        process.wait()
        raise StartError(outcome["error"])
    return outcome


def running_in(directory: Path) -> bool:
    """Whether a supervisor was started in `directory`."""
    return (directory / SOCKET).exists()


def answers_in(directory: Path) -> bool:
    """Whether a supervisor listens in `directory`."""
    return sockets.answers(directory, SOCKET)


def is_first_count(directory: Path) -> bool:
    """True for the first who asks with this folder: for saying once what holds for all that is counted in it."""
    try:
        os.close(os.open(directory / _SAID, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def asking(directory: Path, ask: protocol.Ask) -> Iterator[protocol.Report]:
    """The answer to `ask`; the files that it names last until the end of the block. Raises CountError."""
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(sockets.connected(directory, SOCKET))
        except OSError as error:
            raise CountError(f"the supervisor in {directory} does not answer ({error})\n{_log(directory)}") from None
        owner = private.user_of_peer(connection)
        if owner != os.getuid():
            raise CountError(
                f"the supervisor in {directory} was started by {private.user(owner)} and is not asked: "
                "count in a folder of your own"
            )
        answer = b""
        with contextlib.suppress(ConnectionError):  # it has ended, too
            connection.sendall(protocol.encode(ask))
            with connection.makefile("rb") as lines:
                answer = lines.readline()
        if not answer:
            raise CountError(f"the supervisor ended before it had counted {ask.case}\n{_log(directory)}")
        yield protocol.decode(answer)


@contextlib.contextmanager
def beginning(configuration: Configuration, tell: Callable[[str], None] = warn) -> Iterator[Starting]:
    """A supervisor of one's own, in a folder of its own, for the length of the block, which begins while that is still
    starting: what is yielded waits until cases can be asked for, and returns the folder.

    `directory`, `remove_directory` and `owner` of the configuration are filled in here. Raises StartError.
    """
    try:
        directory = Path(tempfile.mkdtemp(prefix="harness-session-"))
    except OSError as error:
        raise StartError(f"no temporary folder can be made ({error}): make room, or set TMPDIR") from None
    own = dataclasses.replace(configuration, directory=str(directory), remove_directory=True, owner=os.getpid())
    try:
        starting = Starting(own, tell)
        try:
            yield starting
        finally:
            starting.end()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Starting:
    """A supervisor that is launched, and what waits for it. Raises StartError."""

    def __init__(self, configuration: Configuration, tell: Callable[[str], None] = warn) -> None:
        self.is_ready = False
        self.in_first_scratch_folder = False  # it is not known before it is ready
        self._directory = Path(configuration.directory)
        self._tell = tell
        self._process = _launch(configuration)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __call__(self) -> Path:
        """Wait, the first time, until cases can be asked for; the folder of the supervisor. Raises StartError."""
        if not self.is_ready:
            outcome = _wait(self._process, self._directory)
            self.is_ready, self.in_first_scratch_folder = True, outcome["first"]
            for note in outcome["notes"]:
                self._tell(note)
        return self._directory

    def end(self) -> None:
        """Remove the folder, which ends the supervisor, and wait for that. One that is still starting looks for its
        folder now and then only: it is told to end."""
        if not self.is_ready:
            self._process.terminate()
            self._wait_for_end()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._wait_for_end()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _wait_for_end(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_END_SECONDS)


@contextlib.contextmanager
def session(configuration: Configuration, tell: Callable[[str], None] = warn) -> Iterator[Path]:
    """The same, for a block that begins when cases can be asked for."""
    with beginning(configuration, tell) as ready:
        yield ready()


def _log(directory: Path) -> str:
    try:
        return (directory / LOG).read_text(errors="replace")[-4000:].strip()
    except OSError:
        return ""
