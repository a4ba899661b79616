"""How noisy a case is: what was measured, else what its class declares.

Noise is by how much of itself a count moves although nothing that matters changed: the widest change between the memory
layouts in which one commit was counted. `harness noise` measures it on this machine, and it lies in asv's folder. A
suite may come with what was measured elsewhere, in its own folder (scripts/noise.py makes it). Both are files of
figures by case and fingerprint (by_fingerprint.py).
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.engine.environment import COUNTING_RULES
from harness.store.by_fingerprint import Table
from harness.system import asv_folder

_NAME = "noise"
#: No count is held to be quieter than this: its memory layouts were few.
LEAST = 0.0005
#: Counters of one thing: a layout moves what they count alike.
_COUNTS = {"callgrind": "instructions", "readable": "instructions", "frames": "instructions"}


class Source(enum.StrEnum):
    """Where the noise of a case is known from."""

    HERE = "measured"
    ALIKE = "measured in an environment like this"
    DECLARED = "not measured, as the class declares"
    GIVEN = "as asked for"


@dataclasses.dataclass(frozen=True)
class Noise:
    """A part of the count."""

    part: float
    source: Source = Source.DECLARED

    @property
    def measured(self) -> bool:
        return self.source in (Source.HERE, Source.ALIKE)

    @property
    def percent(self) -> str:
        return f"{100 * self.part:.2g} %"

    def __str__(self) -> str:
        return f"{self.percent}, {self.source}"


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured so far: on this machine, and what the suite comes with."""

    here: Table = dataclasses.field(default_factory=lambda: Table(_NAME))
    shipped: Table = dataclasses.field(default_factory=lambda: Table(_NAME))

    @classmethod
    def read(cls, folder: Path, suite: Path | None = None) -> Measured:
        """What lies in asv's folder and in the suite's. Raises SuiteError for what is no such file."""
        here = _read(folder, "remove it, and `harness noise` makes it")
        return cls(here, Table(_NAME) if suite is None else _read(suite, "take the one that the suite's commit has"))

    def write(self, folder: Path) -> None:
        """Write what was measured on this machine into asv's folder. Raises StartError."""
        self.here.write(folder / asv_folder.NOISE)

    def of_these_rules(self) -> Measured:
        """Less what was measured here under other counting rules: nothing can ask for that any more."""
        rules = str(COUNTING_RULES)
        return dataclasses.replace(
            self, here=self.here.under_fingerprints(lambda it: it.get("counting rules") == rules)
        )

    def of(self, case: str, declared: float, facts: Mapping[str, str]) -> Noise:
        """The case's noise under this fingerprint, or under what is known of it: what was measured under exactly this
        one; else the largest that was measured under a fingerprint like it; else what the case's class declares."""
        part = self.here.get(case, facts)
        if part is not None:
            return Noise(max(part, LEAST), Source.HERE)
        for table in (self.here, self.shipped):
            parts = [part for known, part in table.under(case) if _alike(known, facts)]
            if parts:
                return Noise(max(*parts, LEAST), Source.ALIKE)
        return Noise(declared)

    def with_counts(self, case: str, fingerprint: Mapping[str, str], counts: Sequence[float]) -> Measured:
        """What is known once a case was counted in several memory layouts here. A change from nothing tells no part."""
        part = spread(counts)
        if math.isinf(part):
            return self
        return dataclasses.replace(self, here=self.here.with_figure(case, fingerprint, float(f"{part:.3g}")))


def facts_of(counter: str, python: str, machine: str) -> dict[str, str]:
    """What is known of a fingerprint before anything was counted under it, as far as noise hangs on it."""
    return {"counting rules": str(COUNTING_RULES), "counter": counter, "python": python, "machine": machine}


def spread(counts: Sequence[float]) -> float:
    """The widest change between two of these counts, as a part of the smaller one; infinite where that is nothing."""
    least, most = min(counts), max(counts)
    if least == most:
        return 0.0
    return (most - least) / least if least > 0 else math.inf


def _read(folder: Path, cure: str) -> Table:
    path = folder / asv_folder.NOISE
    return Table.read(path, _NAME, cure) if path.exists() else Table(_NAME)


def _alike(facts: Mapping[str, str], others: Mapping[str, str]) -> bool:
    """Whether memory lies alike under both, as far as it moves counts: the same counting rules, processor's
    instructions and Python's version without its last number. Which torch is counted and where everything lies is what
    the layouts of a measurement differ in."""
    return _deciding(facts) == _deciding(others)


def _deciding(facts: Mapping[str, str]) -> tuple[object, ...]:
    counter, python = facts.get("counter", ""), facts.get("python", "")
    rules, machine = facts.get("counting rules"), facts.get("machine")
    return rules, machine, _COUNTS.get(counter, counter), python.split(".")[:2]
