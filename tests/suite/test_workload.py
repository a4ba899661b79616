"""Workload as asv sees it. No server is started here."""

import inspect

import pytest
from asv_runner.discovery import disc_benchmarks

from harness import Workload
from harness.errors import SuiteError
from harness.suite.selection import choose, find
from tests.conftest import SUITES


def found():
    return {benchmark.name: benchmark for benchmark in disc_benchmarks("plain") if benchmark.type == "track"}


@pytest.fixture(autouse=True)
def _broken_module_can_be_read(monkeypatch):
    monkeypatch.setenv("HARNESS_TESTS", "1")


def test_asv_finds_the_workloads_and_not_their_base():
    names = set(found())
    assert "loops.Loop.track_instructions" in names and "faults.Faults.track_instructions" in names
    assert not any("Workload" in name for name in names)


def test_asv_shows_the_workloads_own_source_and_its_own_version():
    loop, pending = found()["loops.Loop.track_instructions"], found()["loops.Pending.track_instructions"]
    assert loop.code.startswith("def add_up(numbers):") and loop.code.count("class ") == 1
    assert "class Loop(Workload):" in loop.code and "class Pending(Workload):" in pending.code
    assert loop.version != pending.version and len(loop.version) == 64
    assert loop.unit == "instructions"


def test_asv_takes_one_server_for_all_and_never_sets_up_natively():
    benchmarks = found().values()
    assert len({benchmark.setup_cache_key for benchmark in benchmarks}) == 1
    assert {benchmark.setup_cache_timeout for benchmark in benchmarks} == {1200.0}
    assert all(benchmark._setups == [] for benchmark in benchmarks)


def test_asvs_limit_leaves_room_for_ours():
    for workload in (find(SUITES / "plain", "loops.Loop"), find(SUITES / "plain", "loops.Laid")):
        assert workload().timeout > 2 * workload.limit_seconds


def test_workload_itself_is_abstract():
    assert inspect.isabstract(Workload)


def test_parameters_are_read_as_asv_reads_them():
    loop, faults = find(SUITES / "plain", "loops.Loop"), find(SUITES / "plain", "faults.Faults")
    assert loop.choices() == [(10, "list"), (10, "tuple"), (1000, "list"), (1000, "tuple")]
    assert faults.choices()[0] == ("none",)
    assert find(SUITES / "plain", "loops.Pending").choices() == [()]


def test_cases_are_chosen_by_name():
    loop = find(SUITES / "plain", "loops.Loop")
    assert choose(loop, ["size=10"]) == [(10, "list"), (10, "tuple")]
    assert choose(loop, ["size=10", "kind=list"]) == [(10, "list")]


@pytest.mark.parametrize(
    ("name", "assignments", "sentence"),
    [
        ("loops.Nothing", [], "no benchmark 'loops.Nothing'"),
        ("nowhere.Loop", [], "no benchmark 'nowhere.Loop'"),
        ("Loop", [], "name it as asv does"),
        ("loops.add_up", [], "is not a workload"),
        ("loops.Loop", ["size"], "expected name=value"),
        ("loops.Loop", ["length=10"], "expected name=value, with a name of .'size', 'kind'."),
        ("loops.Loop", ["size=11"], "loops.Loop has no size=11; its size is one of 10, 1000 .did you mean '10'"),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_ones(name, assignments, sentence):
    with pytest.raises(SuiteError, match=sentence):
        choose(find(SUITES / "plain", name), assignments)
