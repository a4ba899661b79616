"""What a check found, case by case: counts of both sides -> a verdict. Pure.

A change counts when it is larger than the case's noise. One that is larger, but not by far, may be the memory layout's:
it is counted in other layouts too, and is one only if all of them show it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from harness.check.messages import CaseCounted, CaseFacts
from harness.store.by_fingerprint import OF_THE_COMMIT
from harness.store.noise import Noise

#: A change up to so many times the noise is counted in other memory layouts before it is called anything.
DOUBTFUL = 3
#: Facts of a fingerprint that are the subject of a check, and may differ between its sides.
SUBJECT = (*OF_THE_COMMIT, "torch", "torch commit", "package torch", "package triton")
_PACKAGE = "package "


class Kind(StrEnum):
    """The verdicts, in the order in which they are shown."""

    REGRESSED = "regressed"
    FAILED = "failed"
    NOT_COMPARABLE = "not comparable"
    TOO_SMALL = "too small to tell"
    IMPROVED = "improved"
    NEW = "new"
    GONE = "gone"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"


#: The exit statuses of the command.
NOTHING_REGRESSED, BROKEN, REGRESSED, CANNOT_TELL = 0, 1, 3, 4


@dataclasses.dataclass(frozen=True)
class Change:
    """Two counts of one case, in instructions per call."""

    base: float
    head: float

    @property
    def instructions(self) -> float:
        return self.head - self.base

    @property
    def relative(self) -> float:
        """As a part of the base; infinite for a change from nothing."""
        if self.base:
            return self.instructions / self.base
        return math.copysign(math.inf, self.instructions) if self.instructions else 0.0

    def is_above(self, noise: float) -> bool:
        return abs(self.relative) > noise

    def agrees_with(self, other: Change, noise: float) -> bool:
        """Whether both are above the noise and go the same way."""
        return self.is_above(noise) and other.is_above(noise) and self.instructions * other.instructions > 0


@dataclasses.dataclass(frozen=True)
class Moved:
    """A function that moved: what it executed itself on both sides, in instructions per call."""

    function: str
    place: str
    base: float
    head: float


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a case moved. `view` is python or c. `functions` are those that moved most and `rest` is what all others come
    to; `parts` is by how much each part of the program moved, largest first. `lacking` says why there is none."""

    view: str = ""
    functions: tuple[Moved, ...] = ()
    rest: float = 0.0
    parts: tuple[tuple[str, float], ...] = ()
    lacking: str | None = None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of one case. `change` is there where both sides were counted, and `elsewhere` is the same in other
    memory layouts; a change up to `noise` is none. `why` explains the verdict, where it needs that; `notes` stand
    beside the numbers. Where head alone was counted, `head_alone` is that count, and `head_metrics` are its metrics."""

    case: CaseFacts
    kind: Kind
    noise: Noise
    change: Change | None = None
    elsewhere: tuple[Change, ...] = ()
    why: str = ""
    notes: tuple[str, ...] = ()
    metrics: tuple[tuple[str, Change], ...] = ()
    reason: Reason | None = None
    head_alone: float | None = None
    head_metrics: tuple[tuple[str, float], ...] = ()

    @property
    def head(self) -> float | None:
        """The head's count, None where it was not counted."""
        return self.head_alone if self.change is None else self.change.head

    @property
    def moved(self) -> bool:
        return self.kind in (Kind.REGRESSED, Kind.IMPROVED)


@dataclasses.dataclass(frozen=True)
class Sides:
    """The reports of one case on both sides: in everybody's memory layout, and in others, where that was wanted.
    `noise` is the case's; `subject` are the facts of a fingerprint that may differ."""

    base: CaseCounted
    head: CaseCounted
    noise: Noise
    elsewhere: tuple[tuple[CaseCounted, CaseCounted], ...] = ()
    subject: tuple[str, ...] = SUBJECT

    @property
    def change(self) -> Change | None:
        return _change(self.base, self.head)

    @property
    def differing(self) -> list[str]:
        """The facts that make the two counts not comparable: what was not to be compared, and differs."""
        before, after = self.base.fingerprint, self.head.fingerprint
        names = sorted(name for name in before.keys() | after.keys() if name not in self.subject)
        return [
            f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}"
            for name in names
            if before.get(name) != after.get(name)
        ]


def in_common(pairs: Iterable[Sides]) -> dict[str, str]:
    """The facts that are the same on both sides of every case, less those that tell which commit was counted."""
    fingerprints = [report.fingerprint for pair in pairs for report in (pair.base, pair.head) if report.fingerprint]
    first: Mapping[str, str] = fingerprints[0] if fingerprints else {}
    return {
        name: value
        for name, value in first.items()
        if name not in OF_THE_COMMIT and all(facts.get(name) == value for facts in fingerprints)
    }


def pinned(fingerprint: Mapping[str, str]) -> tuple[str, ...]:
    """The facts that may differ where each commit names what is installed: all packages."""
    return (*SUBJECT, *(name for name in fingerprint if name.startswith(_PACKAGE)))


