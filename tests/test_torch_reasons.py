"""torch by Python function: with Dynamo's own frame evaluator at work nothing is missed. A minute or two."""

from __future__ import annotations

import pytest

from harness import kept, session, workload
from harness.names import Function
from harness.selection import find
from harness.torch_seams import SEAMS
from tests.test_torch import suite  # noqa: F401 - a fixture

pytestmark = pytest.mark.torch
CASES = {"SmallDetach": ("cpu",), "SmallAOTDispatcher": (True, True, "cpu"), "SmallAdd1": ("plain", False, "cpu")}


@pytest.fixture(scope="module")
def counted(suite, tmp_path_factory) -> dict[str, kept.Kept]:  # noqa: F811
    """By workload: what Callgrind counted, with the view by Python function beside it."""
    root = tmp_path_factory.mktemp("reasons") / ".asv"
    found = {}
    for counter in ("callgrind", "frames"):
        configuration = workload.configuration_for(find(suite, "small.SmallDetach"), ahead="nothing", counter=counter)
        with session.session(configuration) as directory:
            for name, params in CASES.items():
                asked = find(suite, f"small.{name}")
                place = kept.Place(root, "c0ffee", "environment", asked.benchmark(), tuple(map(str, params)))
                workload.ask(asked, params, directory, place=place)
                found[name] = kept.Kept.load(place.folder)
    return found


@pytest.mark.parametrize("name", CASES)
def test_both_views_come_to_the_same_within_one_percent(counted, name):
    whole, by_python = counted[name], counted[name].by_python
    numbers = [view.record["instructions per call"] for view in (whole, by_python)]
    assert numbers[1] == pytest.approx(numbers[0], rel=0.01)
    profile = by_python.profile()
    assert sum(spent.own for spent in profile.functions.values()) == profile.total
    assert max(spent.inclusive for spent in profile.functions.values()) <= profile.total
    c = whole.profile()
    assert sum(spent.own for spent in c.functions.values()) == c.total
    assert max(spent.inclusive for spent in c.functions.values()) <= c.total


def test_dispatch_is_told_by_its_python(counted):
    profile = counted["SmallDetach"].by_python.profile()
    wrap = profile.functions[Function("OpDispatcher.wrap", "torch/distributed/tensor/_dispatch.py")]
    assert wrap.calls == 10 and 0.1 * profile.total < wrap.inclusive < 0.9 * profile.total
    work = profile.paths.called[Function("Detach.work", "small_suite/dtensor.py")]
    assert "OpDispatcher.wrap" in {function.name for function in work.called}


def test_a_compile_is_told_by_its_parts(counted):
    profile = counted["SmallAOTDispatcher"].by_python.profile()
    names = {function.name for function, spent in profile.functions.items() if spent.calls}
    assert {"InstructionTranslatorBase.step", "aot_module_simplified", "CheckFunctionManager.__init__"} <= names
    parts = {SEAMS.of(function, True) for function in profile.functions}
    assert {"tracing (Dynamo)", "guards", "AOTAutograd", "fake tensors", "FX graphs"} <= parts


def test_generated_code_is_known_as_such(counted):
    libraries = {function.place for function in counted["SmallAdd1"].profile().functions}
    assert {"generated code", "libtorch_cpu", "libpython", "libc"} <= libraries
    assert not any("/" in name for name in libraries)
