"""One fork server, as the supervisor sees it: start it, send it requests, receive its reports, end it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import socket
import struct
import subprocess
from pathlib import Path

from harness import protocol
from harness.engine.configuration import Configuration
from harness.engine.counters import Launch
from harness.engine.environment import interpreter, server_environment
from harness.engine.sandbox import Sandbox
from harness.engine.valgrind import reason_in
from harness.errors import HarnessError
from harness.inside.rules import Rules
from harness.system import processes

_ANSWER_SECONDS = 120.0
_REPORT_BYTES = 1 << 18
_ORDER_BYTES = 4096
#: Native before the server's own modules are imported, and with names placed before these have any: see native.c and
#: names.c in inside/.
_START = (
    "import _client_requests as c; c.go_native(); c.place_names(open('names', 'rb').read()); "
    "from harness.inside.server import main; main()"
)


class ServerDied(HarnessError):
    """The fork server ended by itself; the text says how."""


class ForkServer:
    """One server process. Its reports, and those of its workers, arrive on `reports`."""

    def __init__(
        self, serial: int, sandbox: Sandbox, rules: Rules, configuration: Configuration, launch: Launch
    ) -> None:
        #: What the server found, by the stage that it was found at.
        self.ready: dict[str, protocol.Ready] = {}
        #: Why it comes to no further stage. It may go on to serve those that it has come to.
        self.failure: str | None = None
        self._sandbox = sandbox
        controls = {stage: _packets() for stage in protocol.STAGES}
        self._controls = {stage: ours for stage, (ours, _) in controls.items()}
        self.reports, reports_inside = _packets()
        self.reports.setblocking(False)
        self._parents: dict[int, socket.socket] = {}
        self._endings: dict[int, int] = {}  # wait statuses of processes of stages: each can be asked for once
        folder = sandbox.root / f"server{serial}"
        folder.mkdir()
        server_configuration = {
            "site": str(sandbox.site),
            "bytecode": str(sandbox.bytecode),
            "out": str(sandbox.out),
            "rules": configuration.rules,
            "counter": configuration.counter,
            "import_first": list(configuration.import_first),
        }
        # Always as long, so that what is told moves nothing in the server's memory.
        (folder / protocol.SERVER_CONFIGURATION).write_text(json.dumps(server_configuration).ljust(4096))
        (folder / "names").symlink_to(sandbox.names)
        environment = {
            **server_environment(sandbox, rules),
            **launch.environment,
            protocol.GO_NATIVE: str(int(configuration.native and bool(launch.command))),
        }
        if configuration.padding:
            environment["PADDING"] = "x" * configuration.padding
        inside = {protocol.CONTROLS[stage]: end for stage, (_, end) in controls.items()}
        inside[protocol.REPORTS] = reports_inside
        inherited = {serial: end.fileno() for serial, end in inside.items()}
        with open(folder / "output.txt", "wb") as output:
            self.process = subprocess.Popen(
                [*launch.command, *interpreter(_START)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                close_fds=False,
                preexec_fn=lambda: _place(inherited),
                start_new_session=True,
            )
        for end in inside.values():
            end.close()
        self._folder = folder

    def receive(self) -> protocol.Ready | protocol.Report | None:
        """The next report; None when server and workers are all gone. Raises BlockingIOError while there is none."""
        data = self.reports.recv(_REPORT_BYTES)
        if not data:
            return None
        message: protocol.Ready | protocol.Report = protocol.decode(data)
        if isinstance(message, protocol.Ready):
            self.ready[message.stage] = message
        return message

    def serves(self, stage: str = protocol.IMPORTED) -> bool:
        """Whether workers can be forked at this stage. The bare one is there first, and waits for what only the next
        one knows: which build of the library under test is counted."""
        return _served_with(stage) in self.ready

    def never_serves(self, stage: str) -> bool:
        """Whether it failed on the way to this stage, or to one before. The process that goes on to the next stage may
        have failed before the one that stays has said that it serves this one: its end of the socket is open then."""
        if self.failure is None or self.serves(stage):
            return False
        control = self._controls[_served_with(stage)]
        return control.fileno() < 0 or bool(select.select([control], [], [], 0)[0])

    @property
    def goes_on(self) -> bool:
        """Whether it is still on the way to its last stage."""
        return protocol.REHEARSED not in self.ready and self.failure is None

    @property
    def _coming(self) -> tuple[str, str] | None:
        """The last stage that it has come to, and the one that a process is on the way to."""
        for before, coming in itertools.pairwise(protocol.STAGES):
            if before in self.ready and coming not in self.ready:
                return before, coming
        return None

    def is_lost(self) -> bool:
        """Find out whether the process died that was on the way to the next stage: nobody answers at that one then. It
        is a failure of that stage, unless the process died with the one of the stage before: the server is lost."""
        if self._coming is None or not self.goes_on:
            return False
        before, coming = self._coming
        # What it said before its death is to be read first.
        if select.select([self._controls[coming], self.reports], [], [], 0)[0] != [self._controls[coming]]:
            return False
        try:
            words = self._words_after(before)
        except ServerDied:
            return True
        self.failure = f"the fork server died before it was {coming}: {words}"
        return False

    def go_no_further(self, failure: str) -> None:
        """End the process that is on the way to the next stage, which takes too long."""
        self.failure = failure
        if self._coming is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.ready[self._coming[0]].next_pid, signal.SIGKILL)

    def fork(self, order: protocol.Order, stage: str) -> int:
        """Start a worker at a stage, and return its pid. Raises ServerDied, and OSError where the kernel refuses."""
        control = self._controls[stage]
        # Always as long: the number of a worker must not move what lies behind the request in its memory.
        pid = self._request(control, b"F" + protocol.encode(order).ljust(_ORDER_BYTES))
        if pid < 0:
            raise OSError(-pid, f"the fork server could not fork: {os.strerror(-pid)}")
        self._parents[pid] = control
        return pid

    def wait(self, pid: int) -> int | None:
        """The wait status of a worker that has ended; None if the server is not there to tell."""
        try:
            return self._wait(self._parents.pop(pid), pid)
        except ServerDied:
            return None

    def _wait(self, control: socket.socket, pid: int) -> int:
        """Ask the process behind `control` for the wait status of a child. Raises ServerDied."""
        return self._request(control, b"W" + struct.pack("=i", pid))

    def _request(self, control: socket.socket, packet: bytes) -> int:
        try:
            control.send(packet)
            answer = control.recv(4)
        except OSError as error:
            with contextlib.suppress(OSError):
                control.shutdown(socket.SHUT_RDWR)  # a late answer must not be taken for the next one
            raise ServerDied(f"the fork server does not answer ({error})") from None
        if len(answer) != 4:
            raise ServerDied("the fork server ended")
        return int(struct.unpack("=i", answer)[0])

    def last_words(self, stage: str = protocol.BARE) -> str:
        """How the process of a stage ended, once it has, and what it or valgrind said last; where the process of the
        stage before has ended too, how that one did."""
        if stage != protocol.BARE:
            before = protocol.STAGES[protocol.STAGES.index(stage) - 1]
            try:
                return self._words_after(before)
            except (ServerDied, KeyError):
                return self.last_words(before)
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its socket but still runs"
        return self._words(self.process.pid, -code if code < 0 else code << 8)

    def _words_after(self, stage: str) -> str:
        """The same of the process that went on from this stage. Raises ServerDied where its parent is gone too."""
        pid = self.ready[stage].next_pid
        if pid not in self._endings:
            self._endings[pid] = self._wait(self._controls[stage], pid)
        return self._words(pid, self._endings[pid])

    def _words(self, pid: int, status: int) -> str:
        ending = f"it {processes.ending_in_words(status)}" if status >= 0 else "nobody knows how it ended"
        log = self._sandbox.log / str(pid)
        reason = reason_in(log.read_text(errors="replace")) if log.exists() else None
        output = (self._folder / "output.txt").read_text(errors="replace")[-2000:].strip()
        return "; ".join(part for part in (ending, reason, output) if part)

    def end(self) -> None:
        """Kill the server; the processes of its later stages and all workers die with it."""
        self.process.kill()
        self.process.wait()
        for end in (*self._controls.values(), self.reports):
            end.close()


def _served_with(stage: str) -> str:
    """The stage that is to be there before this one is served."""
    return protocol.IMPORTED if stage == protocol.BARE else stage


def _packets() -> tuple[socket.socket, socket.socket]:
    ours, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_ANSWER_SECONDS)
    return ours, inside


def _place(inherited: dict[int, int]) -> None:
    """Before exec: put the inherited sockets where the server looks for them, close the rest, die with the parent."""
    processes.die_with_parent()
    spare = {target: os.dup2(source, 100 + target) for target, source in inherited.items()}
    for target, source in spare.items():
        os.dup2(source, target, inheritable=True)
    os.closerange(max(inherited) + 1, 4096)


def evidence(sandbox: Sandbox, worker: int, folder: Path) -> None:
    """Gather what a worker that failed left elsewhere into its own folder."""
    log = sandbox.log / str(worker)
    if log.exists():
        log.rename(folder / "valgrind.log")
