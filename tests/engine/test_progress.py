"""What a run's events add up to. Pure."""

import pytest

from harness.engine import progress
from harness.protocol import Case, Counted, Failed, Skipped

CASE = Case("suite.module", "Work", 1, ("cpu",), 10.0)
NAME = "module.Work(cpu)"


def taken(*events: str, times: tuple[float, ...] = (), **fields) -> progress.Progress:
    state = progress.Progress(**fields)
    for event, now in zip(events, times or range(len(events)), strict=False):
        state.take(progress.decode(event), now)
    return state


def ended(state: str, seconds: float = 1.0) -> str:
    reports = {
        "counted": Counted(1, 1010, 10, 10, None, {}, notes=("1 child process, not counted",)),
        "skipped": Skipped(1, "no such device"),
        "failed": Failed(1, "it raised", "traceback"),
    }
    return progress.ended(CASE, reports[state], seconds)


@pytest.mark.parametrize("state", ["counted", "skipped", "failed"])
def test_a_case_that_has_ended_is_done_whatever_came_of_it(state):
    state_of = taken(progress.encode("begin", case=NAME), ended(state))
    assert state_of.done == 1 and state_of.states == {NAME: state} and not state_of.running


def test_a_line_tells_the_count_and_what_stands_beside_it():
    assert progress.line(progress.decode(ended("counted"))) == (
        "    module.Work(cpu)                 100 instructions  1 s  (1 child process, not counted)"
    )
    assert progress.line(progress.decode(ended("skipped"))) == "    module.Work(cpu)  skipped  1 s  (no such device)"
    assert progress.line(progress.decode(ended("failed"))) == "    module.Work(cpu)  failed  1 s  (it raised)"
    assert progress.line(progress.decode(progress.encode("begin", case=NAME))) is None


def test_that_the_clock_was_read_is_left_for_the_end():
    notes = ("the clock was read 31 times: the number may depend on it", "1 child process, not counted")
    event = progress.ended(CASE, Counted(1, 1010, 10, 10, None, {}, notes=notes), 1.0)
    assert (progress.line(progress.decode(event)) or "").endswith("  1 s  (1 child process, not counted)")
    assert taken(event).clocked == {NAME} and taken(ended("counted")).clocked == set()


def test_the_time_left_comes_from_earlier_runs_and_else_from_this_one():
    order = progress.encode("order", cases=["a", "b", NAME], cores=2)
    assert taken(order).seconds_left(0) is None, "nothing is known yet"
    assert taken(order, expected={"a": 10.0, "b": 20.0, NAME: 30.0}).seconds_left(0) == 30
    assert taken(order, ended("counted", 8.0)).seconds_left(0) == 8, "two more like it, on two cores"
    running = taken(order, progress.encode("begin", case="a"), expected={"a": 10.0, "b": 0.0, NAME: 0.0}, times=(0, 5))
    assert running.seconds_left(7) == 4, "10 s, of which 2 are over, on two cores"
    assert running.seconds_left(100) == 0, "what takes longer than it did is about to end"


def test_what_is_no_event_is_passed_over():
    assert progress.decode('{"event": "end", "ca') is None
    assert progress.decode("[1]") is None and progress.decode("{}") is None
