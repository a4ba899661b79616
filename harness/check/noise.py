"""How noisy a case is: what was measured under a fingerprint, else what its class declares.

Noise is by how much of itself a count moves although nothing that matters changed: the widest change between the memory
layouts in which one commit was counted. It lies in asv's folder, in noise.json (see by_fingerprint.py).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.check.by_fingerprint import Table
from harness.check.messages import CaseCounted, CaseFacts

_NAME = "noise"
FILE = "noise.json"
#: No count is held to be quieter than this: its memory layouts were few. A comment in two files moved a case by 0.07 %
#: that five layouts had moved by 0.04 %.
LEAST = 0.001


@dataclasses.dataclass(frozen=True)
class Noise:
    """A part of the count, and whether it was measured."""

    part: float
    measured: bool = False

    def __str__(self) -> str:
        return f"{100 * self.part:.2g} %, {'measured' if self.measured else 'as the class declares'}"


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured so far."""

    table: Table = dataclasses.field(default_factory=lambda: Table(_NAME))

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """What lies in asv's folder. Raises SuiteError for what is no such file."""
        path = folder / FILE
        return cls(Table.read(path, _NAME, "remove it, and `harness noise` makes it")) if path.exists() else cls()

    def write(self, folder: Path) -> None:
        """Raises StartError."""
        self.table.write(folder / FILE)

    def of(self, case: CaseFacts, fingerprint: Mapping[str, str]) -> Noise:
        """The case's noise under this fingerprint; what its class declares where that was not measured."""
        part = self.table.get(str(case), fingerprint)
        return Noise(case.noise) if part is None else Noise(max(part, LEAST), measured=True)

    def with_counts(self, case: CaseFacts, fingerprint: Mapping[str, str], counts: Sequence[float]) -> Measured:
        """What is known once a case was counted in several memory layouts. A change from nothing tells no part."""
        part = spread(counts)
        return self if math.isinf(part) else Measured(self.table.with_figure(str(case), fingerprint, part))


@dataclasses.dataclass(frozen=True)
class Layouts:
    """One case's counts in several memory layouts; none where it could not be counted in each of them, and then why it
    was `skipped` or `failed`."""

    case: CaseFacts
    counts: tuple[float, ...] = ()
    skipped: str | None = None
    failed: str | None = None

    @classmethod
    def of(cls, case: CaseFacts, reports: Sequence[CaseCounted]) -> Layouts:
        failed = next((report.failed for report in reports if report.failed is not None), None)
        skipped = next((report.skipped for report in reports if report.skipped is not None), None)
        counts = tuple(report.instructions for report in reports if report.instructions is not None)
        return cls(case, counts if len(counts) == len(reports) else (), skipped, failed)


def spread(counts: Sequence[float]) -> float:
    """The widest change between two of these counts, as a part of the smaller one; infinite where that is nothing."""
    least, most = min(counts), max(counts)
    if least == most:
        return 0.0
    return (most - least) / least if least > 0 else math.inf
