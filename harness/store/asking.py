"""Ask a supervisor for a count, and store what it sends back: the count and its profile, or the evidence of a failure.

The files that an answer names last only until the connection is closed, so whoever asks has to store them at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness import protocol
from harness.engine import client
from harness.errors import CaseSkipped, CountError
from harness.store import records


def ask_and_keep(
    ask: protocol.Ask, benchmark: str, directory: Path, place: records.Place | None, facts: records.BenchmarkFacts
) -> protocol.Counted:
    """Ask the supervisor in `directory`, keep what it counted (in `place`, else where asv's variables say), and return
    that. Raises CaseSkipped, and CountError with the worker's traceback and where the evidence lies."""
    labels = ask.case.parameters
    with client.asking(directory, ask) as report:
        if isinstance(report, protocol.Skipped):
            raise CaseSkipped(report.reason)
        if isinstance(report, protocol.Failed):
            raise CountError(_failure(report, benchmark, labels))
        place = place or records.place_of(benchmark, labels)
        if place is not None and ask.metric == protocol.HEADLINE:
            try:
                records.keep(report, place, facts)
            except (OSError, ValueError) as error:
                print(f"the count was taken but its profile could not be kept: {error}", file=sys.stderr)
        return report


def _failure(report: protocol.Failed, benchmark: str, labels: tuple[str, ...]) -> str:
    lines = [report.sentence]
    if report.details:
        lines.append(report.details.rstrip())
    if report.folder is not None:
        try:
            lines.append(f"evidence: {records.keep_evidence(report.folder, benchmark, labels)}")
        except OSError as error:
            lines.append(f"the evidence could not be kept: {error}")
    return "\n".join(lines)


def metric_of(counted: protocol.Counted, metric: str) -> float:
    """One of a run's numbers, by its name `metric`. Raises CountError where the run did not tell it."""
    value = counted.per_call(metric)
    if value is None:
        raise CountError(f"this run told no {metric!r}, only {', '.join([protocol.HEADLINE, *counted.metrics])}")
    return value
