from harness.engine.schedule import Schedule
from harness.protocol import Case, Skipped


def case(name, index):
    return Case("suite", name, index, (str(index),), 1.0)


A0, A1, A2, B0, B1, C0 = (case(name, int(i)) for name, i in ["A0", "A1", "A2", "B0", "B1", "C0"])
SUITE = (A0, A1, A2, B0, B1, C0)
DONE = Skipped(1, "")


def drain(schedule):
    cases = []
    while (case := schedule.next()) is not None:
        cases.append(case)
    return cases


def test_nothing_to_do_before_anybody_asks():
    assert Schedule().next() is None


def test_what_is_asked_for_comes_first_then_the_rest_of_its_benchmark():
    schedule = Schedule()
    schedule.ask(A1, SUITE)
    assert drain(schedule) == [A1, A2]


def test_going_on_to_the_next_benchmark_shows_that_the_whole_suite_is_wanted():
    schedule = Schedule()
    schedule.ask(A2, SUITE)
    assert drain(schedule) == [A2]
    schedule.ask(B0, SUITE)
    assert drain(schedule) == [B0, B1, C0]


def test_leaving_a_benchmark_out_shows_a_selection():
    schedule = Schedule()
    schedule.ask(A2, SUITE)
    drain(schedule)
    schedule.ask(C0, SUITE)
    assert drain(schedule) == [C0]
    schedule.ask(A0, SUITE)
    assert drain(schedule) == [A0, A1]


def test_told_so_it_runs_through_the_whole_suite_from_the_start():
    schedule = Schedule(whole_suite=True)
    schedule.ask(A1, SUITE)
    assert drain(schedule) == [A1, A2, B0, B1, C0]


def test_without_an_order_it_does_only_what_is_asked():
    schedule = Schedule(whole_suite=True)
    schedule.ask(A1, ())
    assert drain(schedule) == [A1]


def test_a_case_run_ahead_is_ready_when_asked_for_and_counted_anew_when_asked_again():
    schedule = Schedule()
    schedule.ask(A0, SUITE)
    assert drain(schedule) == [A0, A1, A2]
    schedule.finish(A1, DONE)
    assert schedule.report(A0) is None
    assert schedule.report(A1) == DONE
    schedule.ask(A1, SUITE)
    schedule.forget(A1)
    assert schedule.report(A1) is None
    schedule.ask(A1, SUITE)
    assert drain(schedule) == [A1]


def test_a_case_put_back_is_offered_again():
    schedule = Schedule()
    schedule.ask(A2, SUITE)
    schedule.put_back(schedule.next())
    assert schedule.next() == A2


def test_a_forgotten_case_reports_to_nobody():
    schedule = Schedule()
    schedule.ask(A2, SUITE)
    schedule.next()
    schedule.forget(A2)
    schedule.finish(A2, DONE)
    assert schedule.report(A2) is None


def test_of_the_whole_suite_one_long_case_at_a_time_comes_first_and_the_others_last():
    import dataclasses

    long_b, long_c = (dataclasses.replace(each, long=True) for each in (B1, C0))
    schedule = Schedule(whole_suite=True)
    schedule.ask(A0, (A0, A1, A2, B0, long_b, long_c))
    assert [schedule.next() for _ in range(2)] == [A0, long_b]
    assert schedule.next() == A1, "another core goes on with what is short"
    schedule.finish(long_b, DONE)
    assert schedule.next() == long_c
    assert drain(schedule) == [A2, B0]
    schedule = Schedule(whole_suite=True)
    schedule.ask(A0, (A0, long_b, long_c))
    assert drain(schedule) == [A0, long_b, long_c], "with nothing short left, all cores take long ones"
