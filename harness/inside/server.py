"""Inside valgrind: import once, stay pristine, fork a worker per request.

Started with `main` in a folder of the scratch folder, with three packet sockets: CONTROL brings requests to
`serve` (in C) and takes its answers back; REPORTS carries what the server and every worker has to say. It ends when the
supervisor closes its end of them.

It has three stages (protocol.STAGES), each with a process and a socket for requests of its own. A process that has come
to a stage forks a child, which goes on to the next one, and itself stays and serves this one. So what goes wrong on the
way to a stage concerns only those that need it.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import hashlib
import importlib
import io
import itertools
import json
import os
import platform
import random
import re
import site
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from importlib import _bootstrap_external
from typing import Any, NoReturn

from harness import protocol
from harness.errors import HarnessError, StartError
from harness.inside import counters, rules, worker

_MAPS = "/proc/self/maps"
_QUALIFIED: Any = type.__dict__["__qualname__"]


def main() -> None:
    reports = socket.socket(fileno=protocol.REPORTS)
    os.urandom = _RepeatedBytes()
    random.Random = _RepeatingRandom  # type: ignore[assignment,misc]
    # Two modules have taken their own: the names of temporary files and folders become keys of tables too, and numpy
    # chooses its seed by `secrets`.
    tempfile._Random = _RepeatingRandom  # type: ignore[attr-defined]
    random._urandom = os.urandom  # type: ignore[attr-defined]
    random.seed(0)
    _repeat_the_clock()
    step = "import what it needs"
    try:
        with open(protocol.SERVER_CONFIGURATION) as file:
            configuration = json.load(file)
        client_requests = importlib.import_module("_client_requests")
        _check(client_requests)
        client_requests.align_arenas()
        client_requests.place_context_variables()
        _keep_names(configuration["site"])
        _read_bytecode(configuration["site"], configuration["bytecode"])
        _place_names(client_requests)
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
        with _mapped_files_without_folders():
            suite_rules.preload()
        stages.go_on_native()
        _spread_type_versions(client_requests)
        stages.stay(protocol.IMPORTED, suite_rules)
        step = "rehearse"
        with _mapped_files_without_folders():
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
        worker.live(request, self._reports, self._tool, suite_rules, worker.Process(self._client_requests, _types))

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


def _keep_names(folder: str) -> None:
    """What lies in `folder` are links, with the same names in every run. Whoever asks where a path there leads is told
    that it is real: inspect does for every module and keeps the answers in a dict, which moved counts by 0.1 % between
    environments in different places."""
    real = os.path.realpath

    def realpath(path: Any, *arguments: Any, **keywords: Any) -> Any:
        name = os.path.abspath(path)
        within = isinstance(name, str) and name.startswith(f"{folder}/")
        return name if within else real(path, *arguments, **keywords)

    os.path.realpath = realpath  # type: ignore[assignment]


def _read_bytecode(site: str, bytecode: str) -> None:
    """Modules in `site` have their bytecode in the folder `bytecode`, under the same names. What lies beside their
    sources follows from how and where they were installed, and moved counts by 0.01 to 0.2 %."""
    beside = _bootstrap_external.cache_from_source

    def cache_from_source(path: Any, *arguments: Any, **keywords: Any) -> Any:
        within = path.startswith(f"{site}/")
        return f"{bytecode}{path[len(site) :]}c" if within else beside(path, *arguments, **keywords)

    _bootstrap_external.cache_from_source = cache_from_source


def _place_names(client_requests: Any) -> None:
    """Names in bytecode are interned before Python reads it, at addresses that follow from what they say."""
    read = _bootstrap_external.FileLoader.get_data

    def get_data(loader: Any, path: str) -> bytes:
        data: bytes = read(loader, path)
        if path.endswith(".pyc"):
            client_requests.place_names(data)
        return data

    _bootstrap_external.FileLoader.get_data = get_data  # type: ignore[method-assign, assignment]


@contextlib.contextmanager
def _mapped_files_without_folders() -> Iterator[None]:
    """Who opens /proc/self/maps meanwhile reads the names of the libraries, a line each, without their folders.

    torch searches it for a library's name while it is imported. The file holds the real paths of the environment and of
    valgrind's tool: how large a piece of the heap it filled followed from where the user had put them, and so did all
    that was allocated after it. That moved counts by up to 0.2 %.
    """
    real = builtins.open
    # One buffer, always as large: also what is made while reading must not depend on the paths.
    buffer = bytearray(1 << 22)

    def libraries() -> io.StringIO:
        size = 0
        with real(_MAPS, "rb", buffering=0) as maps, memoryview(buffer) as view:
            while count := maps.readinto(view[size:]):
                size += count
        names = dict.fromkeys(re.findall(rb"/([^/\n]*\.so[^/\n]*)\n", buffer))
        return io.StringIO("".join(f"{os.fsdecode(name)}\n" for name in names))

    def opened(file: Any, *arguments: Any, **keywords: Any) -> Any:
        return libraries() if file == _MAPS else real(file, *arguments, **keywords)

    builtins.open = opened
    try:
        yield
    finally:
        builtins.open = real


def _repeat_the_clock() -> None:
    """Let the clocks that measure tick once a call, the same in every worker.

    Compilers note how long their phases take; the arithmetic on large or small durations, and their storage, moved
    counts by 0.001 %. time.monotonic, by which programs wait, stays.
    """
    time.time_ns = itertools.count(1_700_000_000_000_000_000, 1_000_000).__next__
    time.time = itertools.count(1_700_000_000.0, 0.001).__next__
    time.perf_counter_ns = itertools.count(100_000_000_000, 1_000_000).__next__
    time.perf_counter = itertools.count(100.0, 0.001).__next__


def _types() -> tuple[type, ...]:
    """Every type that there is, bases first."""
    types: dict[type, None] = {}
    waiting: list[type] = [object]
    while waiting:
        known = waiting.pop(0)
        if known not in types:
            types[known] = None
            waiting += type.__subclasses__(known)
    return tuple(types)


def _spread_type_versions(client_requests: Any) -> None:
    """Which attributes take each other's place in Python's cache follows from the types' names and no longer from what
    else was imported. It moved what compiles by up to 0.2 %."""
    types = sorted(_types(), key=_full_name)
    client_requests.spread_type_versions(tuple(types), tuple(map(_full_name, types)))


def _full_name(each: type) -> str:
    """Where a type lies, without asking a metaclass of it."""
    return f"{each.__dict__.get('__module__')}.{_QUALIFIED.__get__(each)}"


class _RepeatedBytes:
    """Stands in for os.urandom: the same bytes in every server. torch makes names of uuids while it is imported, and
    where a name lies in a hash table decides what finding it costs."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, size: int) -> bytes:
        self._calls += 1
        return hashlib.shake_128(str(self._calls).encode()).digest(size)


class _RepeatingRandom(random.Random):
    """A generator that, left to choose its own seed, always chooses the same. sympy keeps one, shuffles with it which
    assumption it asks first, and so moved the count of a compiled call by 0.3 % from server to server."""

    def __init__(self, seed: Any = None) -> None:
        super().__init__(0 if seed is None else seed)


def give_up(reports: socket.socket, sentence: str, details: str) -> NoReturn:
    reports.send(protocol.encode(protocol.Failed(0, sentence, details[-worker.DETAILS_CHARACTERS :])))
    sys.stdout.flush()
    os._exit(1)
