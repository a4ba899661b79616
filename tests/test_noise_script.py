"""What scripts/noise.py keeps between two runs."""

from __future__ import annotations

import json

import noise
import pytest

from harness.engine.environment import COUNTING_RULES
from harness.store.noise import Measured


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def counted(asked):
    def count(cases: dict[str, None]) -> noise.Run:
        asked.extend(cases)
        return {
            "counts": dict.fromkeys(cases, 7.0),
            "fingerprints": {case: {"counting rules": str(COUNTING_RULES)} for case in cases},
            "failed": {},
        }

    return count


def test_a_layout_that_is_kept_is_counted_for_what_is_missing_only(tmp_path, asked, counted):
    noise.kept(tmp_path, "padding 40", {"one": None}, counted)
    run = noise.kept(tmp_path, "padding 40", {"one": None, "two": None}, counted)
    assert asked == ["one", "two"]
    assert run["counts"] == {"one": 7.0, "two": 7.0} and run["failed"] == {}


def test_what_other_counting_rules_counted_is_counted_anew(tmp_path, asked, counted):
    path = tmp_path / "padding_40.json"
    other = {"counts": {"one": 5.0, "two": 7.0}, "fingerprints": {"one": {"counting rules": str(COUNTING_RULES - 1)}}}
    other["fingerprints"]["two"] = {"counting rules": str(COUNTING_RULES)}
    path.write_text(json.dumps(other))
    assert noise.kept(tmp_path, "padding 40", {"one": None, "two": None}, counted)["counts"]["one"] == 7.0
    assert asked == ["one"]
    assert json.loads(path.read_text())["counts"] == {"one": 7.0, "two": 7.0}


def test_the_suite_keeps_no_noise_that_other_counting_rules_measured(tmp_path):
    old, new = ({"counting rules": str(rules)} for rules in (COUNTING_RULES - 1, COUNTING_RULES))
    Measured().with_counts("one", old, [100, 101]).with_counts("two", old, [100, 101]).write(tmp_path)
    runs = [{"counts": {"one": float(count)}, "fingerprints": {"one": new}, "failed": {}} for count in (100, 102)]
    noise.write(tmp_path, {"as it is": runs[0], "padding 40": runs[1]}, failed=())
    here = Measured.read(tmp_path).here
    assert [part for _, part in here.under("one")] == [0.02] and here.under("two") == []
    assert list(here.fingerprints.values()) == [new]
