"""The process that counts for a check, as the check sees it: start it, give it jobs, hear what it counts, end it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.check.messages import CaseCounted, Cases, Chosen, Job, JobDone, Message, Refused, decode, encode
from harness.engine.line_process import LineProcess
from harness.errors import CountError


class CountingProcess(LineProcess):
    """A counting process in the environment of `python`. Raises CountError, also while it is asked."""

    def __init__(self, python: str, wanted: Chosen) -> None:
        super().__init__(python, "harness.check.counting_process")
        try:
            self.send_line(encode(wanted))
            answer = self._receive()
            assert isinstance(answer, Cases)
            self.cases, self.frames, self.others = answer.cases, answer.frames, answer.others
        except BaseException:
            self.end()
            raise

    def do(self, jobs: Sequence[Job]) -> Iterator[CaseCounted | JobDone]:
        """Count them all at once; what each tells, as it comes, until all are done."""
        for job in jobs:
            self.send_line(encode(job))
        waiting = {job.serial for job in jobs}
        while waiting:
            answer = self._receive()
            assert isinstance(answer, CaseCounted | JobDone)
            if isinstance(answer, JobDone):
                waiting.remove(answer.serial)
            yield answer

    def _receive(self) -> Message:
        answer: Message = decode(self.receive_line())
        if isinstance(answer, Refused):
            raise CountError(answer.sentence)
        return answer
