"""The process that counts commits for a bisection, in the environment that has torch.

Its first line of input is a Range, which it answers with a Survey; every further one is a Probe, answered with a
Probed when it is done, several at once. It ends with its input. Every probe gets a tree of its own, in which the
commit's Python lies over the wheel's binaries, and a session that sees this tree instead of what site-packages hold.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.bisect.messages import WORDS, Point, Probe, Probed, Range, Refused, Survey
from harness.engine import client, line_process
from harness.engine.configuration import memory_layout
from harness.errors import CaseSkipped, HarnessError
from harness.overlay import install, pytorch_files, tree, wheels
from harness.overlay.git import Repository
from harness.overlay.wheels import Wheel
from harness.store.records import Place
from harness.suite.cases import DeclaredWorkload
from harness.suite.counting import ask, configuration_for
from harness.suite.parameters import asv_names
from harness.suite.selection import choose, find


def main() -> None:
    answer = line_process.sender(WORDS)
    try:
        wanted: Range = WORDS.decode(sys.stdin.buffer.readline())
        repository = Repository(Path(wanted.repository))
        workload = find(Path(wanted.suite), wanted.benchmark, wanted.assignments)
        with install.trees() as folder:
            folders = install.TreeFolders(folder)
            answer(look(workload, wanted, repository))
            with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                for line in sys.stdin.buffer:
                    pool.submit(lambda line: answer(_probe(workload, WORDS.decode(line), repository, folders)), line)
    except HarnessError as error:
        answer(Refused(str(error)))


# The range


def look(workload: type[DeclaredWorkload], wanted: Range, repository: Repository) -> Survey:
    """The benchmark and the points of the range. Raises HarnessError."""
    chosen = [workload.case(params) for params in choose(workload, wanted.assignments)]
    return Survey(
        name=workload.benchmark(),
        version=str(workload.version),
        unit=workload.unit,
        declared_noise=workload.noise,
        param_names=tuple(workload.param_names),
        params=tuple(tuple(asv_names(values)) for values in workload.parameters()),
        cases={case.index: case.parameters for case in chosen},
        points=tuple(points(repository, wanted)),
        python=platform.python_version(),
        machine=platform.machine(),
    )


def points(repository: Repository, wanted: Range) -> Iterator[Point]:
    """Every commit on the wheel that it takes. Where that is another than the commit before took, the commit's Python
    on the wheel of before comes first: so what its Python changed and what the binaries changed are two steps."""
    commits = repository.first_parents(wanted.good, wanted.bad)
    touching = repository.touching(wanted.good, wanted.bad, pytorch_files.PACKAGES)
    choose_wheel = _chooser(repository, wanted.wheels)
    shipped: dict[Path, dict[str, str]] = {}
    laid: dict[Path, dict[str, str]] = {}  # by the last commit that was looked at
    before: Wheel | None = None
    for commit in commits:
        wheel = choose_wheel(commit)
        if commit in touching:
            laid.clear()
        for own, on in [(True, wheel)] if before in (None, wheel) else [(False, before), (True, wheel)]:
            assert on is not None
            if on.folder not in shipped:
                shipped[on.folder] = on.files()
            if on.folder not in laid:
                laid[on.folder] = tree.laid_by(repository, commit, shipped[on.folder])
            yield Point(commit, str(on.folder), str(on), tree.digest(laid[on.folder], on), own)
        before = wheel


def _chooser(repository: Repository, wheels_place: str | None) -> Callable[[str], Wheel]:
    """What finds the wheel of a commit."""
    if wheels_place is None:
        pinned = install.pinned()
        return lambda commit: pinned
    files = wheels.named(Path(wheels_place))
    unpacked: dict[wheels.File, Wheel] = {}

    def nearest(commit: str) -> Wheel:
        file = wheels.nearest(repository, commit, files)
        if file not in unpacked:
            unpacked[file] = file.unpack()
        return unpacked[file]

    return nearest


# Probes


def _probe(
    workload: type[DeclaredWorkload], probe: Probe, repository: Repository, folders: install.TreeFolders
) -> Probed:
    counts: dict[int, float] = {}
    failures: dict[int, str] = {}
    notes: list[str] = []
    record = None
    seconds: dict[str, float] = {}
    began = time.monotonic()

    def phase_ends(name: str) -> None:
        nonlocal began
        now = time.monotonic()
        seconds[name] = round(now - began, 3)
        began = now

    folder = folders.lend()
    try:
        record = install.make(repository, probe.commit, wheels.unpacked(Path(probe.wheel)), folder)
        phase_ends("tree")
        settings: dict[str, Any] = {"counter": probe.counter, "cores": 1, "ahead": "nothing", "overlay": str(folder)}
        settings |= memory_layout(probe.memory_layout)
        with client.session(configuration_for(workload, **settings), notes.append) as directory:
            phase_ends("server start")
            for index in probe.cases:
                try:
                    params = workload.product()[index]
                    place = _place_of(probe, workload, params)
                    counts[index] = ask(workload, params, directory, place=place).instructions_per_call
                except CaseSkipped as reason:
                    failures[index] = f"skipped: {reason}"
                except HarnessError as error:
                    failures[index] = str(error)
            phase_ends("count")
        phase_ends("end")
    except (HarnessError, OSError) as error:
        failures.update({index: str(error) for index in probe.cases if index not in counts})
    finally:
        folders.give_back(folder)
    others = tuple(note for note in notes if note != str(record))
    return Probed(probe.serial, counts, failures, record.binaries if record else None, others, seconds)


def _place_of(probe: Probe, workload: type[DeclaredWorkload], params: tuple[object, ...]) -> Place | None:
    if probe.keep is None:
        return None
    return Place(
        Path(probe.keep), probe.commit, probe.environment, workload.benchmark(), workload.case(params).parameters
    )
