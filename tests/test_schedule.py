from harness.messages import Case, Skipped
from harness.schedule import Job, Schedule


def case(name, index, layouts=1):
    return Case("suite", name, index, (str(index),), 1.0, layouts)


A0, A1, A2, B0, B1, C0 = (case(name, int(i)) for name, i in ["A0", "A1", "A2", "B0", "B1", "C0"])
SUITE = (A0, A1, A2, B0, B1, C0)
DONE = Skipped(1, "")


def drain(schedule):
    jobs = []
    while (job := schedule.next()) is not None:
        jobs.append(job.case)
    return jobs


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
    schedule.finish(Job(A1, 0), DONE)
    assert schedule.reports(A0) is None
    assert schedule.reports(A1) == [DONE]
    schedule.ask(A1, SUITE)
    schedule.forget(A1)
    assert schedule.reports(A1) is None
    schedule.ask(A1, SUITE)
    assert drain(schedule) == [A1]


def test_layouts_are_jobs_of_their_own_and_reported_together():
    laid = case("L", 0, layouts=3)
    schedule = Schedule()
    schedule.ask(laid, ())
    jobs = [schedule.next(), schedule.next(), schedule.next()]
    assert jobs == [Job(laid, 0), Job(laid, 1), Job(laid, 2)] and schedule.next() is None
    for job in reversed(jobs):
        assert schedule.reports(laid) is None
        schedule.finish(job, Skipped(job.layout, ""))
    assert [report.number for report in schedule.reports(laid)] == [0, 1, 2]


def test_a_job_put_back_is_offered_again():
    schedule = Schedule()
    schedule.ask(A2, SUITE)
    job = schedule.next()
    schedule.put_back(job)
    assert schedule.next() == job


def test_a_forgotten_case_reports_to_nobody():
    schedule = Schedule()
    schedule.ask(A2, SUITE)
    job = schedule.next()
    schedule.forget(A2)
    schedule.finish(job, DONE)
    assert schedule.reports(A2) is None
