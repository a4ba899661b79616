"""The process that counts commits for a bisection, as the search sees it: start it, ask it for counts, end it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness import protocol
from harness.engine.line_process import LineProcess
from harness.errors import CountError


class ProbingProcess(LineProcess):
    """A probing process in the environment of `python`. Raises CountError, also while it is asked."""

    def __init__(self, python: str, wanted: protocol.Range) -> None:
        super().__init__(python, "harness.bisect.probing_process")
        try:
            self.send_line(protocol.encode(wanted))
            self.survey: protocol.Survey = self._receive()
        except BaseException:
            self.end()
            raise

    def probe(self, probes: Sequence[protocol.Probe]) -> Iterator[protocol.Probed]:
        """Count them all at once; the answers as they come."""
        for probe in probes:
            self.send_line(protocol.encode(probe))
        for _ in probes:
            yield self._receive()

    def _receive(self) -> Any:
        answer = protocol.decode(self.receive_line())
        if isinstance(answer, protocol.Failed):
            raise CountError(answer.sentence)
        return answer