def packages_apart(base: Mapping[str, str], head: Mapping[str, str]) -> list[str]:
    """The packages that differ between two fingerprints: a line each, such as "torch: 2.12.0 -> 2.13.0"."""
    names = sorted(name for name in base.keys() & head.keys() if name.startswith(_PACKAGE))
    return [
        f"{name.removeprefix(_PACKAGE)}: {base[name]} -> {head[name]}" for name in names if base[name] != head[name]
    ]


def is_doubtful(sides: Sides) -> bool:
    """Whether the case is to be counted in other memory layouts too."""
    change = sides.change
    if change is None or sides.differing:
        return False
    return change.is_above(sides.noise.part) and not change.is_above(DOUBTFUL * sides.noise.part)


def judge(case: CaseFacts, sides: Sides) -> Verdict:
    base, head, change = sides.base, sides.head, sides.change
    if base.failed is not None or head.failed is not None:
        reasons = [f"{side}: {report.failed}" for side, report in (("base", base), ("head", head)) if report.failed]
        return _without_change(case, sides, Kind.FAILED, "\n".join(dict.fromkeys(reasons)))
    if change is None:
        return _without_change(case, sides, *_one_sided(base, head))
    notes = tuple(dict.fromkeys([*base.notes, *head.notes]))
    metrics = tuple(
        (name, Change(base.metrics[name], value)) for name, value in head.metrics.items() if name in base.metrics
    )
    kind, why, elsewhere = _compared(sides, change)
    return Verdict(case, kind, sides.noise, change, elsewhere, why, notes, metrics)


def _without_change(case: CaseFacts, sides: Sides, kind: Kind, why: str) -> Verdict:
    head = sides.head
    metrics = tuple(head.metrics.items())
    return Verdict(case, kind, sides.noise, why=why, head_alone=head.instructions, head_metrics=metrics)


def _one_sided(base: CaseCounted, head: CaseCounted) -> tuple[Kind, str]:
    if base.skipped is not None and head.skipped is not None:
        return Kind.SKIPPED, head.skipped
    if base.skipped is not None:
        return Kind.NEW, f"head counts {head.instructions:,.2f}, base does not: {base.skipped}"
    return Kind.GONE, f"base counts {base.instructions:,.2f}, head does not: {head.skipped}"


def _compared(sides: Sides, change: Change) -> tuple[Kind, str, tuple[Change, ...]]:
    if sides.differing:
        kept = (
            ["one of them was kept from before: --again counts both"]
            if sides.base.earlier != sides.head.earlier
            else []
        )
        return Kind.NOT_COMPARABLE, "; ".join([*sides.differing, *kept]), ()
    noise = sides.noise.part
    moved = Kind.REGRESSED if change.instructions > 0 else Kind.IMPROVED
    if not change.is_above(noise):
        return Kind.UNCHANGED, "", ()
    if change.is_above(DOUBTFUL * noise):
        return moved, "", ()
    changes = [_change(*pair) for pair in sides.elsewhere]
    others = tuple(other for other in changes if other is not None)
    if not changes or len(others) < len(changes):
        failed = [report.failed for pair in sides.elsewhere for report in pair if report.failed]
        reason = failed[0].splitlines()[0] if failed else "it was not counted in another memory layout"
        return Kind.TOO_SMALL, f"above the noise, but not confirmed: {reason}", others
    if all(change.agrees_with(other, noise) for other in others):
        return moved, "", others
    return Kind.TOO_SMALL, "above the noise in one memory layout, and not in each", others


def _change(base: CaseCounted, head: CaseCounted) -> Change | None:
    if base.instructions is None or head.instructions is None:
        return None
    return Change(base.instructions, head.instructions)


def with_reasons(verdicts: Iterable[Verdict], reasons: Sequence[Reason | None]) -> list[Verdict]:
    """Each verdict with its reason."""
    return [dataclasses.replace(verdict, reason=reason) for verdict, reason in zip(verdicts, reasons, strict=True)]


def status(verdicts: Sequence[Verdict]) -> int:
    """The exit status: what is known to be worse comes first, and where nothing was measured nothing is fine."""
    kinds = {verdict.kind for verdict in verdicts}
    if Kind.REGRESSED in kinds:
        return REGRESSED
    if Kind.FAILED in kinds:
        return BROKEN
    measured = kinds & {Kind.UNCHANGED, Kind.IMPROVED}
    if not measured or kinds & {Kind.NOT_COMPARABLE, Kind.TOO_SMALL, Kind.GONE}:
        return CANNOT_TELL
    return NOTHING_REGRESSED


def with_failure(status: int) -> int:
    """The exit status where something could not be done besides: what is known to be worse comes first."""
    return REGRESSED if status == REGRESSED else BROKEN


def status_of_update(verdicts: Sequence[Verdict]) -> int:
    """The exit status where what was counted has become what is expected."""
    kinds = {verdict.kind for verdict in verdicts}
    if Kind.FAILED in kinds:
        return BROKEN
    return NOTHING_REGRESSED if kinds - {Kind.SKIPPED, Kind.GONE} else CANNOT_TELL


def headline(verdicts: Sequence[Verdict]) -> str:
    """All of it in a sentence, such as "2 regressed, 11 unchanged, 1 skipped"."""
    counts = [(kind, sum(verdict.kind is kind for verdict in verdicts)) for kind in Kind]
    return ", ".join(f"{number} {kind}" for kind, number in counts if number) or "nothing was counted"
