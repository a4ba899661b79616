"""Inside valgrind: import once, stay pristine, fork a worker per request.

Started with `main` in a folder of the scratch folder, with three packet sockets: CONTROL brings requests to
`serve` (in C) and takes its answers back; REPORTS carries what the server and every worker has to say. It ends when the
supervisor closes its end of them.

It has three stages (protocol.STAGES), each with a process and a socket for requests of its own. A process that has come
to a stage forks a child, which goes on to the next one, and itself stays and serves this one. So what goes wrong on the
way to a stage concerns only those that need it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import platform
import random
import site
import socket
import sys
import traceback
from typing import Any, NoReturn

from harness import protocol
from harness.errors import HarnessError, StartError
from harness.inside import counters, repeatable, rules, worker


def main() -> None:
    reports = socket.socket(fileno=protocol.REPORTS)
    repeatable.repeat_chance()
    repeatable.repeat_the_clock()
    step = "import what it needs"
    try:
        with open(protocol.SERVER_CONFIGURATION) as file:
            configuration = json.load(file)
        client_requests = importlib.import_module("_client_requests")
        _check(client_requests)
        client_requests.align_arenas()
        client_requests.place_context_variables()
        repeatable.keep_names(configuration["site"])
        repeatable.read_bytecode(configuration["site"], configuration["bytecode"])
        repeatable.place_names(client_requests)
        site.addsitedir(configuration["site"])
        kind, readable = counters.COUNTERS[configuration["counter"]]
        client_requests.go_simulated()  # what it asks valgrind, valgrind must see
        tool = kind(client_requests, configuration["out"], readable)
        client_requests.go_native()
        for module in configuration["import_first"]:
            importlib.import_module(module)
        suite_rules = rules.load(configuration["rules"])
        stages = _Stages(client_requests, reports, tool)
        stages.stay(protocol.BARE, rules.Rules())
        repeatable.renew_for_extensions(client_requests, suite_rules.initialisers)
        repeatable.renew(client_requests)
        with repeatable.mapped_files_without_folders():
            suite_rules.preload()
        stages.go_on_native()
        repeatable.spread_type_versions(client_requests)
        stages.stay(protocol.IMPORTED, suite_rules)
        step = "rehearse"
        repeatable.renew(client_requests)
        with repeatable.mapped_files_without_folders():
            suite_rules.rehearse()
        stages.go_on_native()
    except HarnessError as error:
        give_up(reports, str(error), "")
    except BaseException as error:
        give_up(reports, f"the server could not {step}: {error!r}", traceback.format_exc())
    stages.serve(protocol.REHEARSED, suite_rules, 0)


class _Stages:
    """The server at each of its stages."""

    def __init__(self, client_requests: Any, reports: socket.socket, tool: counters.Counter) -> None:
        self._client_requests = client_requests
        self._reports = reports
        self._tool = tool
        self._told: set[str] = set()
        self._was_simulated = False

    def go_on_native(self) -> None:
        """Code is simulated while there is a thread, and from there on, until this is called."""
        self._was_simulated |= not self._client_requests.is_native()
        self._client_requests.go_native()

    def stay(self, stage: str, suite_rules: rules.Rules) -> None:
        """Stay at this stage and serve it. Return in a child, which is to go on to the next one."""
        parent = os.getpid()
        pid = os.fork()
        if pid != 0:
            for later in protocol.STAGES[protocol.STAGES.index(stage) + 1 :]:
                os.close(protocol.CONTROLS[later])
            self.serve(stage, suite_rules, pid)
        self._client_requests.die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        random.seed(0)  # the module has taken another seed, which it does in every child
        self._client_requests.go_native()
        os.close(protocol.CONTROLS[stage])
        if stage == protocol.IMPORTED:
            self._told.update(self._notes(suite_rules))

    def serve(self, stage: str, suite_rules: rules.Rules, next_pid: int) -> NoReturn:
        """Tell that workers can be forked at this stage, and what was found on the way to it. Fork workers until nobody
        can ask for one any more; in a worker, live its life."""
        found = {} if stage == protocol.BARE else self._versions(suite_rules)
        new = tuple(note for note in self._notes(suite_rules) if note not in self._told)
        self._reports.send(protocol.encode(protocol.Ready(stage, next_pid, found, new)))
        # What lives now lives for ever: no collection in a worker looks at it or writes to its pages.
        gc.collect()
        gc.disable()
        self._client_requests.spread_tables(gc.get_objects())
        gc.freeze()
        request = self._client_requests.serve(protocol.CONTROLS[stage])
        if request is None:
            os._exit(0)
        gc.enable()
        worker.live(
            request, self._reports, self._tool, suite_rules, worker.Process(self._client_requests, repeatable.types)
        )

    def _versions(self, suite_rules: rules.Rules) -> dict[str, str]:
        lack = self._client_requests.native_lack()
        return {
            "python": sys.version,
            "libc": "-".join(platform.libc_ver()),
            "native until counted": "yes" if lack is None else "no",
            **suite_rules.versions(),
        }

    def _notes(self, suite_rules: rules.Rules) -> tuple[str, ...]:
        if os.environ[protocol.GO_NATIVE] != "1":
            return suite_rules.notes()
        lack = self._client_requests.native_lack()
        if lack is not None:
            return (*suite_rules.notes(), f"what is not counted is simulated too, which takes longer: {lack}")
        if self._was_simulated:
            slower = "a part of the server's start was simulated, which takes longer: it made a thread"
            return (*suite_rules.notes(), slower)
        return suite_rules.notes()


def _check(client_requests: Any) -> None:
    """Raises StartError where the interpreter's insides are not as the C sources assume."""
    try:
        client_requests.check_assumptions()
    except RuntimeError as wrong:
        raise StartError(
            f"CPython {platform.python_version()} is not built as counting assumes: {wrong}; use another build of it, "
            "such as your distribution's"
        ) from None


def give_up(reports: socket.socket, sentence: str, details: str) -> NoReturn:
    reports.send(protocol.encode(protocol.Failed(0, sentence, details[-worker.DETAILS_CHARACTERS :])))
    sys.stdout.flush()
    os._exit(1)
