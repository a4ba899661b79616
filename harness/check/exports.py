"""A check's counts in the formats of dashboards and of continuous integration that exist. Each is a pure function.

What is exported is the head's count, in instructions per call: a dashboard has the base from when that was head.
Sources of the formats:

    JUnit XML               what Jenkins, GitLab and others read as the result of tests
    PyTorch's records       clickhouse_db_schema/oss_ci_benchmark_v3 of pytorch/test-infra
    Bencher Metric Format   bencher.dev/docs/reference/bencher-metric-format
    github-action-benchmark its tool `customSmallerIsBetter`
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from harness.check import verdicts
from harness.check.formats import instructions, percent
from harness.check.run import Checked
from harness.check.sides import Side
from harness.check.verdicts import Kind, Verdict

UNIT = "instructions"
#: What JUnit has for a verdict that is not simply passed.
_IN_JUNIT = {
    Kind.REGRESSED: "failure",
    Kind.FAILED: "error",
    Kind.NOT_COMPARABLE: "error",
    Kind.TOO_SMALL: "error",
    Kind.GONE: "error",
    Kind.SKIPPED: "skipped",
}


def as_junit(checked: Checked) -> str:
    """A test suite with a test for each case. What makes the exit status other than 0 is a failure or an error; where
    nothing was measured, that is a test of its own."""
    found = checked.verdicts
    accepted = checked.updated is not None and checked.status == verdicts.NOTHING_REGRESSED
    outcomes = [
        None if accepted and verdict.kind is not Kind.SKIPPED else _IN_JUNIT.get(verdict.kind) for verdict in found
    ]
    nothing = checked.status == verdicts.CANNOT_TELL and not {"failure", "error"} & set(outcomes)
    suite = ElementTree.Element(
        "testsuite",
        name=f"harness check, {checked.suite} suite",
        tests=str(len(found) + nothing),
        failures=str(outcomes.count("failure")),
        errors=str(outcomes.count("error") + nothing),
        skipped=str(outcomes.count("skipped")),
        time=f"{checked.seconds:.1f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (
        ("base", checked.base.commit),
        ("head", checked.head.commit),
        ("counter", checked.counter),
        ("verdict", verdicts.headline(found)),
    ):
        ElementTree.SubElement(properties, "property", name=name, value=value)
    if nothing:
        case = ElementTree.SubElement(suite, "testcase", classname="harness.check", name="something was measured")
        ElementTree.SubElement(case, "error", message="nothing was measured", type="cannot tell")
    for verdict, outcome in zip(found, outcomes, strict=True):
        case = ElementTree.SubElement(
            suite, "testcase", classname=verdict.case.benchmark, name=", ".join(verdict.case.parameters) or "-"
        )
        if outcome is not None:
            told = ElementTree.SubElement(case, outcome, message=_sentence(verdict), type=verdict.kind.value)
            told.text = _without_controls("\n".join(_details(verdict)))
        elif verdict.change is not None:
            ElementTree.SubElement(case, "system-out").text = _sentence(verdict)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _sentence(verdict: Verdict) -> str:
    if verdict.change is None:
        return _without_controls((verdict.why.splitlines() or [verdict.kind.value])[0])
    change = verdict.change
    figures = f"{instructions(change.base)} -> {instructions(change.head)} ({percent(change, verdict.noise.part)})"
    return _without_controls("; ".join(part for part in (f"{verdict.kind.value}: {figures}", verdict.why) if part))


def _details(verdict: Verdict) -> Iterator[str]:
    yield from verdict.why.splitlines()
    for moved in verdict.reason.functions if verdict.reason else ():
        yield f"{moved.head - moved.base:+,.0f}  {moved.function}  {moved.place}"


def _without_controls(text: str) -> str:
    """XML has no way to write most control characters."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def as_pytorch_records(checked: Checked) -> str:
    """A list of records, one for each metric of a case. The database keeps Float32, seven digits, so the exact
    count is in `extra_info`, where it keeps text. Who, where and when is for the uploader to add."""
    return json.dumps([record for verdict in checked.verdicts for record in _records(checked, verdict)], indent=1)


def _records(checked: Checked, verdict: Verdict) -> Iterator[dict[str, Any]]:
    """Where head alone was counted, there is no target."""
    case = verdict.case
    for name, head, base in _figures(verdict):
        exact = {"exact": repr(head), "verdict": verdict.kind.value}
        target: dict[str, Any] = {}
        if base is not None:
            exact["base"] = repr(base)
            target["target_value"] = base
        yield {
            "schema_version": "v3",
            "benchmark": {
                "name": "torch-instruction-suite",
                "mode": checked.suite,
                "dtype": "",
                "extra_info": dict(checked.fingerprint),
            },
            "model": {
                "name": str(case),
                "type": "micro-benchmark",
                "backend": "",
                "origins": ["torch-instruction-suite"],
                "extra_info": dict(zip(case.names, case.parameters, strict=True)),
            },
            "dependencies": _dependencies(checked.head, checked.base),
            "metric": {"name": name, "benchmark_values": [head], **target, "extra_info": exact},
        }


def _figures(verdict: Verdict) -> Iterator[tuple[str, float, float | None]]:
    """The metrics of a case that head was counted of: the name, head's figure, and the base's, None without one."""
    if verdict.change is not None:
        changes = [(UNIT, verdict.change), *verdict.metrics]
        yield from ((name, change.head, change.base) for name, change in changes)
    elif verdict.head is not None:
        yield from ((name, figure, None) for name, figure in [(UNIT, verdict.head), *verdict.head_metrics])


def _dependencies(head: Side, base: Side) -> dict[str, Any]:
    """What was counted, by its project. The hash is of a commit that others can find: for a working tree it is the one
    that its edits were made on, and that there are edits stands beside it."""
    origin = head.origin
    if origin is None:
        return {}
    extra = {"binaries": head.binaries or "", "base": base.commit}
    if origin.edited:
        extra["edits"] = "the working tree, with edits"
    return {
        origin.project: {
            "repo": origin.repository,
            "branch": "",
            "sha": origin.commit,
            "version": origin.version,
            "extra_info": extra,
        }
    }


def as_bencher(checked: Checked) -> str:
    """The count of each case, with the noise as its bounds."""
    return json.dumps(
        {
            str(verdict.case): {
                UNIT: {
                    "value": head,
                    "lower_value": head * (1 - verdict.noise.part),
                    "upper_value": head * (1 + verdict.noise.part),
                }
            }
            for verdict, head in _counted(checked)
        },
        indent=1,
    )


def as_github_benchmark(checked: Checked) -> str:
    """The count of each case; `extra` is its verdict."""
    return json.dumps(
        [
            {
                "name": str(verdict.case),
                "unit": UNIT,
                "value": head,
                "range": f"{100 * verdict.noise.part:.2g}%",
                "extra": _sentence(verdict),
            }
            for verdict, head in _counted(checked)
        ],
        indent=1,
    )


def as_pytorch_csv(checked: Checked) -> str:
    """The form of PyTorch's expected_results.csv: a line a case with its name, the metric, the count and the noise. A
    name's commas are spaces there, since the file is read without quotes."""
    return "\n".join(
        f"{str(verdict.case).replace(',', ' ')},{UNIT},{round(head)},{verdict.noise.part:g}"
        for verdict, head in _counted(checked)
    )


def _counted(checked: Checked) -> Iterator[tuple[Verdict, float]]:
    """The cases that head was counted of, and its counts."""
    return ((verdict, verdict.head) for verdict in checked.verdicts if verdict.head is not None)
