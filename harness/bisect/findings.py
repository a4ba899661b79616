"""What a bisection found, case by case: for people as text, for programs as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from harness.store.noise import Noise

FOUND, NO_CHANGE, CANNOT_TELL = "found", "no change", "cannot tell"
#: The command's exit status. 1 is any error's, 2 that of wrong arguments.
STATUS = {FOUND: 0, NO_CHANGE: 3, CANNOT_TELL: 4}
_FILES_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Change:
    """Two counts of one case, in instructions per call."""

    before: float
    after: float

    @property
    def instructions(self) -> float:
        return self.after - self.before

    @property
    def percent(self) -> float:
        return 100 * self.instructions / self.before

    def __str__(self) -> str:
        return f"{self.before:,.2f} -> {self.after:,.2f}   {self.instructions:+,.2f} ({self.percent:+.3f} %)"

    def facts(self) -> dict[str, float]:
        return {
            "before": self.before,
            "after": self.after,
            "instructions": self.instructions,
            "percent": self.percent,
        }


@dataclasses.dataclass(frozen=True)
class Culprit:
    """A commit that one or several cases changed at, or one of several where those between cannot be counted; or the
    wheel that took another's place there. `files` are what the commit touched, `note` tells on which binaries it was
    counted."""

    commit: str
    subject: str
    files: tuple[str, ...]
    among: tuple[str, ...] = ()
    binaries: tuple[str, str] | None = None
    note: str | None = None

    def lines(self) -> list[str]:
        if self.binaries is not None:
            lines = [f"the binaries: {self.binaries[1]} took the place of {self.binaries[0]} at {self.commit[:10]}"]
        elif self.among:
            lines = [f"one of {len(self.among)} commits, of which only the last can be counted:"]
            lines += [f"  {commit}" for commit in self.among]
        else:
            lines = [f"commit {self.commit}  {self.subject}"]
        lines += [f"  {file}" for file in self.files[:_FILES_SHOWN]]
        if len(self.files) > _FILES_SHOWN:
            lines.append(f"  and {len(self.files) - _FILES_SHOWN} more files")
        return lines

    def facts(self) -> dict[str, Any]:
        return {
            "commit": self.commit,
            "subject": self.subject,
            "files": list(self.files),
            "one of": list(self.among),
            "binaries": list(self.binaries) if self.binaries else None,
            "note": self.note,
        }


@dataclasses.dataclass(frozen=True)
class FoundStep:
    """A step of one case, as `counter` counted it; `elsewhere` is the same in another memory layout, where that was
    counted. `doubt` is why it may be something else, `is_noise` says that it is nothing: it does not show elsewhere."""

    culprit: Culprit
    change: Change
    counter: str
    elsewhere: Change | None = None
    doubt: str | None = None
    is_noise: bool = False

    def lines(self) -> list[str]:
        if self.is_noise:
            shown = f"at {self.culprit.commit[:10]}: {self.change}   {self.counter}"
            return ["noise, since it does not show in another memory layout,", f"  {shown}", *self._elsewhere()]
        doubt = [] if self.doubt is None else [f"  not sure: {self.doubt}"]
        return [*self.culprit.lines(), f"  {self.change}   {self.counter}", *self._elsewhere(), *doubt]

    def _elsewhere(self) -> list[str]:
        return [] if self.elsewhere is None else [f"  {self.elsewhere}   in another memory layout"]

    def facts(self) -> dict[str, Any]:
        return {
            **self.culprit.facts(),
            **self.change.facts(),
            "counter": self.counter,
            "in another memory layout": self.elsewhere.facts() if self.elsewhere else None,
            "doubt": self.doubt,
            "noise": self.is_noise,
        }


@dataclasses.dataclass(frozen=True)
class CaseFinding:
    """The result of a search for one case. `ends` is its change from the first to the last commit that can be counted.
    It is None if there are no two such commits, or if none had to be counted: all have the same files (`same`). `steps`
    are where it changed, and `why` says what limits the answer. A change up to `noise` was taken for none."""

    case: str
    ends: Change | None
    steps: tuple[FoundStep, ...] = ()
    why: str = ""
    same: bool = False
    noise: Noise | None = None

    @property
    def outcome(self) -> str:
        if self.ends is None:
            return NO_CHANGE if self.same else CANNOT_TELL
        steps = [step for step in self.steps if not step.is_noise]
        if not steps:
            return NO_CHANGE
        return FOUND if all(step.doubt is None for step in steps) else CANNOT_TELL

    def lines(self) -> list[str]:
        lines = [f"{self.case}: {self.outcome}" + (f" ({self.why})" if self.why else "")]
        if self.ends is not None:
            lines.append(f"  the range: {self.ends}" + (f"; noise {self.noise}" if self.noise else ""))
        for step in self.steps:
            lines += ["", *(f"  {line}" for line in step.lines())]
        return lines

    def facts(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "outcome": self.outcome,
            "why": self.why,
            "range": self.ends.facts() if self.ends else None,
            "noise": self.noise.part if self.noise else None,
            "noise measured": self.noise.measured if self.noise else None,
            "steps": [step.facts() for step in self.steps],
        }


def lines(findings: list[CaseFinding]) -> Iterator[str]:
    """All of them as text. On which binaries their steps were counted comes last, and once: it is long, and mostly the
    same for every step of every case."""
    notes: dict[str, dict[str, None]] = {}
    for number, finding in enumerate(findings):
        yield from [""] if number else []
        yield from finding.lines()
        for culprit in (step.culprit for step in finding.steps):
            if culprit.note is not None:
                notes.setdefault(culprit.note, {})[culprit.commit[:10]] = None
    yield from [""] if notes else []
    for note, commits in notes.items():
        yield f"{'' if len(notes) == 1 else ', '.join(commits) + ' '}counted on {note}"


def outcome(findings: list[CaseFinding]) -> str:
    """Of all cases together: found if anything was, else the less certain."""
    outcomes = {finding.outcome for finding in findings}
    return next(candidate for candidate in (FOUND, CANNOT_TELL, NO_CHANGE) if candidate in outcomes)
