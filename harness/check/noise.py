"""The counts from which a case's noise follows (see store/noise.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from harness.check.messages import CaseCounted, CaseFacts


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
