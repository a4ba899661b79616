"""The view by Python function, taken for real: every call is found, at no instruction's cost. Seconds each."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engine import client
from harness.profile import comparison, symbols
from harness.profile.symbols import Function
from harness.store import records
from harness.suite import counting
from harness.suite.selection import find
from tests.conftest import SUITES

pytestmark = pytest.mark.valgrind

SUITE = "plain/frames.py"


def counted(name: str, tmp_path: Path) -> tuple[records.KeptCount, records.KeptCount]:
    """A case as Callgrind counted it and, beside it, by Python function."""
    found = find(SUITES / "plain", f"frames.{name}")
    place = records.Place(tmp_path / ".asv", "c0ffee", "environment", found.benchmark(), ())
    for kind in ("callgrind", "frames"):
        with client.session(counting.configuration_for(found, counter=kind)) as directory:
            counting.ask(found, (), directory, place=place)
    whole = records.KeptCount.load(place.folder)
    assert whole is not None and whole.by_python is not None
    return whole, whole.by_python


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    # A module's fixture comes before what cleans the surroundings of a test.
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HARNESS_COUNTER", raising=False)
        return counted("Frames", tmp_path_factory.mktemp("frames"))


def test_it_counts_what_callgrind_counts(frames):
    whole, by_python = frames
    assert by_python.record["total"] == pytest.approx(whole.record["total"], rel=2e-4)
    profile = by_python.profile()
    assert sum(spent.own for spent in profile.functions.values()) == profile.total == profile.paths.inclusive
    for function, spent in profile.functions.items():
        assert sum(profile.native.get(function, {}).values()) == spent.own <= spent.inclusive <= profile.total


def test_both_views_agree_on_every_library(frames):
    c, python = (view.run() for view in frames)
    # Callgrind gives the jumps by which one library reaches another to neither.
    told = [{name: own for name, own in comparison.libraries(run).items() if own > 1000} for run in (c, python)]
    assert told[0] == pytest.approx(told[1], rel=2e-3)


CALLS = {
    "Frames.work": 1,
    "fibonacci": 67,
    "numbers": 12,  # once to be made, ten times for its numbers, once to end
    "add_up": 1,
    "key": 15,
    "Made.__init__": 1,
    "Made.__repr__": 1,
    "deep": 6,
    "unwind": 1,
    "even": 4,
    "odd": 3,
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_found(frames, name):
    _, by_python = frames
    profile = by_python.profile()
    function = Function(name, SUITE)
    assert profile.functions[function].calls == CALLS[name] * by_python.record["calls"]
    source = (SUITES / SUITE).read_text().splitlines()
    assert source[profile.lines[function] - 1].strip().startswith(f"def {name.rpartition('.')[2]}(")


BETWEEN = {
    "Between.work": 1,
    "finish": 1,
    "ask": 2,  # once to be made, once to be finished
    "answer": 4,
    "add": 2,
    "key": 3,
    "delegate": 5,  # once to be made, three times for its numbers, once to end
    "numbers": 5,
}


def test_coroutines_delegates_and_calls_from_machine_code_are_found(tmp_path):
    profile = counted("Between", tmp_path)[1].profile()
    calls = {name: profile.functions[Function(name, SUITE)].calls for name in BETWEEN}
    assert calls == {name: 3 * number for name, number in BETWEEN.items()}
    work = profile.paths.called[Function("Between.work", SUITE)]
    assert {function.name for function in work.called if function.place == SUITE} == {
        "finish", "ask", "add", "key", "delegate"
    }  # fmt: skip
    answer = work.called[Function("finish", SUITE)].called[Function("ask", SUITE)].called[Function("answer", SUITE)]
    assert answer.inclusive > 0
    assert Function("numbers", SUITE) in work.called[Function("delegate", SUITE)].called


def test_recursion_counts_once(frames):
    profile = frames[1].profile()
    inclusive = {
        name: profile.functions[Function(name, SUITE)].inclusive for name in ("Frames.work", "fibonacci", "even", "odd")
    }
    own = {name: profile.functions[Function(name, SUITE)].own for name in inclusive}
    assert inclusive["fibonacci"] == own["fibonacci"]  # it calls nothing of Python but itself
    assert inclusive["even"] == own["even"] + own["odd"]
    assert own["odd"] < inclusive["odd"] < inclusive["even"] < inclusive["Frames.work"]


def test_paths_are_what_was_called_from_where(frames):
    work = frames[1].profile().paths.called[Function("Frames.work", SUITE)]
    # Debian's Python has lost the names of such functions.
    names = ("list_sort_impl", symbols.NAMELESS)
    sort = next(function for name in names if (function := Function(name, "libpython")) in work.called)
    assert {"fibonacci", "add_up", "key", "Made.__init__", "unwind"} <= {function.name for function in work.called}
    assert work.called[sort].own > 0  # machine code lies under the function that it served
    unwind = work.called[Function("unwind", SUITE)]
    depth, below = 0, unwind
    while Function("deep", SUITE) in below.called:
        depth, below = depth + 1, below.called[Function("deep", SUITE)]
    assert depth == 6


def test_code_that_lies_where_other_code_lay_is_told_apart(tmp_path):
    profile = counted("Renewed", tmp_path)[1].profile()
    calls = {name: profile.functions[Function(name, SUITE)].calls for name in ("one", "two", "three")}
    assert calls == {"one": 20, "two": 20, "three": 20}


def test_threads_have_frames_of_their_own(tmp_path):
    profile = counted("Threaded", tmp_path)[1].profile()
    calls = {name: profile.functions[Function(name, SUITE)].calls for name in ("fibonacci", "add_up", "numbers")}
    assert calls == {"fibonacci": 8361, "add_up": 1, "numbers": 52}
    spent = {
        name: sum(own for below, own in profile.native[Function(name, SUITE)].items() if below.place == "libcrypto")
        for name in ("digest", "fibonacci")
    }
    # A digest is made without the interpreter's lock, while the other thread holds it.
    assert spent["digest"] > 1_000_000 and spent["fibonacci"] == 0, spent
    work = profile.paths.called[Function("Threaded.work", SUITE)]
    assert Function("add_up", SUITE) not in work.called  # the thread's own, whose outermost function is threading's
