"""A check whose counting processes are played: what it does when one of them ends. Seconds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from harness.check.client import CountingProcess
from harness.check.messages import WORDS, CaseCounted, CaseFacts, Cases, Job, JobDone, Refused
from harness.check.run import Options, _Counting
from harness.check.sides import BASE, HEAD, Side, Subject
from harness.check.verdicts import Kind, with_reasons
from harness.engine.line_process import LineProcess, Words
from harness.errors import CountError

CASE = CaseFacts("module.Work", (), (), noise=0.004)
Message = CaseCounted | JobDone


class Played:
    """A counting process with one case, which answers a job as `answer` says."""

    cases, others, frames = (CASE,), (), True

    def __init__(self, answer: Callable[[Job], Iterable[Message]]) -> None:
        self._answer = answer

    def do(self, jobs: Sequence[Job]) -> Iterator[Message]:
        for job in jobs:
            yield from self._answer(job)


def counting(folder: Path, **answers: Callable[[Job], Iterable[Message]]) -> _Counting:
    pythons = {name: Side(name, python=name) for name in answers}
    processes = cast("dict[str, CountingProcess]", {name: Played(answer) for name, answer in answers.items()})
    subject = Subject(pythons, folder, folder, lambda counter: counter)
    return _Counting(processes, subject, Options(folder), None)


def counts(instructions: float) -> Callable[[Job], Iterable[Message]]:
    def answer(job: Job) -> Iterable[Message]:
        yield CaseCounted(job.serial, 0, instructions, fingerprint={"counter": job.counter})
        yield JobDone(job.serial, None, ())

    return answer


def raising(error: Exception) -> Callable[[Job], Iterable[Message]]:
    def answer(job: Job) -> Iterable[Message]:
        raise error

    return answer


@pytest.mark.parametrize("error", [CountError("it ended"), ValueError("Expecting value"), AssertionError("it ended")])
def test_any_failure_of_a_counting_process_ends_the_check_with_a_sentence(tmp_path, error):
    made = counting(tmp_path, base=counts(1000.0), head=raising(error))
    with pytest.raises(CountError, match=str(error)):
        made.verdicts()


def test_verdicts_stay_where_the_reasons_cannot_be_counted(tmp_path):
    def dies_later(job: Job) -> Iterable[Message]:
        if job.counter == "frames":
            raise CountError("the process that counts commits ended by itself (status -9): see above")
        return counts(2000.0)(job)

    made = counting(tmp_path, base=counts(1000.0), head=dies_later)
    found = made.verdicts()
    (verdict,) = with_reasons(found, made.reasons(found))
    assert verdict.kind is Kind.REGRESSED and verdict.reason is not None
    assert verdict.reason.lacking == "the process that counts commits ended by itself (status -9): see above"
    assert made.fingerprint == {"counter": "readable"}


def test_the_fingerprint_is_what_both_sides_have_in_common(tmp_path):
    def on(python: str) -> Callable[[Job], Iterable[Message]]:
        def answer(job: Job) -> Iterable[Message]:
            facts = {"counter": job.counter, "python": python}
            yield CaseCounted(job.serial, 0, 1000.0, fingerprint=facts)
            yield JobDone(job.serial, None, ())

        return answer

    made = counting(tmp_path, base=on("3.11"), head=on("3.12"))
    made.verdicts()
    assert made.fingerprint == {"counter": "readable"}


def started(monkeypatch: pytest.MonkeyPatch, lines: bytes) -> CountingProcess:
    """The client of a process that says its cases, then these bytes, and ends."""
    said = WORDS.encode(Cases((CASE,), True)) + lines
    popen = [sys.executable, "-c", f"import os, sys; sys.stdin.readline(); os.write(1, {said!r})"]

    def start(self: LineProcess, python: str, module: str, words: Words) -> None:
        self._words = words
        self._process = subprocess.Popen(popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(LineProcess, "__init__", start)
    return CountingProcess("python", cast(Any, Refused("nobody reads this")))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (b"", "ended by itself"),
        (b'{"kind": "CaseCoun', "ended by itself"),
        (b"not JSON\n", "which is no message"),
        (b'{"kind": "Nothing"}\n', "which is no message"),
        (b"[]\n", "which is no message"),
        (WORDS.encode(Cases((), False)), "answered Cases, which was not asked for"),
    ],
)
def test_what_is_no_answer_is_a_sentence(monkeypatch, lines, sentence):
    job = Job(1, None, HEAD, None, "readable", 0, (0,), 1, "/keep", BASE)
    with started(monkeypatch, lines) as process, pytest.raises(CountError, match=sentence):
        list(process.do([job]))
