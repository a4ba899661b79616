"""The process that counts for a check, as the check sees it: start it, give it jobs, hear what it counts, end it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.check.messages import WORDS, CaseCounted, Cases, Chosen, Job, JobDone
from harness.engine.line_process import LineProcess


class CountingProcess(LineProcess):
    """A counting process in the environment of `python`. Raises CountError, also while it is asked."""

    def __init__(self, python: str, wanted: Chosen) -> None:
        super().__init__(python, "harness.check.counting_process", WORDS)
        answer: Cases = self.begin(wanted, Cases)
        self.cases, self.frames, self.others = answer.cases, answer.frames, answer.others

    def do(self, jobs: Sequence[Job]) -> Iterator[CaseCounted | JobDone]:
        """Count them all at once; what each tells, as it comes, until all are done."""
        for job in jobs:
            self.send(job)
        waiting = {job.serial for job in jobs}
        while waiting:
            answer: CaseCounted | JobDone = self.receive(CaseCounted, JobDone)
            if isinstance(answer, JobDone):
                waiting.discard(answer.serial)
            yield answer
