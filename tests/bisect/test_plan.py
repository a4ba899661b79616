"""The search itself, on numbers made up here: which points it asks for, and what it makes of them."""

import pytest

from harness.bisect.plan import Bisection, change


def search(counts, noise=0.002, slots=2):
    """The bisection of one case whose counts are given (None: cannot be counted), and every round of points."""
    bisection = Bisection(len(counts), {0: noise})
    rounds = []
    while wanted := bisection.wanted(slots):
        rounds.append(sorted(wanted))
        assert len(wanted) <= slots
        for point, cases in wanted.items():
            assert cases == {0}
            value = counts[point]
            bisection.tell(point, cases, {} if value is None else {0: value})
        assert len(rounds) < 100
    return bisection, rounds


def found(counts, **options):
    return [(step.before, step.after) for step in search(counts, **options)[0].steps(0)]


@pytest.mark.parametrize("at", range(1, 64))
def test_finds_one_step_wherever_it_is(at):
    up = [100.0] * at + [101.0] * (64 - at)
    assert found(up) == [(at - 1, at)]
    assert found(up[::-1]) == [(63 - at, 64 - at)]


def test_asks_for_the_ends_first_and_then_for_thirds_on_two_cores():
    _, rounds = search([100.0] * 40 + [101.0] * 24)
    assert rounds[0] == [0, 63]
    assert rounds[1] == [21, 42]
    assert len(rounds) == 5


def test_no_change_costs_two_counts():
    bisection, rounds = search([100.0, 150.0, 100.1])
    assert rounds == [[0, 2]] and bisection.steps(0) == []


def test_finds_several_steps_up_and_down():
    counts = [100.0] * 10 + [102.0] * 10 + [101.0] * 10 + [105.0] * 10
    assert found(counts) == [(9, 10), (19, 20), (29, 30)]


def test_noise_around_a_step_does_not_mislead():
    jitter = [0.0, 0.05, -0.05, 0.08, -0.08, 0.02]
    counts = [100.0 + (point >= 23) + jitter[point % 6] for point in range(50)]
    assert found(counts) == [(22, 23)]


def test_points_that_cannot_be_counted_are_gone_around():
    counts = [100.0] * 20 + [101.0] * 20
    for point in (9, 13, 14, 20, 21, 26):
        counts[point] = None
    assert found(counts) == [(19, 22)]  # one of three: 20 and 21 cannot be told apart from 22
    assert not search(counts)[0].steps(0)[0].exact


def test_ends_that_cannot_be_counted_move_inwards():
    counts = [None, None, 100.0, 100.0, 101.0, 101.0, None]
    bisection, _ = search(counts)
    assert found(counts) == [(3, 4)] and bisection.ends(0) == (2, 5)


@pytest.mark.parametrize("counts", [[None, None, None], [None, 100.0, None]])
def test_a_range_of_which_less_than_two_can_be_counted_has_no_ends(counts):
    bisection, _ = search(counts)
    assert bisection.ends(0) is None and bisection.steps(0) == []


def test_a_change_that_is_spread_is_followed_where_it_is_largest():
    counts = [100.0 + 0.1 * point for point in range(9)]
    (step,) = search(counts)[0].steps(0)
    assert step.exact and abs(step.relative) < 0.002


def test_cases_share_points_and_each_follows_its_own_step():
    counts = {0: [100.0] * 5 + [110.0] * 11, 1: [50.0] * 12 + [49.0] * 4, 2: [7.0] * 16}
    bisection = Bisection(16, dict.fromkeys(counts, 0.002))
    counted = 0
    while wanted := bisection.wanted(2):
        for point, cases in wanted.items():
            counted += 1
            bisection.tell(point, cases, {case: counts[case][point] for case in cases})
    assert [(s.before, s.after) for s in bisection.steps(0)] == [(4, 5)]
    assert [(s.before, s.after) for s in bisection.steps(1)] == [(11, 12)]
    assert bisection.steps(2) == []
    assert counted < 14


def test_change_is_alike_up_and_down():
    assert change(100, 101) == -change(101, 100) == pytest.approx(0.01)
