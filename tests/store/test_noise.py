"""The noise of a case: measured here, measured elsewhere, declared. Milliseconds."""

from __future__ import annotations

import math

import pytest

from harness.engine.environment import COUNTING_RULES
from harness.errors import SuiteError
from harness.store.noise import LEAST, Measured, Noise, Source, facts_of, spread
from harness.system import asv_folder

CASE, DECLARED = "module.Work  device=cpu", 0.01
FACTS = {**facts_of("readable", "3.11.7 (main)", "x86_64"), "torch": "2.13.0", "libc": "glibc-2.36"}
NOTHING = Noise(DECLARED)


def noise(measured: Measured, **facts: str) -> Noise:
    return measured.of(CASE, DECLARED, {**FACTS, **facts})


@pytest.mark.parametrize(
    ("counts", "expected"), [((5, 5), 0), ((100, 101), 0.01), ((101, 100, 102), 0.02), ((0, 0), 0), ((0, 1), math.inf)]
)
def test_noise_is_the_widest_change_between_two_layouts(counts, expected):
    assert spread(counts) == pytest.approx(expected)


def test_what_was_measured_here_is_taken_under_its_fingerprint(tmp_path):
    assert noise(Measured.read(tmp_path)) == NOTHING
    Measured().with_counts(CASE, FACTS, (1000, 1002)).write(tmp_path)
    measured = Measured.read(tmp_path)
    assert noise(measured) == Noise(0.002, Source.HERE) == noise(measured, **{"python of commit": "b" * 40})
    assert str(noise(measured)) == "0.2 %, measured"
    assert str(NOTHING) == "1 %, not measured, as the class declares"


@pytest.mark.parametrize(
    "change", [{"torch": "2.14.0"}, {"libc": "musl"}, {"python": "3.11.9"}, {"counter": "callgrind"}]
)
def test_what_was_measured_under_a_fingerprint_like_it_will_do(change):
    """The largest of several."""
    other, third = {**FACTS, "valgrind": "3.19"}, {**FACTS, "valgrind": "3.20"}
    measured = Measured().with_counts(CASE, other, (1000, 1004)).with_counts(CASE, third, (1000, 1003))
    assert noise(measured, **change) == Noise(0.004, Source.ALIKE)
    assert "measured in an environment like this" in str(noise(measured, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"counting rules": str(COUNTING_RULES - 1)},
        {"python": "3.12.7 (main)"},
        {"machine": "aarch64"},
        {"counter": "opcodes"},
    ],
)
def test_where_memory_may_lie_otherwise_nothing_is_known(change):
    assert noise(Measured().with_counts(CASE, FACTS, (1000, 1002)), **change) == NOTHING


def test_this_machine_comes_before_what_the_suite_has(tmp_path):
    suite = tmp_path / "benchmarks"
    suite.mkdir()
    Measured().with_counts(CASE, {**FACTS, "libc": "another"}, (1000, 1005)).write(suite)
    assert noise(Measured.read(tmp_path, suite)) == Noise(0.005, Source.ALIKE)
    measured = Measured.read(tmp_path, suite).with_counts(CASE, FACTS, (1000, 1002))
    assert noise(measured) == Noise(0.002, Source.HERE)
    measured.write(tmp_path)
    assert "another" not in (tmp_path / asv_folder.NOISE).read_text(), "what the suite has stays there"


def test_a_search_knows_enough_of_a_fingerprint_before_it_counts():
    measured = Measured().with_counts(CASE, FACTS, (1000, 1002))
    assert measured.of(CASE, DECLARED, facts_of("readable", "3.11.9", "x86_64")) == Noise(0.002, Source.ALIKE)


def test_a_case_that_did_not_move_is_not_held_to_be_without_noise():
    assert noise(Measured().with_counts(CASE, FACTS, (1000, 1000))) == Noise(LEAST, Source.HERE)


def test_a_change_from_nothing_is_not_kept_as_noise():
    assert noise(Measured().with_counts(CASE, FACTS, (0, 1000))) == NOTHING


def test_a_file_that_holds_none_is_refused_with_a_cure(tmp_path):
    suite = tmp_path / "benchmarks"
    suite.mkdir()
    (suite / asv_folder.NOISE).write_text("{}")
    with pytest.raises(SuiteError, match="take the one that the suite's commit has"):
        Measured.read(tmp_path, suite)
