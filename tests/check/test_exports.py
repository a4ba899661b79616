"""What other programs read of a check: pure functions of made-up verdicts. Milliseconds."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from harness.check import exports
from harness.check.sides import Origin, Side
from harness.check.verdicts import Change, Kind
from tests.check.test_formats import FOUND, checked, verdict

#: bencher.dev/bmf.json, in our words: benchmarks by name, measures by name, numbers.
NUMBERS = {key: {"type": "number"} for key in ("value", "lower_value", "upper_value")}
BENCHER = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": NUMBERS,
            "required": ["value"],
            "additionalProperties": False,
        },
    },
}


def test_junit_has_a_test_a_case_and_what_is_not_green_is_not_passed():
    suite = ElementTree.fromstring(exports.as_junit(checked()))
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8",
        "failures": "1",
        "errors": "3",
        "skipped": "1",
    }
    cases = suite.findall("testcase")
    outcomes = [[child.tag for child in case] for case in cases]
    assert outcomes == [["failure"], ["error"], ["error"], ["error"], *3 * [["system-out"]], ["skipped"]]
    failure = cases[0].find("failure")
    assert failure is not None and "+1.11 %" in failure.get("message", "")
    assert "+580  wrap  torch/_dispatch.py" in (failure.text or "")
    assert cases[0].get("classname") == "module.Work" and cases[0].get("name") == "cpu"


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("updated", [None, ("a count",)])
def test_junit_agrees_with_the_exit_status(kind, alone, updated):
    change = None if kind in (Kind.FAILED, Kind.SKIPPED, Kind.NEW, Kind.GONE) else Change(1.0, 2.0)
    others = [] if alone else [verdict(Kind.UNCHANGED, change=Change(1.0, 1.0))]
    found = checked(verdict(kind, change=change), *others, updated=updated)
    suite = ElementTree.fromstring(exports.as_junit(found))
    assert (int(suite.get("failures", 0)) + int(suite.get("errors", 0)) > 0) == (found.status != 0)


def test_junit_takes_what_xml_does_not():
    found = checked(verdict(Kind.FAILED, why="a \x1b[31mred\x00 <word> & more\nline"))
    error = ElementTree.fromstring(exports.as_junit(found)).find("testcase/error")
    assert error is not None and error.get("message") == "a ?[31mred? <word> & more"


def test_pytorchs_records_hold_the_exact_count_beside_the_float():
    records = json.loads(exports.as_pytorch_records(checked()))
    names = [record["metric"]["name"] for record in records]
    assert names.count("instructions") == sum(found.change is not None for found in FOUND) and names.count("total") == 1
    near = next(record for record in records if record["model"]["name"].startswith("module.Near"))
    assert near["metric"]["benchmark_values"] == [1_000_001.0]
    assert near["metric"]["extra_info"]["exact"] == "1000001.0"
    for record in records:
        maps = [record["benchmark"], record["model"], record["metric"], record["dependencies"]["pytorch"]]
        for owner in maps:
            assert all(isinstance(value, str) for value in owner["extra_info"].values()), "the database keeps text"


def test_pytorchs_records_say_what_was_counted():
    def told(**changes: Any) -> Any:
        return json.loads(exports.as_pytorch_records(checked(FOUND[0], **changes)))[0]["dependencies"]

    edited = told()["pytorch"]
    assert (edited["repo"], edited["sha"]) == ("someone/pytorch", "a" * 40), "the hash of a snapshot is nobody's"
    assert edited["extra_info"]["edits"] == "the working tree, with edits"
    pins = Origin("torch-instruction-suite", "owner/suite", "c" * 40)
    (listed,) = told(head=Side("x", commit="c" * 40, origin=pins)).items()
    assert listed[0] == "torch-instruction-suite" and "edits" not in listed[1]["extra_info"]
    assert (listed[1]["repo"], listed[1]["sha"]) == ("owner/suite", "c" * 40)
    environment = told(head=Side("x", origin=Origin("pytorch", commit="d" * 40, version="2.14.0")))["pytorch"]
    assert (environment["repo"], environment["sha"], environment["version"]) == ("", "d" * 40, "2.14.0")


def test_a_new_case_is_in_every_dashboard():
    new = verdict(Kind.NEW, "module.New", head_alone=10.5, head_metrics=(("total", 2.0),))
    found = checked(new)
    assert json.loads(exports.as_bencher(found))["module.New  device=cpu"]["instructions"]["value"] == 10.5
    assert [facts["value"] for facts in json.loads(exports.as_github_benchmark(found))] == [10.5]
    assert exports.as_pytorch_csv(found) == "module.New  device=cpu,instructions,10,0.004"
    count, total = json.loads(exports.as_pytorch_records(found))
    assert count["metric"] == {
        "name": "instructions",
        "benchmark_values": [10.5],
        "extra_info": {"exact": "10.5", "verdict": "new"},
    }
    assert (total["metric"]["name"], total["metric"]["benchmark_values"]) == ("total", [2.0])


def test_bencher_follows_its_schema():
    facts = json.loads(exports.as_bencher(checked()))
    jsonschema.validate(facts, BENCHER)
    assert facts["module.Work  device=cpu"]["instructions"]["value"] == 53_491.0


def test_github_benchmark_is_a_list_of_names_units_and_values():
    listed = json.loads(exports.as_github_benchmark(checked()))
    assert listed[0] == {
        "name": "module.Work  device=cpu",
        "unit": "instructions",
        "value": 53_491.0,
        "range": "0.4%",
        "extra": "regressed: 52,905 -> 53,491 (+1.11 %)",
    }


def test_pytorchs_csv_has_four_fields_a_line():
    lines = exports.as_pytorch_csv(checked()).splitlines()
    assert lines[0] == "module.Work  device=cpu,instructions,53491,0.004"
    assert all(line.count(",") == 3 for line in lines)


def test_what_was_not_counted_is_in_no_dashboard():
    counted = sum(found.change is not None for found in FOUND)
    assert len(json.loads(exports.as_github_benchmark(checked()))) == counted
    assert len(json.loads(exports.as_bencher(checked()))) == counted
