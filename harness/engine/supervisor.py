"""What stands beside the fork server: answers askers, schedules workers, ends what hangs, leaves nothing behind.

It lives in a folder (asv's cache folder, which is deleted when asv is done) and for an owner (asv's process). When
either is gone, or nothing was asked for an hour where none is to wait longer, its process (supervisor_process.py) kills
everything that descends from it, removes the scratch folder and ends.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import select
import selectors
import socket
import sys
import time
from functools import partial
from pathlib import Path

from harness import protocol
from harness.engine import environment, progress
from harness.engine.case_state import CaseState, remove
from harness.engine.configuration import SOCKET, Configuration
from harness.engine.counters import COUNTER_KINDS
from harness.engine.fork_server import ForkServer, ServerDied, evidence
from harness.engine.needs import BuildProcess, Needs
from harness.engine.notes import ServerNotes
from harness.engine.running_worker import RunningWorker, with_notes
from harness.engine.sandbox import Sandbox
from harness.engine.schedule import Schedule
from harness.engine.source import SuiteCopy
from harness.errors import StartError
from harness.inside import rules
from harness.inside.endings import left_report
from harness.overlay import install, tree
from harness.overlay.tree import SITE
from harness.system import cache, private, processes

_TICK_SECONDS = 0.25
_SILENCE_SECONDS = 3600.0
_START_SECONDS = 900.0
_NOT_READY = f"the fork server was not ready after {_START_SECONDS:.0f} s"


class Supervisor:
    """Takes requests for cases and answers each with its count. It keeps the servers, the workers that count, the
    processes that build, and what has become of each case; one loop (`run`) waits for all of them at once."""

    def __init__(self, configuration: Configuration, sandbox: Sandbox, listener: socket.socket) -> None:
        self._configuration = configuration
        self._sandbox = sandbox
        self._rules = rules.load(configuration.rules)
        laid = Path(configuration.overlay) if configuration.overlay else install.installed()
        self._overlay = None if laid is None else tree.record_in(laid)
        self._kind = COUNTER_KINDS[configuration.counter]
        self._launch = self._kind.launch(sandbox.root)
        self._server: ForkServer | None = None
        self._failed: ForkServer | None = None  # the last one that died, until somebody was told why
        self._ready_by = 0.0
        self._servers_made = self._workers_made = 0
        self._running: dict[int, RunningWorker] = {}
        self._used: dict[socket.socket, list[Path]] = {}
        self._answered_any = False
        self._begin_with_this_suite()
        facts = {**self._launch.facts, **(self._overlay.facts() if self._overlay else {})}
        self._fingerprints = environment.Fingerprints(self._rules, configuration.counter, sandbox.site, facts)
        self._notes = ServerNotes()
        self._reader: int | None = None  # the process of the command that asks
        self._last_heard = time.monotonic()
        self._owner = os.pidfd_open(configuration.owner)
        self._write_event = progress.Journal(configuration.progress).write
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))

    def _begin_with_this_suite(self) -> None:
        """Nothing is known yet of the suite that is copied into the scratch folder."""
        self._copy = SuiteCopy(self._sandbox.site)
        self._schedule = Schedule(whole_suite=self._configuration.ahead == "suite")
        self._states: dict[protocol.Case, CaseState] = collections.defaultdict(CaseState)
        self._needs = Needs(self._sandbox, environment.server_environment(self._sandbox, self._rules))

    # Starting

    def start(self) -> None:
        """Furnish the scratch folder and bring up the first server, so far that it can count something. Raises
        HarnessError."""
        own = Path(self._configuration.overlay, SITE) if self._configuration.overlay else None
        self._sandbox.fill(Path(self._configuration.suite), bool(self._launch.command), own, self._rules)
        self._write_event(progress.encode("server", state="starting"))
        server = self._start_server()
        while not server.serves() and not server.never_serves(protocol.IMPORTED):
            if time.monotonic() > self._ready_by:
                raise StartError(_NOT_READY)
            if self._abandoned():
                raise StartError("whoever started the fork server is gone")
            self._handle_events()
        if not server.serves():
            raise StartError(self._why_not(server))
        self._write_event(progress.encode("server", state="ready"))

    def _start_server(self) -> ForkServer:
        server = ForkServer(self._servers_made, self._sandbox, self._rules, self._configuration, self._launch)
        self._servers_made += 1
        self._server, self._ready_by = server, time.monotonic() + _START_SECONDS
        self._selector.register(server.reports, selectors.EVENT_READ, lambda: self._receive(server))
        return server

    def remarks(self) -> list[str]:
        """What whoever reads the counts should know: what makes them less trustworthy, what they are of, why something
        is built once more. The first server says what it found while it was started; what it says later goes with a
        count."""
        remarks = (self._overlay, cache.doubt(), *self._notes.of_start)
        return [str(note) for note in remarks if note is not None]

    # The loop

    def run(self) -> None:
        """Serve until nobody needs it any more."""
        while not self._abandoned() and (
            self._configuration.reused or time.monotonic() < self._last_heard + _SILENCE_SECONDS
        ):
            self._start_workers()
            self._handle_events()
            self._end_overdue()

    def _handle_events(self) -> None:
        for key, _ in self._selector.select(_TICK_SECONDS):
            if any(key is other for other in self._selector.get_map().values()):  # no event before has ended it
                key.data()
        if self._server is not None and self._server.is_lost():
            self._bury(self._server)

    def _abandoned(self) -> bool:
        owner_gone = bool(select.select([self._owner], [], [], 0)[0])
        return owner_gone or not os.path.exists(os.path.join(self._configuration.directory, SOCKET))

    def _end_overdue(self) -> None:
        for worker in self._running.values():
            if time.monotonic() > worker.deadline and not worker.timed_out:
                worker.timed_out = True
                processes.kill_group(worker.pid)
        self._needs.end_overdue()
        server = self._server
        if server is not None and server.goes_on and time.monotonic() > self._ready_by:
            server.go_no_further(_NOT_READY)
            if not server.serves():
                self._bury(server)

    # Askers

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(10)
        try:
            if private.user_of_peer(connection) != os.getuid():
                raise ValueError("asked by another user")
            with connection.makefile("rb") as lines:
                ask: protocol.Ask = protocol.decode(lines.readline())
        except (OSError, ValueError) as error:
            print(f"an asker was turned away: {error}", file=sys.stderr, flush=True)
            connection.close()
            return
        self._last_heard = time.monotonic()
        reader = private.pid_of_peer(connection)
        if self._configuration.reused and self._reader != reader:
            self._reader = reader
            self._notes.begin_anew()
        edited = self._not_renewed() or self._edited(ask)
        if edited is not None:
            with contextlib.suppress(OSError):
                connection.sendall(protocol.encode(protocol.Failed(0, edited)))
            connection.close()
            return
        order = ask.order if self._configuration.ahead != "nothing" else ()
        if order and not self._answered_any:
            names = [progress.name(case) for case in order]
            self._write_event(progress.encode("order", cases=names, cores=self._configuration.cores))
        state = self._states[ask.case]
        if ask.metric in state.answered or ask.twice:
            self._forget(ask.case)
        state.twice = state.twice or ask.twice
        self._schedule.ask(ask.case, order)
        state.asker, state.metric = connection, ask.metric
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._hang_up(connection))
        self._answer(ask.case)

    def _not_renewed(self) -> str | None:
        """Copy the suite once more, where that is wanted and it was edited; why that failed. Nobody waits for what runs
        ahead of it: who asked before has gone."""
        suite = Path(self._configuration.suite)
        try:
            if not self._configuration.reused or self._sandbox.has(suite):
                return None
            for leader in [*(worker.pid for worker in self._running.values()), *self._needs.leaders()]:
                processes.kill_group(leader)
            while self._running or self._needs.running:
                self._handle_events()
            self._sandbox.renew(suite)
        except OSError as error:
            return f"the edited suite could not be copied: {error}"
        for state in self._states.values():
            remove(state.take_leftovers())
        self._begin_with_this_suite()
        return None

    def _edited(self, ask: protocol.Ask) -> str | None:
        """Why the case is not counted if its text is not the one that the server has: the suite was copied when the
        server started, and a later edit would give its name to a count of what was there before."""
        if ask.source is None or self._copy.digest(ask.source.roots) == ask.source.digest:
            return None
        return (
            f"the text of {ask.case.module}.{ask.case.workload} was edited after the server had started, which still "
            "has the text of before: start anew to count the edited one"
        )

    def _answer(self, case: protocol.Case) -> None:
        """Send the asker of `case` its answer if both are there."""
        report, state = self._schedule.report(case), self._states[case]
        if report is None or state.asker is None:
            return
        connection, state.asker = state.asker, None
        self._schedule.answered(case)
        if state.answered and isinstance(report, protocol.Failed):
            report = dataclasses.replace(report, folder=None)  # the evidence was shown to whoever asked first
        state.answered.add(state.metric)
        self._answered_any = True
        if state.metric == protocol.HEADLINE or isinstance(report, protocol.Failed):
            self._used[connection] = state.take_leftovers()
        with contextlib.suppress(OSError):
            connection.sendall(protocol.encode(self._fingerprints.on(case, report)))

    def _forget(self, case: protocol.Case) -> None:
        """What is known of `case` is used up."""
        self._schedule.forget(case)
        self._states[case].forget_run()

    def _hang_up(self, connection: socket.socket) -> None:
        """The asker has read its answer, or has gone without it."""
        self._selector.unregister(connection)
        connection.close()
        remove(self._used.pop(connection, []))
        for case in [case for case, state in self._states.items() if state.asker is connection]:
            self._states.pop(case).forget_run()
            self._schedule.forget(case)
            for worker in self._running.values():
                if worker.case == case:
                    processes.kill_group(worker.pid)

    # Workers

    def _start_workers(self) -> None:
        if self._configuration.reused and not any(state.asker for state in self._states.values()):
            return
        # After a server's death, one at a time: whoever kills the next one has shown who it was.
        alone = any(state.suspect for state in self._states.values())
        slots = 1 if alone else self._configuration.cores
        while len(self._running) + len(self._needs.running) < slots:
            case = self._schedule.next(self._can_begin)
            if case is None:
                return
            failed = self._server or self._failed
            if failed is not None and failed.never_serves(case.stage):
                self._finish(case, protocol.Failed(0, self._why_not(failed)))
                if self._server is not None and not self._server.serves():
                    self._bury(self._server)  # nothing can be counted by it
                self._failed = None
            elif self._server is None:
                self._schedule.put_back(case)
                self._start_server()
            else:
                self._begin(case, self._server)

    def _can_begin(self, case: protocol.Case) -> bool:
        """Whether there is a server at the case's stage, or one that will never be; or none, which the case would
        start."""
        return self._server is None or self._server.serves(case.stage) or self._server.never_serves(case.stage)

    def _begin(self, case: protocol.Case, server: ForkServer) -> None:
        """Fork a worker, or see first that what the case needs is built."""
        reason = self._needs.outcome(case)
        if reason is not None:
            self._finish(case, protocol.Failed(0, reason))
        elif self._needs.hold(case):
            try:
                for build in self._needs.start(case):
                    self._selector.register(build.pidfd, selectors.EVENT_READ, partial(self._built, build))
            except OSError as error:
                self._finish(case, protocol.Failed(0, f"what the case needs could not be built: {error}"))
        else:
            self._fork(case, server)

    def _built(self, build: BuildProcess) -> None:
        self._selector.unregister(build.pidfd)
        for case in self._needs.ended(build):
            self._schedule.put_back(case)
        self._write_event(progress.encode("built", what=str(build), seconds=time.monotonic() - build.began))

    def _fork(self, case: protocol.Case, server: ForkServer) -> None:
        self._workers_made += 1
        serial = self._workers_made
        try:
            folder = self._sandbox.worker_folder(f"{case.module}.{case.workload}-{case.index}")
            folders, twice = (str(folder), str(self._needs.folder(case))), self._states[case].twice
            order = protocol.Order(serial, case.module, case.workload, case.index, *folders, case.values, twice)
            pid = server.fork(order, case.stage)
            pidfd = os.pidfd_open(pid)
        except ServerDied:
            # It died since its last event was seen: not this case's fault, which another server will count.
            self._bury(server)
            self._schedule.put_back(case)
            return
        except OSError as error:
            self._finish(case, protocol.Failed(serial, f"no worker could be started: {error}"))
            return
        now = time.monotonic()
        worker = RunningWorker(case, server, serial, pid, pidfd, folder, now + case.limit_seconds, now)
        self._running[serial] = worker
        self._write_event(progress.encode("begin", case=progress.name(case)))
        self._selector.register(pidfd, selectors.EVENT_READ, lambda: self._ended(worker))

    def _receive(self, server: ForkServer) -> None:
        if self._server is not server:
            return  # buried since this event was seen
        try:
            report = server.receive()
        except BlockingIOError:
            return  # read since this event was seen
        if report is None:
            self._bury(server)
        elif isinstance(report, protocol.Ready):
            self._notes.learn(report)
            self._fingerprints.learn(report)
        elif report.serial == 0 and isinstance(report, protocol.Failed):
            server.failure = f"{report.sentence}\n{report.details}".strip()
        elif report.serial in self._running:
            self._running[report.serial].report = report

    def _why_not(self, server: ForkServer) -> str:
        """Why this server came to no further stage, and whose Python it had."""
        if self._overlay is None:
            return str(server.failure)
        which = f"This was {self._overlay.suspects}" if server.serves() else self._overlay.does_not_import
        return f"{which}\n{server.failure}"

    def _bury(self, server: ForkServer) -> None:
        """The server is gone, with its workers; the next case starts another."""
        self._selector.unregister(server.reports)
        if server.goes_on and not server.serves():
            server.failure = f"the fork server did not start: {server.last_words()}"
        self._server, self._failed = None, None if server.serves() else server
        server.end()

    def _ended(self, worker: RunningWorker) -> None:
        """A worker has ended, with or without a report."""
        server = worker.server
        while worker.report is None and self._server is server and select.select([server.reports], [], [], 0)[0]:
            self._receive(server)
        self._selector.unregister(worker.pidfd)
        os.close(worker.pidfd)
        del self._running[worker.serial]
        processes.kill_group(worker.pid)  # what the worker started and left behind
        status = worker.server.wait(worker.pid)
        evidence(self._sandbox, worker.pid, worker.folder)
        state = self._states[worker.case]
        state.leftovers += [worker.folder, *self._sandbox.profiles_of(worker.pid)]
        if worker.report is None and status is None and not worker.timed_out and not state.suspect:
            # Its server died, perhaps of another case: it gets a second try.
            state.suspect = True
            self._schedule.put_back(worker.case)
            return
        state.suspect = False
        worker.report = worker.report or left_report(worker.folder) or worker.why_without_report(status)
        if isinstance(worker.report, protocol.Counted):
            worker.report = with_notes(worker.report, self._kind, self._notes.take(worker.case))
        if isinstance(worker.report, protocol.Failed) and self._overlay is not None:
            details = f"{worker.report.details.rstrip()}\nThis was {self._overlay.suspects}"
            worker.report = dataclasses.replace(worker.report, details=details)
        self._write_event(progress.ended(worker.case, worker.report, time.monotonic() - worker.began))
        self._finish(worker.case, worker.report)

    def _finish(self, case: protocol.Case, report: protocol.Report) -> None:
        self._schedule.finish(case, report)
        self._answer(case)

    def end(self) -> None:
        if self._server:
            self._server.end()
        processes.kill_descendants()
