"""The process that counts commits for a bisection, as the search sees it: start it, ask it for counts, end it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.bisect.messages import WORDS, Probe, Probed, Range, Survey
from harness.engine.line_process import LineProcess


class ProbingProcess(LineProcess):
    """A probing process in the environment of `python`. Raises CountError, also while it is asked."""

    def __init__(self, python: str, wanted: Range) -> None:
        super().__init__(python, "harness.bisect.probing_process", WORDS)
        self.survey: Survey = self.begin(wanted, Survey)

    def probe(self, probes: Sequence[Probe]) -> Iterator[Probed]:
        """Count them all at once; the answers as they come."""
        for probe in probes:
            self.send(probe)
        for _ in probes:
            yield self.receive(Probed)
