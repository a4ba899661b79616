"""torch by Python function: with Dynamo's own frame evaluator at work nothing is missed. And torch by kernels: what is
there to measure overhead has few of them. Minutes."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness import Statements
from harness.engine import client
from harness.profile.symbols import Function
from harness.pytorch.components import COMPONENTS
from harness.store import records
from harness.suite import counting
from harness.suite.selection import all_workloads, find
from tests.pytorch.test_counts_of_torch import suite  # noqa: F401 - a fixture

pytestmark = pytest.mark.torch
CASES = {"SmallDetach": ("cpu",), "SmallAOTDispatcher": (True, True, "cpu"), "SmallAdd1": ("plain", False, "cpu")}
#: The most that kernels may have of a case that is there to measure what it costs to get to them.
MOST = 0.1


def claims(suite: Path) -> dict[str, Any]:  # noqa: F811
    """The benchmarks that measure calling and dispatching, each with few calls. That it is them the quick suite is."""
    return {one.__name__: one for one in all_workloads(suite) if one.__module__.endswith(".small") and one.calls > 1}


@pytest.fixture(scope="module")
def places(suite, tmp_path_factory) -> dict[tuple[str, tuple], records.Place]:  # noqa: F811
    """By workload and parameters: where is kept what Callgrind counted, and beside it the view by Python function."""
    root = tmp_path_factory.mktemp("reasons") / ".asv"
    cases = list(CASES.items())
    overhead = [
        (name, params) for name, one in claims(suite).items() for params in one.choices() if "cuda" not in params
    ]
    found = {}
    for counter, wanted in (("callgrind", dict.fromkeys(cases + overhead)), ("frames", cases)):
        configuration = counting.configuration_for(find(suite, "small.SmallDetach"), ahead="nothing", counter=counter)
        with client.session(configuration) as directory, ThreadPoolExecutor(2) as pool:
            asked = []
            for name, params in wanted:
                one = find(suite, f"small.{name}")
                place = records.Place(root, "c0ffee", "environment", one.benchmark(), tuple(map(str, params)))
                found.setdefault((name, params), place)
                asked.append(pool.submit(counting.ask, one, params, directory, place=place))
            for answer in asked:
                answer.result()
    return found


@pytest.fixture(scope="module")
def counted(places) -> dict[str, records.KeptCount]:
    return {name: records.KeptCount.load(places[name, params].folder) for name, params in CASES.items()}


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
    parts = {COMPONENTS.of(function, True) for function in profile.functions}
    assert {"tracing (Dynamo)", "guards", "AOTAutograd", "fake tensors", "FX graphs"} <= parts


def test_generated_code_is_known_as_such(counted):
    libraries = {function.place for function in counted["SmallAdd1"].profile().functions}
    assert {"generated code", "libtorch_cpu", "libpython", "libc"} <= libraries
    assert not any("/" in name for name in libraries)


def share_of_kernels(profile) -> float:
    """Loops over elements, compiled by Inductor or ATen's, and what the C library fills and copies, Python's too."""
    spent = sum(
        spent.own
        for function, spent in profile.functions.items()
        if COMPONENTS.of(function, False) in ("kernels", "generated code")
        or (function.place == "libc" and re.search("mem(set|cpy|move)", function.name))
    )
    return spent / profile.total


def test_every_benchmark_that_measures_overhead_is_looked_at(suite):  # noqa: F811
    measured = {one for one in all_workloads(suite) if not issubclass(one, Statements) and one.calls > 1}
    small = set(claims(suite).values())
    assert {base for one in small for base in one.__mro__} >= measured - small
    assert {one.__module__.rpartition(".")[2] for one in measured - small} == {
        "dtensor",
        "guards",
        "runtime_overhead",
        "wrappers",
    }


def test_what_measures_overhead_has_few_instructions_in_kernels(places):
    """The largest seen: 5 % (Random). AddBackward on 512 by 512 has 33 %."""
    shares = {
        (name, *params): share_of_kernels(records.KeptCount.load(place.folder).profile())
        for (name, params), place in places.items()
        if name != "SmallAOTDispatcher"
    }
    told = {" ".join(map(str, case)): f"{share:.1%}" for case, share in shares.items()}
    print(told)
    assert {case: share for case, share in shares.items() if share > MOST} == {}, told
    # Those that do go through elements, so that kernels are still known as such.
    for name in ("SmallAddBackward", "SmallInplace", "SmallRandom"):
        profile = records.KeptCount.load(places[name, ("cpu",)].folder).profile()
        assert any(
            spent.own for function, spent in profile.functions.items() if COMPONENTS.of(function, False) == "kernels"
        )
