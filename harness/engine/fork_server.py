"""One fork server, as the supervisor sees it: start it, send it requests, receive its reports, end it."""

from __future__ import annotations

import dataclasses
import json
import os
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
#: Native before the server's own modules are imported: see inside/native.c.
_START = "import _client_requests as c; c.go_native(); from harness.inside.server import main; main()"


class ServerDied(HarnessError):
    """The fork server ended by itself; the text says how."""


class ForkServer:
    """One server process. Its reports, and those of its workers, arrive on `reports`."""

    def __init__(
        self, serial: int, sandbox: Sandbox, rules: Rules, configuration: Configuration, launch: Launch
    ) -> None:
        #: What the server found, by the stage that it was found at.
        self.ready: dict[str, protocol.Ready] = {}
        self._sandbox = sandbox
        controls = {stage: _packets() for stage in protocol.STAGES}
        self._controls = {stage: ours for stage, (ours, _) in controls.items()}
        self.reports, reports_inside = _packets()
        self.reports.setblocking(False)
        self._parents: dict[int, socket.socket] = {}
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

    def serves(self, stage: str) -> bool:
        """Whether workers can be forked at this stage. The bare one is there first, and waits for what only the next
        one knows: which build of the library under test is counted."""
        return (protocol.IMPORTED if stage == protocol.BARE else stage) in self.ready

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
            return self._request(self._parents.pop(pid), b"W" + struct.pack("=i", pid))
        except ServerDied:
            return None

    def _request(self, control: socket.socket, packet: bytes) -> int:
        try:
            control.send(packet)
            answer = control.recv(4)
        except OSError as error:
            raise ServerDied(f"the fork server does not answer ({error})") from None
        if len(answer) != 4:
            raise ServerDied(f"the fork server ended: {self.last_words()}")
        return int(struct.unpack("=i", answer)[0])

    def last_words(self) -> str:
        """How the server ended, once it has, and what it or valgrind said last."""
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its socket but still runs"
        status = f"it was killed by signal {-code}" if code < 0 else f"it exited with status {code}"
        log = self._sandbox.log / str(self.process.pid)
        reason = reason_in(log.read_text(errors="replace")) if log.exists() else None
        output = (self._folder / "output.txt").read_text(errors="replace")[-2000:].strip()
        return "; ".join(part for part in (status, reason, output) if part)

    def end(self) -> None:
        """Kill the server; its twins and all workers die with it."""
        self.process.kill()
        self.process.wait()
        for end in (*self._controls.values(), self.reports):
            end.close()


@dataclasses.dataclass(frozen=True)
class FailedStart:
    """A server that ended before it had come to its last stage, and the sentence why."""

    server: ForkServer
    sentence: str

    def concerns(self, case: protocol.Case) -> bool:
        """Whether the stage of this case was not reached."""
        return not self.server.serves(case.stage)


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
