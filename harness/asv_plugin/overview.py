"""What the first page shows: every case with its count, its history and what is behind it. JSON for site/overview.js;
pure.

    {"project", "digits", "commits": [[hash, seconds, subject], ...],      oldest first
     "rows": [{"benchmark", "environment", "parameters": {name: label}, "asv": [asv's text of each value],
               "counts": [number or null, one a commit], "noise": part of itself,
               "parts": [[part, share], ...], "moved": [function, place, instructions a call], "notes": [...],
               "profile": hash of the newest commit that has one}]}

Counts are in instructions a call. "parts", "moved" and "profile" are of the newest count with a profile, and absent
where there is none; "moved" also where nothing did.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: How many parts a bar shows; what is left is its rest.
_PARTS = 6


@dataclasses.dataclass(frozen=True)
class History:
    """One case in one environment: its parameters by name as people and as asv write them, its count at each of the
    page's commits (None: it was not counted), and by how much of itself it may move although nothing changed."""

    environment: str
    benchmark: str
    parameters: Mapping[str, str]
    asv_texts: tuple[str, ...]
    counts: Sequence[float | None]
    noise: float


@dataclasses.dataclass(frozen=True)
class Detail:
    """What is behind the newest count that has a profile: its commit, shares by part, the function that moved most
    since the count before (name, place, instructions a call), and what stands beside the number."""

    commit: str
    parts: Mapping[str, float]
    moved: tuple[str, str, float] | None
    notes: Sequence[str]


def page(
    project: str,
    digits: int,
    commits: Sequence[tuple[str, int, str]],
    histories: Iterable[History],
    details: Mapping[tuple[str, str, tuple[str, ...]], Detail],
) -> dict[str, Any]:
    """`details` are by environment, benchmark, and what asv lists the case's values as."""
    rows = [
        _row(history, details.get((history.environment, history.benchmark, history.asv_texts)))
        for history in histories
        if any(count is not None for count in history.counts)
    ]
    rows.sort(key=lambda row: (row["benchmark"], list(row["parameters"].values()), row["environment"]))
    return {"project": project, "digits": digits, "commits": [list(commit) for commit in commits], "rows": rows}


def _row(history: History, detail: Detail | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "benchmark": history.benchmark,
        "environment": history.environment,
        "parameters": dict(history.parameters),
        "asv": list(history.asv_texts),
        "counts": list(history.counts),
        "noise": history.noise,
    }
    if detail is None:
        return row
    largest = sorted(detail.parts.items(), key=lambda item: -item[1])[:_PARTS]
    row["parts"] = [[name, round(share, 4)] for name, share in largest]
    row["profile"] = detail.commit
    if detail.notes:
        row["notes"] = list(detail.notes)
    if detail.moved is not None:
        row["moved"] = list(detail.moved)
    return row


def as_count(value: Any) -> float | None:
    """A result of asv's as a count: what failed or was skipped is None or NaN there."""
    return value if isinstance(value, int | float) and not math.isnan(value) else None
