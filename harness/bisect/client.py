"""The process that counts commits for a bisection, as the search sees it: start it, ask it for counts, end it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import protocol
from harness.engine.line_process import LineProcess, Words

WORDS = Words(protocol.encode, protocol.decode, protocol.Failed)


class ProbingProcess(LineProcess):
    """A probing process in the environment of `python`. Raises CountError, also while it is asked."""

    def __init__(self, python: str, wanted: protocol.Range) -> None:
        super().__init__(python, "harness.bisect.probing_process", WORDS)
        self.survey: protocol.Survey = self.begin(wanted, protocol.Survey)

    def probe(self, probes: Sequence[protocol.Probe]) -> Iterator[protocol.Probed]:
        """Count them all at once; the answers as they come."""
        for probe in probes:
            self.send(probe)
        for _ in probes:
            yield self.receive(protocol.Probed)
