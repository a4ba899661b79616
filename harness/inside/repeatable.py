"""What a server meets that differs from run to run, made the same: chance, the clock, names of files, memory.

None of it is in what is counted. But what a program found while it started is where its objects lie, and that decides
what finding them costs.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import hashlib
import io
import itertools
import os
import random
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from importlib import _bootstrap_external
from typing import Any

_MAPS = "/proc/self/maps"
_QUALIFIED: Any = type.__dict__["__qualname__"]


# Chance and the clock


def repeat_chance() -> None:
    """Let what is drawn by chance be the same in every server."""
    os.urandom = _RepeatedBytes()
    random.Random = _RepeatingRandom  # type: ignore[assignment,misc]
    # Two modules have taken their own: the names of temporary files and folders become keys of tables too, and numpy
    # chooses its seed by `secrets`.
    tempfile._Random = _RepeatingRandom  # type: ignore[attr-defined]
    random._urandom = os.urandom  # type: ignore[attr-defined]
    random.seed(0)


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


def repeat_the_clock() -> None:
    """Let the clocks that measure tick once a call, the same in every worker.

    Compilers note how long their phases take; the arithmetic on large or small durations, and their storage, moved
    counts by 0.001 %. time.monotonic, by which programs wait, stays.
    """
    time.time_ns = itertools.count(1_700_000_000_000_000_000, 1_000_000).__next__
    time.time = itertools.count(1_700_000_000.0, 0.001).__next__
    time.perf_counter_ns = itertools.count(100_000_000_000, 1_000_000).__next__
    time.perf_counter = itertools.count(100.0, 0.001).__next__


# Names of files


def keep_names(folder: str) -> None:
    """What lies in `folder` are links, with the same names in every run. Whoever asks where a path there leads is told
    that it is real: inspect does for every module and keeps the answers in a dict, which moved counts by 0.1 % between
    environments in different places."""
    real = os.path.realpath

    def realpath(path: Any, *arguments: Any, **keywords: Any) -> Any:
        name = os.path.abspath(path)
        within = isinstance(name, str) and name.startswith(f"{folder}/")
        return name if within else real(path, *arguments, **keywords)

    os.path.realpath = realpath  # type: ignore[assignment]


def read_bytecode(site: str, bytecode: str) -> None:
    """Modules in `site` have their bytecode in the folder `bytecode`, under the same names. What lies beside their
    sources follows from how and where they were installed, and moved counts by 0.01 to 0.2 %."""
    beside = _bootstrap_external.cache_from_source

    def cache_from_source(path: Any, *arguments: Any, **keywords: Any) -> Any:
        within = path.startswith(f"{site}/")
        return f"{bytecode}{path[len(site) :]}c" if within else beside(path, *arguments, **keywords)

    _bootstrap_external.cache_from_source = cache_from_source


@contextlib.contextmanager
def mapped_files_without_folders() -> Iterator[None]:
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


# Memory


def place_names(client_requests: Any) -> None:
    """Names in bytecode are interned before Python reads it, at addresses that follow from what they say."""
    read = _bootstrap_external.FileLoader.get_data

    def get_data(loader: Any, path: str) -> bytes:
        data: bytes = read(loader, path)
        if path.endswith(".pyc"):
            client_requests.place_names(data)
        return data

    _bootstrap_external.FileLoader.get_data = get_data  # type: ignore[method-assign, assignment]


def renew(client_requests: Any) -> None:
    """What is allocated from here on lies in new memory, whatever was allocated and freed before."""
    gc.collect()  # which empties Python's lists of free objects, too
    client_requests.renew_allocators()


def renew_for_extensions(client_requests: Any, initialisers: Collection[str]) -> None:
    """From now on the objects that an extension module makes lie in new memory, and so does what comes after them.
    `initialisers` are functions of such modules, by their full names, that make further ones when they are called.

    Many of these objects are keys for ever, such as torch's layouts, and are hashed by where they lie. Where that
    followed from what was imported before, what compiles moved by 0.03 %.
    """
    new = client_requests.renew_allocators
    extensions: Any = _bootstrap_external.ExtensionFileLoader
    create, execute = extensions.create_module, extensions.exec_module

    def create_module(loader: Any, spec: Any) -> Any:
        new()
        return create(loader, spec)

    def exec_module(loader: Any, module: Any) -> None:
        execute(loader, module)
        new()
        for name in initialisers:
            home, _, function = name.rpartition(".")
            if home == module.__name__ and hasattr(module, function):
                setattr(module, function, _between(new, getattr(module, function), new))

    extensions.create_module = create_module
    extensions.exec_module = exec_module


def _between(before: Callable[[], Any], function: Callable[..., Any], after: Callable[[], Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        before()
        result = function(*arguments)
        after()
        return result

    return call


def types() -> tuple[type, ...]:
    """Every type that there is, bases first."""
    known: dict[type, None] = {}
    waiting: list[type] = [object]
    while waiting:
        each = waiting.pop(0)
        if each not in known:
            known[each] = None
            waiting += type.__subclasses__(each)
    return tuple(known)


def spread_type_versions(client_requests: Any) -> None:
    """Which attributes take each other's place in Python's cache follows from the types' names and no longer from what
    else was imported. It moved what compiles by up to 0.2 %."""
    names = {each: full_name(each) for each in types()}
    ordered = sorted(names, key=names.__getitem__)
    client_requests.spread_type_versions(tuple(ordered), tuple(names[each] for each in ordered))


def full_name(each: type) -> str:
    """Where a type lies, without asking a metaclass of it."""
    return f"{each.__dict__.get('__module__')}.{_QUALIFIED.__get__(each)}"
