"""The life of a worker.

1. Born by fork from the pristine server, it is handed an Order and an empty folder. It moves there, with its standard
   streams and everything that writes caches, so that no worker sees another's traces.
2. It imports the workload's module, which only now enters the process: what else the suite holds cannot move a count.
3. Its allocators are made as if new. `setup(*params)`, then `warm_up()`, which calls `work` or a smaller one like it.
   Under valgrind, but not counted.
4. `prepare` once more, collect garbage, switch the collector off, make the allocators as if new again.
5. Count `calls` calls of `work`, or the region inside them; read the count. With more than one layout: each time with
   new type versions, settled by as many calls uncounted; the median is the count. A counter that can be read while it
   counts tells further numbers of the same run: the whole, the phases.
6. Count an empty body as often: the overhead.
7. Report, exit. Whatever was raised on the way is reported with its traceback; a worker that dies without a report is
   the supervisor's to explain.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import os
import pkgutil
import random
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from harness import messages
from harness.counter import Counter
from harness.errors import CountError
from harness.rules import Rules

#: A packet must hold a report; a longer traceback loses its beginning.
DETAILS_CHARACTERS = 20_000
_SENTENCE_CHARACTERS = 1_000


@dataclasses.dataclass(frozen=True)
class Memory:
    """How a worker makes its memory the same as every other's: see allocators.c, and renew_type_versions in
    client_requests.c."""

    renew_allocators: Callable[[], None]
    renew_type_versions: Callable[[str], None]


def live(request: bytes, reports: socket.socket, counter: Counter, rules: Rules, memory: Memory) -> NoReturn:
    """Do what `request`, an encoded Order, asks; report; never return."""
    order: messages.Order = messages.decode(request)
    status = 1
    try:
        _move_into(order.folder)
        report = _count(order, counter, rules, memory)
        status = 0
    except BaseException as error:
        report = _failed(order, error)
    try:
        reports.send(messages.encode(report))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _move_into(folder: str) -> None:
    os.chdir(folder)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # the server may have asked for its own
    random.seed(0)


def _count(order: messages.Order, counter: Counter, rules: Rules, memory: Memory) -> messages.Report:
    seconds: dict[str, float] = {}
    phase_began = time.monotonic()

    def phase_ends(name: str) -> None:
        nonlocal phase_began
        now = time.monotonic()
        seconds[name] = round(now - phase_began, 3)
        phase_began = now

    rules.enter_worker(order.folder)
    memory.renew_allocators()
    workload, params = _find(order)
    refused = _lacks(workload.requires) or rules.refuses(dict(zip(workload.param_names, params, strict=False)))
    if refused is not None:
        return messages.Skipped(order.number, refused)
    try:
        workload.setup(*params)
    except NotImplementedError as reason:
        return messages.Skipped(order.number, str(reason) or "setup raised NotImplementedError")
    phase_ends("setup")

    workload.warm_up()
    phase_ends("warm-up")

    try:
        region = rules.regions[workload.region](counter)
    except KeyError:
        known = ", ".join(sorted(rules.regions))
        raise CountError(f"the workload's region is {workload.region!r}; these rules know {known}") from None
    gc.disable()
    for _ in range(workload.layouts):
        if workload.layouts > 1:
            memory.renew_type_versions("__doc__")
            workload.prepare()
            for _ in range(workload.calls):
                workload.work()
        workload.prepare()
        gc.collect()
        memory.renew_allocators()
        region.count(workload.work, workload.calls)
    phase_ends("count")

    region.count_nothing(workload.nothing, workload.calls)
    phase_ends("overhead")

    *readings, nothing = region.read()
    median = sorted(readings, key=lambda reading: reading.total)[(len(readings) - 1) // 2]

    if median.total <= nothing.total:
        raise CountError(
            f"the count is {median.total:,} instructions, that of an empty body {nothing.total:,}: "
            "`work` did nothing that counts"
        )
    return messages.Counted(
        order.number,
        median.total,
        nothing.total,
        workload.calls,
        median.profile,
        seconds,
        layouts=tuple(reading.total for reading in readings),
        numbers={name: count - nothing.numbers.get(name, 0) for name, count in median.numbers.items()},
    )


def _find(order: messages.Order) -> tuple[Any, tuple[Any, ...]]:
    workload = getattr(importlib.import_module(order.module), order.workload)()
    params = workload.product()[order.index]
    workload.built = Path(order.built)
    return workload, params


def _lacks(names: Sequence[str]) -> str | None:
    """Which of these dotted names leads nowhere, and in which version; None if all are there."""
    for name in names:
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            package = name.partition(".")[0]
            version = getattr(importlib.import_module(package), "__version__", "")
            return f"{package} {version} has no {name}"
    return None


def _failed(order: messages.Order, error: BaseException) -> messages.Failed:
    if isinstance(error, CountError):
        return messages.Failed(order.number, str(error), folder=order.folder)
    if isinstance(error, SystemExit):
        sentence = f"the workload called for the exit of the worker (SystemExit {error.code!r})"
    elif isinstance(error, MemoryError):
        sentence = "the worker ran out of memory"
    else:
        sentence = f"the workload raised {type(error).__name__}: {str(error)[:_SENTENCE_CHARACTERS]}"
    return messages.Failed(order.number, sentence, traceback.format_exc()[-DETAILS_CHARACTERS:], order.folder)
