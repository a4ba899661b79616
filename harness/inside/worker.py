"""The life of a worker.

1. Born by fork from the pristine server, it is handed an Order and an empty folder. It moves there, with its standard
   streams and everything that writes caches, so that no worker sees another's traces.
2. It imports the workload's module, which only now enters the process: what else the suite holds cannot move a count.
3. Its allocators are made as if new. `setup(*params)`, then `warm_up()`, which calls `work` or a smaller one like it.
   Under valgrind, but not counted.
4. What is hashed by address gets room (tables.c). With more than one layout, what `work` looks up on types gets places
   of its own in Python's cache (type_versions.c).
5. `prepare` once more, collect garbage, switch the collector off (`collect_garbage` leaves it on), make the allocators
   as if new again. Count `calls` calls of `work`, or the region inside them; read the count. With more than one layout
   all of this as often; the median is the count. A counter that can be read while it counts tells further metrics of
   the same run: the whole, the phases.
6. Count an empty body as often: the overhead.
7. What was seen beside the count goes with it: children, threads, timers, and what the counter tells of system calls.
8. Report, exit. Whatever was raised on the way is reported with its traceback; a worker that dies without a report is
   the supervisor's to explain.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib
import os
import random
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from harness import protocol
from harness.errors import CountError
from harness.inside import notes
from harness.inside.counters import Counter
from harness.inside.endings import Endings
from harness.inside.rules import Region, Rules, lacks
from harness.inside.surroundings import Surroundings
from harness.inside.values import representation, unlike

#: A packet must hold a report; a longer traceback loses its beginning.
DETAILS_CHARACTERS = 20_000
_SENTENCE_CHARACTERS = 1_000
#: How often look-ups are placed, the runs each time that show them, the runs in the last arrangement, and the calls in
#: new memory before a count. Always as often, since the interpreter counts calls too. It makes code fit the versions of
#: types, and where that fails tries again later: until then a call of `wrappers.Disable` cost 0.5 % more, in one layout
#: of five.
_ROUNDS = 8
_RUNS = 5
_LAST_RUNS = 25
_SETTLING = 3


@dataclasses.dataclass(frozen=True)
class Process:
    """How a worker makes its memory the same as every other's, and has simulated only what is counted: by the C
    extension (allocators.c, tables.c, type_versions.c, native.c). `types` lists all types that there are."""

    client_requests: Any
    types: Callable[[], tuple[type, ...]]

    def place_lookups(self, workload: Any) -> None:
        """Give each attribute that `work` looks up on a type a place of its own in Python's cache of these. Which there
        are shows in calls; in an arrangement that is new, a call may show more."""
        self.client_requests.know_types(self.types())
        for _ in range(_ROUNDS):
            self._arrange(workload, _RUNS)
            self.client_requests.learn_lookups()
        self._arrange(workload, _LAST_RUNS)

    def _arrange(self, workload: Any, runs: int) -> None:
        """Python makes its code fit the new versions while it runs."""
        self.client_requests.place_type_versions("__doc__")
        for _ in range(runs):
            workload.prepare()
            for _ in range(workload.calls):
                workload.work()

    def renew(self, workload: Any) -> None:
        """Have what comes lie in memory as if new, and what `work` keeps from call to call lie there already."""
        places_are_chosen = workload.layouts > 1
        if places_are_chosen:
            self.client_requests.forget_lookups()  # strings among them would leave room where they lay
        self.client_requests.renew_allocators()
        if places_are_chosen:
            self.client_requests.keep_places_free()
            for _ in range(_SETTLING):
                workload.work()
            workload.prepare()


def live(request: bytes, reports: socket.socket, counter: Counter, rules: Rules, process: Process) -> NoReturn:
    """Do what `request`, an encoded Order, asks; report; never return."""
    order: protocol.Order = protocol.decode(request)
    endings = Endings(order, reports)
    status = 1
    process.client_requests.go_native()  # also where the server has a thread and could not
    try:
        _move_into(order.folder)
        report = _count(order, counter, rules, process, endings)
        status = 0
    except BaseException as error:
        endings.stop_child()
        report = _failed(order, error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the workload may have closed it
            stream.flush()
    endings.report(report, status)


def _move_into(folder: str) -> None:
    os.chdir(folder)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # the server may have asked for its own
    random.seed(0)


def _count(
    order: protocol.Order, counter: Counter, rules: Rules, process: Process, endings: Endings
) -> protocol.Report:
    seconds: dict[str, float] = {}
    phase_began = time.monotonic()

    def phase_ends(name: str) -> None:
        nonlocal phase_began
        now = time.monotonic()
        seconds[name] = round(now - phase_began, 3)
        phase_began = now

    rules.enter_worker(order.folder)
    process.client_requests.renew_allocators()
    workload, params = _find(order)
    refused = lacks(workload.requires) or rules.refuses(dict(zip(workload.param_names, params, strict=False)))
    if refused is not None:
        return protocol.Skipped(order.serial, refused)
    try:
        workload.setup(*params)
    except NotImplementedError as reason:
        return protocol.Skipped(order.serial, str(reason) or "setup raised NotImplementedError")
    phase_ends("setup")

    workload.warm_up()
    phase_ends("warm-up")

    region = _region(workload, rules)(counter)
    gc.disable()
    before: Surroundings | None = None
    process.client_requests.spread_tables(gc.get_objects())
    if workload.layouts > 1:
        process.place_lookups(workload)
    for _ in range(workload.layouts + order.twice):
        workload.prepare()
        before = before or Surroundings.now()
        gc.collect()  # which in 3.15 reads the clock, so before the run begins
        process.renew(workload)
        process.client_requests.go_simulated()
        counter.begin()
        if workload.collect_garbage:
            gc.enable()
        region.count(workload.work, workload.calls)
        gc.disable()
        endings.stop_child()
        process.client_requests.go_native()
    assert before is not None
    after = Surroundings.now()
    phase_ends("count")

    process.client_requests.go_simulated()
    region.count_nothing(workload.nothing, workload.calls)
    process.client_requests.go_native()
    phase_ends("overhead")

    *readings, nothing = region.read()
    again = readings.pop() if order.twice else None
    layouts = tuple(reading.total for reading in readings)
    median = sorted(readings, key=lambda reading: reading.total)[(len(readings) - 1) // 2]

    if median.total <= nothing.total:
        raise CountError(
            f"the count is {median.total:,} instructions, that of an empty body {nothing.total:,}: "
            "`work` did nothing that counts"
        )
    doubts = _doubts(layouts)
    seen = before.seen(after)
    for name, number in median.seen.items():
        seen[name] = max(seen.get(name, 0), number)
    return protocol.Counted(
        order.serial,
        median.total,
        nothing.total,
        workload.calls,
        median.profile,
        seconds,
        layouts=layouts,
        metrics={name: count - nothing.metrics.get(name, 0) for name, count in median.metrics.items()},
        seen={name: number for name, number in seen.items() if number > 0},
        notes=doubts,
        again=None if again is None else again.total,
    )


def _doubts(layouts: tuple[int, ...]) -> tuple[str, ...]:
    """What the counts of the layouts tell of `work`. Raises CountError where none of them is the count of one case."""
    trend, spread = notes.trend(layouts), notes.spread(layouts)
    if trend and spread:
        raise CountError(f"{trend} Its layouts counted {', '.join(f'{total:,}' for total in layouts)}; {spread}")
    return tuple(doubt for doubt in (trend, spread) if doubt)


def _region(workload: Any, rules: Rules) -> type[Region]:
    if workload.region not in rules.regions:
        known = ", ".join(sorted(rules.regions))
        raise CountError(f"the workload's region is {workload.region!r}; these rules know {known}")
    return rules.regions[workload.region]


def _find(order: protocol.Order) -> tuple[Any, tuple[Any, ...]]:
    workload = getattr(importlib.import_module(order.module), order.workload)()
    product = workload.product()
    params = product[order.index] if order.index < len(product) else ()
    reason = unlike(list(map(representation, params)), order.values, workload.param_names)
    if reason is not None:
        raise CountError(reason)
    workload.built = Path(order.built)
    return workload, params


def _failed(order: protocol.Order, error: BaseException) -> protocol.Failed:
    if isinstance(error, CountError):
        return protocol.Failed(order.serial, str(error), folder=order.folder)
    if isinstance(error, SystemExit):
        sentence = f"the workload called for the exit of the worker (SystemExit {error.code!r})"
    elif isinstance(error, MemoryError):
        sentence = "the worker ran out of memory"
    else:
        sentence = f"the workload raised {type(error).__name__}: {str(error)[:_SENTENCE_CHARACTERS]}"
    return protocol.Failed(order.serial, sentence, traceback.format_exc()[-DETAILS_CHARACTERS:], order.folder)
