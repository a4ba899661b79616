"""What is built before a case is counted: once, beside other cases, and with a sentence where it cannot be."""

from __future__ import annotations

import threading

import pytest

from harness import protocol
from harness.engine import client, progress
from harness.engine.needs import Needs
from harness.engine.sandbox import Sandbox
from harness.errors import CountError, SuiteError
from harness.suite import counting
from harness.suite.selection import choose, find
from tests.conftest import SUITES, our_processes, wait_until

Built = find(SUITES / "plain", "building.Built")
Native = find(SUITES / "plain", "building.Native")


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    return tmp_path_factory.mktemp("needs") / "progress.txt"


@pytest.fixture(scope="module")
def here(journal):
    """A folder with a supervisor in it, which the tests of this file share."""
    fields = {"counter": "opcodes", "ahead": "nothing", "progress": str(journal)}
    with client.session(counting.configuration_for(Built, **fields)) as directory:
        yield directory


def test_what_a_case_needs_is_built_once_for_all_that_need_it(here, journal):
    cases = [("fine", 1), ("shared", 2), ("fine", 2), ("fine", 1)]
    assert all(counting.ask(Built, params, here).instructions_per_call > 0 for params in cases)
    lines = journal.read_text().splitlines()
    events = [event for event in map(progress.decode, lines) if event is not None]
    built = [event["what"].split()[-1] for event in events if event["event"] == "built"]
    assert (built.count("fine"), built.count("second")) == (1, 1), built


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("fails", "building 'fails' for plain.building.Built ended with status 1\nno compiler far and wide$"),
        ("raises", "(?s)ended with status 1\nTraceback.*ValueError: raised while building"),
        ("is killed", "was killed by SIGKILL"),
    ],
)
def test_what_cannot_be_built_fails_for_all_that_need_it_and_for_no_other(here, how, sentence):
    for number in (1, 2):
        with pytest.raises(CountError, match=sentence):
            counting.ask(Built, (how, number), here)
    assert counting.ask(Built, ("plain", 1), here).instructions_per_call > 0


def test_a_build_that_does_not_end_is_ended(opcodes, monkeypatch, tmp_path):
    # The supervisor is a process of its own, so its limit is tried on the room itself.
    monkeypatch.setattr("harness.engine.needs._LIMIT_SECONDS", 0.5)
    from harness.engine.environment import server_environment
    from harness.inside import rules

    with Sandbox.make() as sandbox:
        sandbox.fill(SUITES / "plain", with_valgrind=False)
        needs = Needs(sandbox, server_environment(sandbox, rules.load("plain")))
        case = Built.case(("slow", 1))
        assert needs.hold(case) and needs.outcome(case) is None
        (build,) = needs.start(case)
        assert needs.start(case) == []

        def ended():
            needs.end_overdue()
            return build.process.poll() is not None

        assert wait_until(ended)
        assert needs.ended(build) == [case]
        assert not needs.hold(case)
        assert "was still running after 0 s and was ended" in needs.outcome(case)


def test_other_cases_are_counted_while_one_waits_for_its_build(opcodes):
    # A session of its own: its end leaves no builder behind, which conftest sees to.
    with client.session(counting.configuration_for(Built)) as directory:

        def ask_in_vain():
            with pytest.raises(CountError):
                counting.ask(Built, ("slow", 1), directory)

        threading.Thread(target=ask_in_vain, daemon=True).start()
        assert wait_until(lambda: any("harness.suite.build_process" in command for command in our_processes().values()))
        assert counting.ask(Built, ("plain", 1), directory).instructions_per_call > 0


def test_what_a_build_leaves_running_is_ended(here):
    assert counting.ask(Built, ("leaves a child", 1), here).instructions_per_call > 0
    assert not any("sleep" in command for command in our_processes().values())


def test_a_case_without_needs_has_none():
    assert Built.case(("plain", 1)).needs == ()
    case = Built.case(("shared", 2))
    assert protocol.decode(protocol.encode(case)) == case and case.needs == ("fine", "second")


def test_a_choice_that_is_no_case_is_refused_before_anything_starts(opcodes):
    assert len(Built.choices()) == len(Built.product()) - 1
    with pytest.raises(SuiteError, match="no case of building.Built has"):
        choose(Built, ["how=plain", "number=2"])
    with pytest.raises(SuiteError, match="has no parameters"):
        counting.ask(Built, ("plain", 2), None)


@pytest.mark.valgrind
def test_allocators_have_no_past():
    """Servers whose memory came to be differently, and loops that allocate: the same to the instruction."""
    found = []
    for layout in ({}, {"padding": 40}, {"padding": 1000}, {"import_first": ("sqlite3", "wave")}):
        with client.session(counting.configuration_for(Native, counter="readable", **layout)) as directory:
            found.append(counting.ask(Native, ("allocates",), directory).total)
    assert found[0] > 300_000 and len(set(found)) == 1


@pytest.mark.parametrize("counter", ["callgrind", "readable"])
def test_a_native_loop_is_counted_to_the_instruction(counter):
    with client.session(counting.configuration_for(Native, counter=counter)) as directory:
        assert counting.ask(Native, ("ten",), directory).instructions_per_call == 10
        with pytest.raises(CountError, match="the loop complains"):
            counting.ask(Native, ("complains",), directory)
