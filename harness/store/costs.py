"""What benchmarks cost to count, read off the counts that are kept. A case's newest count speaks for it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

from harness.errors import SuiteError
from harness.store import records
from harness.store.records import CaseKey, KeptCount


@dataclasses.dataclass(frozen=True)
class Cost:
    """What the counted cases of one benchmark took: `least` and `most` instructions a call, and wall seconds of one
    core, in which they were set up, warmed up and counted."""

    benchmark: str
    cases: int
    least: float
    most: float
    seconds: tuple[float, float, float]


def newest(root: Path, counter: str, bench: str = "") -> list[KeptCount]:
    """The newest count of each case whose benchmark's name has `bench`, a regular expression, in it. `root` is asv's
    folder. Raises SuiteError where nothing is kept, or `bench` is no regular expression."""
    try:
        pattern = re.compile(bench)
    except re.error as error:
        raise SuiteError(f"--bench {bench!r} is no regular expression: {error}") from None
    latest: dict[CaseKey, KeptCount] = {}
    for commit in records.commits(root):
        for count in records.find(root, commit):
            if count.fingerprint.get("counter") == counter and pattern.search(count.case[0]):
                known = latest.get(count.case)
                if known is None or known.kept_at < count.kept_at:
                    latest[count.case] = count
    if not latest:
        raise SuiteError(f"no count by {counter} of any {bench!r} is kept in {root}: `make bench` counts the suite")
    return [latest[case] for case in sorted(latest)]


def costs(counted: Iterable[KeptCount]) -> list[Cost]:
    """By benchmark, in order of their names."""
    groups: dict[str, list[KeptCount]] = {}
    for count in counted:
        groups.setdefault(count.case[0], []).append(count)
    table = []
    for name, group in sorted(groups.items()):
        numbers = [count.record["instructions per call"] for count in group]
        phases = [count.record["seconds"] for count in group]
        seconds = tuple(
            sum(phase.get(key, 0.0) for phase in phases for key in keys)
            for keys in (["setup"], ["warm-up"], ["count", "overhead"])
        )
        table.append(Cost(name, len(group), min(numbers), max(numbers), (seconds[0], seconds[1], seconds[2])))
    return table
