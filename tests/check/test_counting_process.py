"""The processes that count for a check and for a bisection, asked as those ask them; bytecodes are counted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.bisect.client import ProbingProcess
from harness.bisect.messages import Range
from harness.check.client import CountingProcess
from harness.check.messages import CaseCounted, Chosen, Job, JobDone
from harness.errors import CountError
from tests.conftest import ROOT, SUITES

SUITE = str(SUITES / "plain")


def test_a_job_is_counted_case_by_case(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_TESTS", "1")
    with CountingProcess(sys.executable, Chosen(SUITE, "default", "loops.Loop", trees=False)) as process:
        assert [str(case) for case in process.cases][:2] == [
            "loops.Loop  size=10  kind=list",
            "loops.Loop  size=10  kind=tuple",
        ]
        job = Job(7, None, "c0ffee", None, "opcodes", 0, (0, 1), 1, str(tmp_path), "environment")
        answers = list(process.do([job]))
    assert [type(answer) for answer in answers] == [CaseCounted, CaseCounted, JobDone]
    counts = {answer.case: answer.instructions for answer in answers if isinstance(answer, CaseCounted)}
    assert counts.keys() == {0, 1} and all(counts.values())
    assert len(list(Path(tmp_path).glob("counts/c0ffee/environment/loops.Loop/*/count.json"))) == 2


def test_what_cannot_be_counted_at_all_is_an_error(monkeypatch):
    monkeypatch.setenv("HARNESS_TESTS", "1")
    with pytest.raises(CountError, match=r"--bench '\(' is no regular expression"):
        CountingProcess(sys.executable, Chosen(SUITE, "default", "("))
    wanted = Range(SUITE, "loops.Nothing", (), str(ROOT), "a", "b", None)
    with pytest.raises(CountError, match=r"no benchmark 'loops\.Nothing'"):
        ProbingProcess(sys.executable, wanted)
