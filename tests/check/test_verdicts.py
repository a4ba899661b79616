"""Verdicts and exit statuses: counts in, words out. Milliseconds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from harness.check import verdicts
from harness.check.messages import WORDS, CaseCounted, CaseFacts, Cases, Chosen, Job, JobDone, Refused
from harness.check.noise import Layouts
from harness.check.verdicts import Change, Kind, Sides, Verdict, is_doubtful, judge, status
from harness.store.noise import Noise, Source

CASE = CaseFacts("module.Work", ("device",), ("cpu",), noise=0.01)
ALIKE = {"counter": "readable", "python": "3.11"}


def counted(instructions: float | None = 1000.0, **facts: Any) -> CaseCounted:
    facts.setdefault("fingerprint", ALIKE)
    return CaseCounted(1, 0, instructions, **facts)


def both(base: CaseCounted, head: CaseCounted, *elsewhere: tuple[CaseCounted, CaseCounted]) -> Sides:
    return Sides(base, head, Noise(CASE.noise), elsewhere)


def sides(base: float, head: float, *elsewhere: tuple[float, float]) -> Sides:
    return both(counted(base), counted(head), *((counted(was), counted(is_now)) for was, is_now in elsewhere))


@pytest.mark.parametrize(
    ("head", "elsewhere", "kind"),
    [
        (1000, [], Kind.UNCHANGED),
        (1010, [], Kind.UNCHANGED),  # the noise itself is none
        (990, [], Kind.UNCHANGED),
        (1031, [], Kind.REGRESSED),  # far above it
        (969, [], Kind.IMPROVED),
        (1011, [(2000, 2030), (500, 506)], Kind.REGRESSED),  # seen in every layout
        (989, [(2000, 1970), (500, 494)], Kind.IMPROVED),
        (1011, [(2000, 2030), (500, 505)], Kind.TOO_SMALL),  # one does not show it
        (1011, [(2000, 1970), (500, 506)], Kind.TOO_SMALL),  # one shows the contrary
        (1030, [], Kind.TOO_SMALL),  # nobody looked elsewhere
    ],
)
def test_a_change_is_one_above_the_noise_that_every_layout_shows(head, elsewhere, kind):
    verdict = judge(CASE, sides(1000, head, *elsewhere))
    assert verdict.kind is kind
    assert verdict.change == Change(1000, head)
    assert bool(verdict.why) == (kind is Kind.TOO_SMALL)


@pytest.mark.parametrize(("head", "doubtful"), [(1010, False), (1011, True), (1030, True), (1031, False), (970, True)])
def test_what_is_above_the_noise_but_not_by_far_is_counted_elsewhere(head, doubtful):
    assert is_doubtful(sides(1000, head)) is doubtful


def test_a_count_that_failed_elsewhere_confirms_nothing():
    other = (counted(), counted(None, failed="it broke\nin many lines"))
    verdict = judge(CASE, both(counted(1000), counted(1020), other))
    assert verdict.kind is Kind.TOO_SMALL and verdict.why == "above the noise, but not confirmed: it broke"


def test_sides_that_were_not_counted_alike_are_not_compared():
    apart = both(counted(1000), counted(2000, fingerprint={**ALIKE, "python": "3.12", "torch": "2.14"}))
    verdict = judge(CASE, apart)
    assert verdict.kind is Kind.NOT_COMPARABLE and verdict.why == "python: 3.11 -> 3.12"
    assert not is_doubtful(both(counted(1000), counted(1020, fingerprint={})))


def test_what_is_the_subject_may_differ():
    facts = dict.fromkeys(verdicts.SUBJECT, "another")
    assert judge(CASE, both(counted(), counted(2000, fingerprint={**ALIKE, **facts}))).kind is Kind.REGRESSED


@pytest.mark.parametrize(
    ("base", "head", "kind", "why"),
    [
        ({"failed": "no"}, {}, Kind.FAILED, "base: no"),
        ({}, {"failed": "no"}, Kind.FAILED, "head: no"),
        ({"failed": "a"}, {"failed": "b"}, Kind.FAILED, "base: a\nhead: b"),
        ({"skipped": "s"}, {"failed": "no"}, Kind.FAILED, "head: no"),
        ({"skipped": "s"}, {"skipped": "no GPU"}, Kind.SKIPPED, "no GPU"),
        ({"skipped": "too old"}, {}, Kind.NEW, "head counts 1,000.00, base does not: too old"),
        ({}, {"skipped": "removed"}, Kind.GONE, "base counts 1,000.00, head does not: removed"),
    ],
)
def test_what_one_side_could_not_count(base, head, kind, why):
    def report(facts: dict[str, str]) -> CaseCounted:
        return counted(None, **facts) if facts else counted()

    verdict = judge(CASE, both(report(base), report(head)))
    assert (verdict.kind, verdict.why, verdict.change) == (kind, why, None)


def test_a_case_that_began_to_count_from_nothing_regressed():
    verdict = judge(CASE, sides(0, 5))
    assert verdict.kind is Kind.REGRESSED and math.isinf(Change(0, 5).relative)
    assert judge(CASE, sides(0, 0)).kind is Kind.UNCHANGED


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([Kind.UNCHANGED], 0),
        ([Kind.IMPROVED], 0),
        ([Kind.IMPROVED, Kind.UNCHANGED, Kind.SKIPPED, Kind.NEW], 0),
        ([Kind.UNCHANGED, Kind.GONE], 4),  # what is not counted any more is not known to cost nothing
        ([Kind.REGRESSED, Kind.IMPROVED], 3),
        ([Kind.REGRESSED, Kind.FAILED, Kind.TOO_SMALL], 3),
        ([Kind.FAILED, Kind.UNCHANGED], 1),
        ([Kind.FAILED, Kind.TOO_SMALL], 1),
        ([Kind.TOO_SMALL, Kind.UNCHANGED], 4),
        ([Kind.NOT_COMPARABLE, Kind.UNCHANGED], 4),
        ([Kind.SKIPPED], 4),  # nothing was measured
        ([Kind.NEW], 4),
        ([], 4),
    ],
)
def test_the_exit_status(kinds, expected):
    assert status([Verdict(CASE, kind, Noise(0.01)) for kind in kinds]) == expected


def test_every_message_comes_back_as_it_was_sent():
    job = Job(1, "/clone", "abc", None, "readable", 0, (0, 2), 2, "/keep", "environment", True)
    messages = [
        Chosen("/suite", "quick", "x"),
        Cases((CASE, CaseFacts("b", (), (), 0.1)), True),
        job,
        counted(notes=("a", "b"), metrics={"total": 2.0}, folder="/folder"),
        JobDone(1, None, ("note",)),
        Refused("no"),
    ]
    for message in messages:
        line = WORDS.encode(message)
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        assert WORDS.decode(line) == message


# Noise


def test_a_case_that_one_layout_could_not_count_has_no_noise():
    layouts = Layouts.of(CASE, [counted(5), counted(None, failed="no"), counted(6)])
    assert layouts.counts == () and layouts.failed == "no"
    assert Layouts.of(CASE, [counted(5), counted(6)]).counts == (5, 6)


def test_the_measured_noise_decides():
    quiet = Sides(counted(1000), counted(1003.5), Noise(0.001, Source.HERE))
    assert judge(CASE, quiet).kind is Kind.REGRESSED and judge(CASE, sides(1000, 1003.5)).kind is Kind.UNCHANGED


def test_what_head_alone_was_counted_of_has_its_count():
    absent, head = counted(None, skipped="too old"), counted(1000.0, metrics={"total": 2.0})
    new = judge(CASE, both(absent, head))
    assert (new.kind, new.head, new.head_metrics) == (Kind.NEW, 1000.0, (("total", 2.0),))
    assert judge(CASE, both(counted(None, failed="no"), head)).head == 1000.0
    assert judge(CASE, both(head, absent)).head is None
    assert judge(CASE, sides(1000, 2000)).head == 2000


def test_both_sides_have_in_common_what_is_equal_for_every_case():
    here = {**ALIKE, "python of commit": "a" * 40, "torch": "2.13.0"}
    pairs = [
        both(counted(fingerprint={**here, "stage": "1"}), counted(fingerprint={**here, "stage": "1"})),
        both(counted(fingerprint={**here, "stage": "2"}), counted(fingerprint={**here, "stage": "2", "own": "x"})),
        both(counted(None, fingerprint={}, skipped="no GPU"), counted(None, fingerprint={}, failed="no")),
    ]
    assert verdicts.in_common(pairs) == {**ALIKE, "torch": "2.13.0"}
    apart = both(counted(fingerprint=here), counted(fingerprint={**here, "python": "3.12"}))
    assert verdicts.in_common([*pairs, apart]) == {"counter": "readable", "torch": "2.13.0"}
    assert verdicts.in_common([]) == {}


@pytest.mark.parametrize(("status", "expected"), [(0, 1), (1, 1), (3, 3), (4, 1)])
def test_what_is_worse_comes_before_what_could_not_be_done(status, expected):
    assert verdicts.with_failure(status) == expected


def test_packages_are_the_subject_where_each_commit_pins_them():
    base = counted(fingerprint={**ALIKE, "package numpy": "2.4.5", "package torch": "2.12.0"})
    head = counted(fingerprint={**ALIKE, "package numpy": "2.4.6", "package torch": "2.13.0"})
    assert both(base, head).differing == ["package numpy: 2.4.5 -> 2.4.6"]
    pinned = verdicts.pinned(head.fingerprint)
    assert dataclasses.replace(both(base, head), subject=pinned).differing == []
    apart = verdicts.packages_apart(base.fingerprint, head.fingerprint)
    assert apart == ["numpy: 2.4.5 -> 2.4.6", "torch: 2.12.0 -> 2.13.0"]
    assert verdicts.packages_apart(base.fingerprint, {}) == []
