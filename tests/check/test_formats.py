"""The forms in which a check is told: pure functions of made-up verdicts. Milliseconds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.check import formats
from harness.check.messages import CaseFacts
from harness.check.run import Checked
from harness.check.sides import Origin, Side
from harness.check.verdicts import Change, Kind, Moved, Reason, Verdict
from harness.store.noise import Noise
from tests.conftest import ROOT

SCHEMA = json.loads((ROOT / "docs/reference/check.schema.json").read_text())
REASON = Reason(
    "python",
    (Moved("wrap", "torch/_dispatch.py", 100.0, 680.4), Moved("a|b", "x.py", 5.0, 0.0)),
    4.0,
    (("dispatch", 580.0),),
)


def verdict(kind: Kind, name: str = "module.Work", **facts: Any) -> Verdict:
    return Verdict(CaseFacts(name, ("device",), ("cpu",), 0.004), kind, Noise(0.004), **facts)


FOUND = (
    verdict(Kind.REGRESSED, change=Change(52_905.2, 53_491.0), elsewhere=(Change(1.0, 1.011),), reason=REASON),
    verdict(Kind.FAILED, "module.Broken", why="head: it raised\nTraceback\n  in a file"),
    verdict(Kind.FAILED, "module.AlsoBroken", why="head: it raised\nTraceback\n  in another file"),
    verdict(Kind.NOT_COMPARABLE, "module.Apart", change=Change(10.0, 20.0), why="python: 3.11 -> 3.12"),
    verdict(Kind.IMPROVED, "module.Zero", change=Change(0.0, -3.0), reason=Reason(lacking="nothing was kept of it")),
    verdict(Kind.UNCHANGED, "module.Same", change=Change(1e9, 1e9), notes=("a clock was read",)),
    verdict(Kind.UNCHANGED, "module.Near", change=Change(1e6, 1e6 + 1), metrics=(("total", Change(1.0, 2.0)),)),
    verdict(Kind.SKIPPED, "module.Cuda", why="no CUDA device"),
)


def checked(*found: Verdict, **changes: Any) -> Checked:
    made = Checked(
        base=Side(
            "aaaaaaaaaa  before",
            commit="a" * 40,
            binaries="torch 2.13.0 (commit cf30153c4c): no native file differs",
        ),
        head=Side(
            "the working tree: aaaaaaaaaa with its edits",
            commit="b" * 40,
            origin=Origin("pytorch", "someone/pytorch", "a" * 40, edited=True),
        ),
        verdicts=found or FOUND,
        counter="readable",
        suite="quick",
        bench="",
        fingerprint={"python": "3.11"},
        notes=("out of sight: native files differ",),
        seconds=71.0,
        cores=2,
    )
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(
    ("change", "noise", "text"),
    [
        (Change(1000, 1011.234), 0.004, "+1.12 %"),
        (Change(1000, 1000.5), 0.0005, "+0.050 %"),
        (Change(1000, 900), 0.1, "-10 %"),
        (Change(1000, 1000), 0.004, "0 %"),
        (Change(1000, 1000.1), 0.0, "+0.0100 %"),
        (Change(0, 5), 0.004, "from nothing"),
    ],
)
def test_a_percentage_has_the_digits_that_the_noise_allows(change, noise, text):
    assert formats.percent(change, noise) == text


def test_the_text_begins_with_the_sides_and_ends_with_the_answer():
    lines = list(formats.as_text(checked()))
    text = "\n".join(lines)
    assert lines[0] == (
        "base  aaaaaaaaaa  before\n      on the binaries of torch 2.13.0 (commit cf30153c4c): no native file differs"
    )
    assert lines[1] == "head  the working tree: aaaaaaaaaa with its edits"
    assert "REGRESSED  module.Work  device=cpu" in lines
    assert "  52,905 -> 53,491 instructions, +586 (+1.11 %); noise 0.4 %, not measured, as the class declares" in lines
    assert "  +1.10 % in another memory layout" in lines
    assert "          +580  wrap  torch/_dispatch.py" in lines and "            +4  all others" in lines
    assert "  no reason can be told: nothing was kept of it" in lines
    assert "skipped: 1 (no CUDA device)" in lines
    assert lines[-1] == (
        "1 regressed, 2 failed, 1 not comparable, 1 improved, 2 unchanged, 1 skipped  "
        "(counter readable, quick suite, 71 s on 2 cores)"
    )
    assert text.count("in a file") == 1 and "in another file" not in text, "what two have in common is told once"


def test_json_follows_its_schema():
    facts = json.loads(formats.as_json(checked()))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(facts, SCHEMA)
    assert facts["schema"] == formats.SCHEMA == SCHEMA["properties"]["schema"]["const"]
    assert facts["status"] == 3 and facts["cases"][0]["change"]["head"] == 53_491.0
    for kind in Kind:
        jsonschema.validate(json.loads(formats.as_json(checked(verdict(kind)))), SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**facts, "status": 5}, SCHEMA)


def test_json_has_no_number_that_json_does_not_know():
    text = formats.as_json(checked(verdict(Kind.REGRESSED, change=Change(0.0, 5.0))))
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))["cases"][0]["change"]["relative"] is None


def test_markdown_is_a_line_a_table_and_the_rest_folded():
    text = formats.as_markdown(checked())
    lines = text.splitlines()
    assert lines[0] == formats.MARKER == "<!-- harness check -->"
    assert lines[1].startswith("❌ **1 regressed, 2 failed")
    assert "| regressed | `module.Work  device=cpu` | 52,905 | 53,491 | +1.11 % | 0.4 % | `wrap` +580 |" in lines
    assert "| failed | `module.Broken  device=cpu` |  |  |  | 0.4 % | head: it raised |" in lines
    assert text.index("<details><summary>2 unchanged</summary>") < text.index("module.Same")
    assert formats.as_markdown(checked(FOUND[5])).splitlines()[1].startswith("✅ ")
    assert formats.as_markdown(checked(FOUND[7])).splitlines()[1].startswith("❔ ")


def test_a_comment_says_why_cases_were_skipped_and_what_the_python_lay_over():
    on = "torch 2.13.0 (commit cf30153c4c): 1 native file differs (torch/csrc/a_b.cpp)"
    cuda = [FOUND[7]] * 2
    same = checked(FOUND[0], *cuda, base=Side("x", binaries=on), head=Side("y", binaries=on))
    lines = formats.as_markdown(same).splitlines()
    first = lines.index("<details><summary>2 skipped</summary>")
    assert lines[first : first + 5] == [lines[first], "", "- 2: no CUDA device", "", "</details>"]
    assert f"both: on the binaries of {on}".replace("_", r"\_") in lines
    lines = formats.as_markdown(dataclasses.replace(same, base=Side("x", binaries="others"))).splitlines()
    assert "base: on the binaries of others" in lines
    assert f"head: on the binaries of {on}".replace("_", r"\_") in lines


def test_a_comment_with_many_reasons_and_remarks_is_never_too_long():
    skipped = [dataclasses.replace(FOUND[7], why=f"{number} " + "@" * 500) for number in range(400)]
    notes = tuple("#" * 2000 + str(number) for number in range(400))
    text = formats.as_markdown(checked(FOUND[0], *skipped, notes=notes))
    assert len(text) <= formats.COMMENT
    assert "400 skipped" in text and "- … 380 other reasons" in text and "more remarks" in text


@pytest.mark.parametrize("limit", [formats.COMMENT, 3000])
def test_a_comment_is_never_longer_than_what_github_takes(limit):
    many = [dataclasses.replace(FOUND[0], case=CaseFacts("x" * 90, (), (), 0.004))] * 400 + [FOUND[5]] * 800
    text = formats.as_markdown(checked(*many), limit)
    assert limit // 3 < len(text) <= limit
    assert "400 regressed, 800 unchanged" in text and "more |" in text


def test_a_name_with_a_bar_does_not_break_the_table():
    reason = dataclasses.replace(REASON, functions=REASON.functions[1:])
    row = formats.as_markdown(checked(dataclasses.replace(FOUND[0], reason=reason))).splitlines()[5]
    assert row.replace("\\|", "").count("|") == 8


def test_what_others_wrote_is_not_taken_for_markdown():
    hostile = "<details> `x` [a](b) *c* | __init__\nline @user (#123)"
    broken = verdict(Kind.FAILED, why=hostile.replace("\n", " "))
    side = Side(f"aaaaaaaaaa  {hostile}", commit="a" * 40)
    lines = formats.as_markdown(checked(broken, base=side)).splitlines()
    escaped = r"&lt;details&gt; \`x\` \[a\](b) \*c\* \| \_\_init\_\_ line @<!-- -->user (#<!-- -->123)"
    assert lines[5].endswith(f"| {escaped} |")
    assert f"base: aaaaaaaaaa  {escaped}  " in lines


def test_the_schema_names_every_verdict():
    listed = SCHEMA["properties"]["cases"]["items"]["properties"]["verdict"]["enum"]
    assert listed == [kind.value for kind in Kind]
    assert Path(ROOT / "docs/reference/check.schema.json").exists()
