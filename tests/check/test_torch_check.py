"""`harness check` on the installed torch's own Python, with edits whose effect is known. Minutes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.torch_commits import TorchProject

pytestmark = pytest.mark.torch

_DISPATCH, _FRAME = "torch/distributed/tensor/_dispatch.py", "torch/_dynamo/eval_frame.py"
_WRAP = "    def wrap(res: object, spec: OutputSpecType) -> object:\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> TorchProject:
    made = TorchProject(
        tmp_path_factory.mktemp("torch-check") / "project", "dtensor", "guards", "runtime_overhead", length=6
    )
    made.history.git("checkout", "--quiet", "-B", "base", made.history.commits["base"])
    return made


@pytest.fixture
def edited(project) -> Iterator[TorchProject]:
    """The project, whose working tree is the commit "base" again when the test is over."""
    yield project
    project.history.git("checkout", "--quiet", "--force", "base")


def by_case(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"  ".join([case["benchmark"], *case["parameters"].values()]): case for case in told["cases"]}


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def with_less_work_in_disable(text: str) -> str:
    """What pull request 190392 of PyTorch did to the function that `torch._dynamo.disable` puts around another, by
    edits of ours: frames are evaluated in another way only where that differs, and names are looked up only where a
    program is exported."""
    begin = text.index("        def _fn(", text.index("class DisableContext("))
    end = text.index("_maybe_set_eval_frame(prior)", begin) + len("_maybe_set_eval_frame(prior)")
    (name,) = re.findall(r"^ *fn_name = (.*)\n", text[begin:end], re.M)
    body = re.sub(r"^ *fn_name = .*\n", "", text[begin:end], flags=re.M)
    body = re.sub(
        r"( *)_maybe_set_eval_frame\((_callback_from_stance\(.*\))\)\n",
        r"\1callback = \2\n\1if callback is not None:\n\1    _maybe_set_eval_frame(callback)\n",
        body,
    )
    body = re.sub(r"( *finally:\n *)set_eval_frame\(None\)", r"\1callback is not None and set_eval_frame(None)", body)
    body = replaced(
        body,
        ("fn_name", name),
        ("_maybe_set_eval_frame(prior)", "prior is not None and _maybe_set_eval_frame(prior)"),
    )
    return text[:begin] + body + text[end:]


def test_less_work_in_disable_shows_in_what_goes_through_it_and_in_nothing_else(edited):
    edited.history.edit(_FRAME, with_less_work_in_disable)
    bench = r"EagerAdd1|dtensor\.(Detach|View)\.|dtensor\.AddBackward.*'cpu'|guards\."
    cases = by_case(edited.harness("check", "HEAD", "--bench", bench, "--suite", "default"))
    changes = {name: case["change"]["relative"] for name, case in cases.items() if case["change"] is not None}
    assert changes == {
        "runtime_overhead.EagerAdd1  cpu": pytest.approx(-0.024, abs=0.004),
        "dtensor.Detach  cpu": pytest.approx(-0.025, abs=0.003),
        "dtensor.Detach  meta": pytest.approx(-0.025, abs=0.003),
        "dtensor.View  cpu": pytest.approx(-0.022, abs=0.003),
        "dtensor.View  meta": pytest.approx(-0.022, abs=0.003),
        "dtensor.AddBackward  cpu": pytest.approx(-0.011, abs=0.004),  # four calls of it, of 490,000 instructions
        "guards.NNModuleGuardEval  False": pytest.approx(0, abs=0.001),
        "guards.NNModuleGuardEval  True": pytest.approx(0, abs=0.001),
    }
    for name, case in cases.items():
        if name.startswith("guards."):
            assert case["verdict"] == "unchanged"
        elif case["change"] is not None:
            assert case["verdict"] == "improved"
            most = case["reason"]["functions"][0]
            assert most["function"] == "DisableContext.__call__.<locals>._fn" and most["place"] == _FRAME
            assert most["head"] < most["base"]


def test_less_than_a_per_cent_is_found_with_its_function_and_a_comment_is_nothing(edited):
    """Three calls of a built-in function; scripts/check_change.py makes one, which is within this case's declared
    noise."""
    edited.history.edit(_DISPATCH, lambda text: replaced(text, (_WRAP, _WRAP + 3 * "        len(())\n")))
    (case,) = edited.harness("check", "HEAD", "--bench", r"dtensor\.Detach.*cpu", status=3)["cases"]
    assert case["verdict"] == "regressed" and 0.006 < case["change"]["relative"] < 0.012
    (moved,) = (each for each in case["reason"]["functions"] if each["function"] == "OpDispatcher.wrap")
    assert moved["place"] == _DISPATCH and moved["head"] - moved["base"] == pytest.approx(3 * 161, rel=0.1)

    edited.history.git("checkout", "--quiet", "--force", "base")
    edited.history.edit(_DISPATCH, lambda text: f"# a comment\n{text}")
    assert edited.harness("check", "HEAD", "--bench", r"dtensor\.Detach.*cpu")["verdict"] == "1 unchanged"
