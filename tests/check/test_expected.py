"""The file of expected counts: read, compared, updated, written. Milliseconds."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from harness.check import verdicts
from harness.check.expected import Expected
from harness.check.messages import CaseCounted, CaseFacts
from harness.check.verdicts import CANNOT_TELL, Kind, Sides, judge, status
from harness.errors import StartError, SuiteError
from harness.store.by_fingerprint import OF_THE_COMMIT, key
from harness.store.noise import Noise

CASE = CaseFacts("module.Work", ("device",), ("cpu",), noise=0.01)
OTHER = CaseFacts("module.Other", (), (), noise=0.01)
HERE = {"counter": "readable", "machine": "x86_64", "python of commit": "a" * 40, "binaries": "torch 2.13"}
THERE = {"counter": "readable", "machine": "aarch64"}


def counted(instructions: float | None, fingerprint: dict[str, str] | None = None, **facts: Any) -> CaseCounted:
    return CaseCounted(1, 0, instructions, fingerprint=HERE if fingerprint is None else fingerprint, **facts)


def verdict_of(expected: Expected, head: CaseCounted, case: CaseFacts = CASE) -> verdicts.Verdict:
    base = expected.base(case, head) or counted(None, skipped="absent")
    return judge(case, Sides(base, head, Noise(case.noise), subject=OF_THE_COMMIT))


def made(*heads: tuple[CaseFacts, CaseCounted]) -> Expected:
    expected = Expected()
    for case, head in heads:
        expected, _ = expected.updated(
            [verdict_of(expected, head, case)], {case: head}, [str(each) for each, _ in heads]
        )
    return expected


def test_what_was_written_is_read_and_compared(tmp_path):
    path = tmp_path / "expected.json"
    made((CASE, counted(1000.5))).write(path)
    expected = Expected.read(path)
    assert verdict_of(expected, counted(1000.5)).kind is Kind.UNCHANGED
    assert verdict_of(expected, counted(1100.0)).kind is Kind.REGRESSED
    assert verdict_of(expected, counted(900.0)).kind is Kind.IMPROVED
    assert verdict_of(expected, counted(1.0), OTHER).kind is Kind.NEW
    another = {**HERE, "python of commit": "b" * 40, "binaries": "torch 2.13: 1 native file differs"}
    assert verdict_of(expected, counted(1000.5, another)).kind is Kind.UNCHANGED, "the commit is what may change"


def test_a_fingerprint_that_the_file_lacks_is_never_green():
    verdict = verdict_of(made((CASE, counted(1000.0))), counted(1000.0, THERE))
    assert verdict.kind is Kind.NOT_COMPARABLE and verdict.why == "machine: x86_64 -> aarch64"
    assert verdicts.status([verdict]) == verdicts.CANNOT_TELL


def test_what_is_skipped_here_and_counted_on_another_machine_is_skipped_and_not_gone():
    verdict = verdict_of(made((CASE, counted(1000.0, THERE))), counted(None, {}, skipped="no CUDA device"))
    assert verdict.kind is Kind.SKIPPED and verdict.why == "no CUDA device"
    assert status([verdict, verdict_of(made((OTHER, counted(5.0))), counted(5.0), OTHER)]) == 0


def test_several_machines_stand_side_by_side_a_line_a_case():
    expected = made((OTHER, counted(5.0)), (CASE, counted(1000.0)), (CASE, counted(2000.0, THERE)))
    lines = expected.table.text().splitlines()
    (line,) = (line for line in lines if "module.Work" in line)
    assert json.loads(line.strip().rstrip(",").partition(": ")[2]) == {key(HERE): 1000.0, key(THERE): 2000.0}
    names = [line.split('"')[1] for line in lines if line.startswith('  "module.')]
    assert names == sorted(names) == ["module.Other", "module.Work  device=cpu"]
    assert (
        expected.table.text()
        == made((CASE, counted(2000.0, THERE)), (CASE, counted(1000.0)), (OTHER, counted(5.0))).table.text()
    )
    assert verdict_of(expected, counted(2000.0, THERE)).kind is Kind.UNCHANGED


def test_an_update_rewrites_only_what_moved_beyond_its_noise_and_says_so():
    before = made((CASE, counted(1000.0)), (OTHER, counted(5.0)))
    heads = {CASE: counted(1005.0), OTHER: counted(6.0)}
    after, done = before.updated(
        [verdict_of(before, head, case) for case, head in heads.items()], heads, map(str, heads)
    )
    assert done == ["module.Other  5.00 -> 6.00"]
    assert after.table.get(str(CASE), HERE) == 1000.0 and after.table.get(str(OTHER), HERE) == 6.0
    assert after.updated([verdict_of(after, head, case) for case, head in heads.items()], heads, map(str, heads)) == (
        after,
        [],
    )


def test_what_failed_or_was_skipped_takes_nothing_away():
    before = made((CASE, counted(1000.0)))
    for head in (counted(None, failed="no"), counted(None, skipped="no GPU")):
        assert before.updated([verdict_of(before, head)], {CASE: head}, {str(CASE)}) == (before, [])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no counts"),
        ("[]", "holds no counts"),
        ('{"schema": 2}', "has schema 2; this version of the harness reads 1"),
        (
            '{"schema": 1, "fingerprints": {}, "counts": {"a": {"k": 1}}}',
            "has counts of fingerprints that it lacks: k",
        ),
        ('{"schema": 1, "fingerprints": {"k": {}}, "counts": {"a": {"k": true}}}', "True is no figure"),
        ('{"schema": 1, "fingerprints": {"k": {}}, "counts": {"a": {"k": "5"}}}', "'5' is no figure"),
        ('{"schema": 1, "fingerprints": {"k": {}}, "counts": {"a": {"k": NaN}}}', "nan is no figure"),
    ],
)
def test_what_is_no_such_file_is_a_sentence(tmp_path, text, sentence):
    path = tmp_path / "expected.json"
    path.write_text(text)
    with pytest.raises(SuiteError, match=sentence):
        Expected.read(path)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(SuiteError, match="FileNotFoundError"):
        Expected.read(tmp_path / "nowhere.json")


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "expected.json"
    path.write_text("before")

    def full(*arguments: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StartError, match="could not be written to .*No space left"):
        made((CASE, counted(1.0))).write(path)
    assert path.read_text() == "before" and [each.name for each in tmp_path.glob("*expected*")] == ["expected.json"]


def test_a_case_that_the_suite_lost_is_gone_and_leaves_the_file():
    expected = Expected().updated([], {}, ())[0]
    table = expected.table.with_figure("module.Lost  device=cpu", {"counter": "readable"}, 1000.0)
    expected = Expected(table.with_figure("module.Other", {"counter": "readable"}, 2.0))
    assert expected.lost({"module.Lost  device=cpu", "module.Other", "module.New"}) == []
    (lost,) = expected.lost({"module.Other"})
    assert lost.kind is Kind.GONE and str(lost.case) == "module.Lost  device=cpu"
    assert status([lost]) == CANNOT_TELL
    renewed, done = expected.updated([], {}, {"module.Other"})
    assert list(renewed.table.figures) == ["module.Other"]
    assert done == ["module.Lost  device=cpu  removed: the suite has no such case any more"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "file.json")
    Expected().write(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink() and Expected.read(tmp_path / "file.json") == Expected()
