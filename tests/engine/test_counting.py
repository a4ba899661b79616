"""Whole sessions, with the counter that needs no valgrind: what goes wrong, and what the user gets."""

from __future__ import annotations

import dis
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.engine import client, progress
from harness.errors import CaseSkipped, CountError, StartError, SuiteError
from harness.suite import benchmark_process, counting
from harness.suite.selection import find
from tests.conftest import ROOT, SUITES, our_processes, wait_until

pytestmark = pytest.mark.usefixtures("opcodes")

Faults = find(SUITES / "plain", "faults.Faults")
Loop = find(SUITES / "plain", "loops.Loop")


@pytest.fixture(scope="module")
def here():
    """A folder with a supervisor in it, which the tests of this file share: none of them is to harm another, and
    nothing runs but what they ask for."""
    with client.session(counting.configuration_for(Loop, counter="opcodes", ahead="nothing")) as directory:
        yield directory


@pytest.fixture
def own():
    """A folder with a supervisor that serves one test, which kills what that has started, or looks at its end."""
    with client.session(counting.configuration_for(Loop)) as directory:
        yield directory


def instructions(benchmark, params, directory):
    return counting.ask(benchmark, params, directory).instructions_per_call


def test_the_same_case_counts_the_same_in_any_order_and_follows_its_size(here):
    first = {params: instructions(Loop, params, here) for params in Loop.choices()}
    again = {params: instructions(Loop, params, here) for params in reversed(Loop.choices())}
    assert first == again
    # As many bytecodes a turn of the loop, whatever runs over the numbers.
    turn = [step.opname for step in dis.get_instructions(sys.modules[Loop.__module__].add_up)]
    turn = turn[turn.index("FOR_ITER") : turn.index("JUMP_BACKWARD") + 1]
    assert first[1000, "list"] - first[10, "list"] == first[1000, "tuple"] - first[10, "tuple"] == 990 * len(turn)


def test_count_gives_the_number_that_asv_gets(here):
    assert counting.count(Loop, (10, "list")) == instructions(Loop, (10, "list"), here)


def test_the_command_line_gives_it_too(here):
    command = [sys.executable, "-m", "harness", "count", "loops.Loop", "--benchmarks", str(SUITES / "plain")]
    answer = subprocess.run(
        [*command, "--param", "size=10", "--param", "kind=list", "--counter", "opcodes"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env={name: value for name, value in os.environ.items() if name != "HARNESS_COUNTER"},
    )
    assert answer.returncode == 0, answer.stderr
    assert float(answer.stdout.split()[0].replace(",", "")) == instructions(Loop, (10, "list"), here)


def test_another_number_comes_from_the_same_run_and_the_same_number_from_a_new_one(here):
    first = counting.ask(Loop, (10, "list"), here)
    assert counting.ask(Loop, (10, "list"), here, "another").serial == first.serial
    assert counting.ask(Loop, (10, "list"), here).serial > first.serial


def test_a_number_that_a_run_does_not_tell_is_a_failure_and_not_0(here, monkeypatch):
    monkeypatch.chdir(here)
    with pytest.raises(CountError, match="this run told no 'another', only instructions"):
        benchmark_process.count_metric(Loop, "another", (10, "list"))


def test_a_failure_is_told_to_all_who_ask_and_its_evidence_kept_once(here):
    evidence = []
    for number in ("instructions", "another"):
        with pytest.raises(CountError, match="raised while counting") as failure:
            counting.ask(Faults, ("work raises",), here, number)
        evidence.append("evidence: " in str(failure.value))
    assert evidence == [True, False]


def test_a_warm_up_of_ones_own_replaces_the_call_of_work(here):
    assert instructions(find(SUITES / "plain", "loops.Warmed"), (), here) > 0  # raises where anything else came first


def test_prepare_is_called_before_each_run(here):
    assert instructions(find(SUITES / "plain", "loops.Pending"), (), here) > 0


def test_layouts_are_counted_apart_and_the_median_reported(here):
    counted = counting.ask(find(SUITES / "plain", "loops.Laid"), (), here)
    assert len(counted.layouts) == 3
    assert sorted(counted.layouts)[1] == counted.total


def test_a_count_comes_with_its_fingerprint_and_its_seconds(here):
    counted = counting.ask(Loop, (10, "list"), here)
    assert counted.fingerprint["counter"] == "opcodes" and counted.fingerprint["python"] == sys.version
    assert {"setup", "warm-up", "count"} <= counted.seconds.keys()


FAULTS = {
    "setup raises": "ValueError: no such input",
    "warm-up raises": "ValueError: raised in the warm-up",
    "work raises": "ValueError: raised while counting",
    "exits": r"called for the exit of the worker \(SystemExit 3\)",
    "is killed": "was killed by SIGKILL without a report.*out-of-memory",
    "runs out of memory": "the worker ran out of memory",
    "leaves at once": r"the workload ended its worker: it called os\._exit\(0\)",
    "does nothing": "",
    "kills the server": "the fork server died while this case was counted: it was killed by SIGKILL",
    "says much": "ValueError: yyy",
}


def check_that_it_costs_itself_only(here, fault):
    before = instructions(Faults, ("none",), here)
    with pytest.raises(CountError, match=re.compile(FAULTS[fault], re.DOTALL)) as failure:
        counting.ask(Faults, (fault,), here)
    evidence = re.search(r"^evidence: (.*)$", str(failure.value), re.MULTILINE)
    assert evidence is not None and Path(evidence[1]).is_dir()
    assert instructions(Faults, ("none",), here) == before


@pytest.mark.parametrize("fault", [name for name in FAULTS if FAULTS[name] and name != "kills the server"])
def test_a_bad_case_costs_that_case_only_and_names_its_evidence(here, fault):
    check_that_it_costs_itself_only(here, fault)


def test_a_case_that_kills_the_server_costs_that_case_only(own):
    check_that_it_costs_itself_only(own, "kills the server")


def test_the_workers_traceback_is_in_the_message(here):
    with pytest.raises(CountError, match=r'File ".*faults.py", line \d+, in work'):
        counting.ask(Faults, ("work raises",), here)


def test_a_worker_that_hangs_is_ended_at_its_limit(here, monkeypatch):
    monkeypatch.setattr(Faults, "limit_seconds", 1.0)
    with pytest.raises(CountError, match="still running after 1 s and was ended; a larger `limit_seconds`"):
        counting.ask(Faults, ("hangs",), here)


def test_a_child_that_a_worker_left_is_ended_with_the_session(own):
    instructions(Faults, ("leaves a child",), own)  # _clean_surroundings looks for it afterwards


def test_a_case_that_cannot_run_here_is_skipped_with_the_reason(here):
    with pytest.raises(CaseSkipped, match="no such device"):
        counting.ask(Faults, ("skips",), here)


def test_asv_reads_a_skip_as_such(here, monkeypatch, capsys):
    from asv_runner.benchmarks.mark import SkipNotImplemented

    monkeypatch.chdir(here)
    with pytest.raises(SkipNotImplemented):
        Faults().track_instructions("skips")
    assert capsys.readouterr().err == "skipped: no such device\n"


def test_work_that_does_nothing_is_a_failure_and_not_0(here):
    with pytest.raises(CountError, match="`work` did nothing that counts"):
        counting.ask(find(SUITES / "plain", "faults.Idle"), (), here)


def test_a_module_that_cannot_be_imported_costs_its_cases_only(here, monkeypatch):
    monkeypatch.setenv("HARNESS_TESTS", "1")
    broken = find(SUITES / "plain", "broken.Broken")
    with pytest.raises(CountError, match="ImportError: broken on purpose"):
        counting.ask(broken, (), here)
    assert instructions(Loop, (10, "list"), here) > 0


def test_parameters_that_the_workload_has_not_are_refused(here):
    with pytest.raises(SuiteError, match=r"loops\.Loop has no parameters"):
        counting.ask(Loop, (10, "dict"), here)


@pytest.mark.parametrize(
    ("variable", "value"), [("COUNTER", "callgrnd"), ("AHEAD", "everything"), ("CORES", "0"), ("CORES", "two")]
)
def test_a_variable_that_says_nothing_sensible_is_refused(monkeypatch, variable, value):
    monkeypatch.setenv(f"HARNESS_{variable}", value)
    with pytest.raises(SuiteError, match=f"HARNESS_{variable} is '?{value}"):
        counting.configuration_for(Loop)


def test_unknown_rules_are_refused(monkeypatch):
    monkeypatch.setattr(sys.modules["plain"], "RULES", "numpy", raising=False)
    with pytest.raises(StartError, match="RULES is 'numpy'; known are"):
        counting.count(Loop, (10, "list"))


def test_an_asker_that_goes_away_takes_its_case_with_it():
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from plain.faults import Faults\n"
        "from harness.suite import counting\n"
        "counting.ask(Faults, ('hangs',), Path(sys.argv[2]))\n"
    )
    # Nothing runs ahead: among the cases after this one are some that leave processes of their own.
    with client.session(counting.configuration_for(Faults, ahead="nothing")) as directory:
        idle = len(our_processes())
        asker = subprocess.Popen([sys.executable, "-c", script, str(SUITES), str(directory)])
        assert wait_until(lambda: len(our_processes()) > idle + 1)
        asker.kill()
        asker.wait()
        assert wait_until(lambda: len(our_processes()) == idle), our_processes()


@pytest.mark.parametrize("ahead", ["benchmark", "nothing"])
def test_idle_cores_run_ahead_where_they_are_told_to(tmp_path, ahead):
    journal = tmp_path / "progress"
    first, *others = (f"faults.Faults({how})" for (how,) in Faults.choices())

    def begun() -> set[str]:
        events = (progress.decode(line) for line in journal.read_text().splitlines())
        return {event["case"] for event in events if event is not None and event["event"] == "begin"}

    with client.session(counting.configuration_for(Faults, ahead=ahead, progress=str(journal))) as directory:
        counting.ask(Faults, Faults.choices()[0], directory)
        if ahead == "benchmark":
            assert wait_until(lambda: others[0] in begun()), journal.read_text()
        else:
            counting.ask(Loop, (10, "list"), directory)  # time enough for what should not be
            assert begun() == {first, "loops.Loop(10, list)"}


def test_two_sessions_at_once_count_the_same():
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.append(counting.count(Loop, (10, "list")))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0] == found[1]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_whatever_ends_the_owner_ends_everything(how):
    others = our_processes().keys()
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from plain.faults import Faults\n"
        "from harness.suite import counting\n"
        "counting.count(Faults, ('hangs',))\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(SUITES)],
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # else ignored where tests run in the background
    )
    # owner, supervisor, server, worker
    assert wait_until(lambda: len(our_processes().keys() - others) >= 4), our_processes()
    owner.send_signal(how)
    owner.wait(timeout=30)
    # _clean_surroundings sees to the rest


def test_a_supervisor_that_is_killed_takes_its_server_along_and_the_next_run_cleans_up():
    others = our_processes().keys()
    with pytest.raises(CountError, match=r"supervisor ended before it had counted plain.faults.Faults\(hangs\)"):
        with client.session(counting.configuration_for(Faults)) as directory:
            killer = threading.Timer(1.0, _kill_supervisor, [others])
            killer.start()
            counting.ask(Faults, ("hangs",), directory)
    assert wait_until(lambda: our_processes().keys() <= others), our_processes()
    counting.count(Loop, (10, "list"))
    assert not list(Path(os.environ["TMPDIR"]).glob("harness-*"))


def _kill_supervisor(others):
    for pid, command in our_processes().items():
        if pid not in others and "harness.engine.supervisor" in command:
            os.kill(pid, signal.SIGKILL)


def test_only_this_user_can_open_the_socket(here):
    assert os.stat(here / "harness.socket").st_mode & 0o077 == 0
    assert os.stat(here).st_mode & 0o077 == 0


def test_a_stranger_on_the_socket_is_turned_away(here, monkeypatch):
    import socket

    monkeypatch.chdir(here)  # a path to it may be too long
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("harness.socket")
        connection.sendall(b"hello\n")
        assert connection.recv(10) == b""
    assert instructions(Loop, (10, "list"), here) > 0


def test_a_count_under_asv_is_kept(here, monkeypatch, tmp_path):
    for name, value in {"CONF_DIR": str(tmp_path), "COMMIT": "abc", "ENV_NAME": "env"}.items():
        monkeypatch.setenv(f"ASV_{name}", value)
    counting.ask(Loop, (10, "list"), here)
    assert (tmp_path / ".asv/counts/abc/env/loops.Loop/10-list/count.json").exists()


def test_a_count_that_cannot_be_kept_is_reported_all_the_same(here, monkeypatch, tmp_path, capsys):
    (tmp_path / ".asv").write_text("a file where the folder should be")
    for name, value in {"CONF_DIR": str(tmp_path), "COMMIT": "abc", "ENV_NAME": "env"}.items():
        monkeypatch.setenv(f"ASV_{name}", value)
    assert instructions(Loop, (10, "list"), here) > 0
    assert "its profile could not be kept" in capsys.readouterr().err


# Suites, sizes, releases, imports

Sized = find(SUITES / "plain", "suites.Sized")
BENCHMARKS = {name: find(SUITES / "plain", f"suites.{name}") for name in ("Older", "Born", "BornEarly", "Imports")}


def test_a_large_case_is_for_the_full_suite_and_for_whoever_asks_for_it_by_name(here, monkeypatch):
    from asv_runner.benchmarks.mark import SkipNotImplemented

    monkeypatch.chdir(here)
    small = Sized().track_instructions(10)
    with pytest.raises(SkipNotImplemented, match="make bench SUITE=full"):
        Sized().track_instructions(1000)
    assert instructions(Sized, (1000,), here) > small
    monkeypatch.setenv("HARNESS_SUITE", "full")
    assert Sized().track_instructions(1000) == instructions(Sized, (1000,), here)
    monkeypatch.setenv("HARNESS_SUITE", "quick")
    with pytest.raises(SkipNotImplemented, match="only the default suite counts it"):
        Sized().track_instructions(10)
    monkeypatch.setenv("HARNESS_SUITE", "huge")
    with pytest.raises(SuiteError, match="HARNESS_SUITE is 'huge'; known are quick, default and full"):
        Sized().track_instructions(10)


def test_idle_cores_do_not_run_ahead_to_a_large_case(tmp_path, monkeypatch):
    progress = tmp_path / "progress.txt"
    fields = {"ahead": "suite", "cores": 2, "progress": str(progress)}
    with client.session(counting.configuration_for(Loop, **fields)) as directory:
        instructions(find(SUITES / "plain", "loops.Loop"), (10, "list"), directory)
        assert wait_until(lambda: '"end", "case": "suites.Sized(10)"' in progress.read_text(), 60)
    assert "Sized(1000)" not in progress.read_text()


def test_idle_cores_run_ahead_to_what_was_selected_and_no_further(tmp_path, monkeypatch):
    progress = tmp_path / "progress.txt"
    monkeypatch.setenv("HARNESS_BENCH", r"Loop\.track_instructions\(10, 'list'\)|Sized.*10\b")
    fields = {"ahead": "suite", "cores": 2, "progress": str(progress)}
    with client.session(counting.configuration_for(Loop, **fields)) as directory:
        instructions(Loop, (10, "list"), directory)
        assert wait_until(lambda: '"end", "case": "suites.Sized(10)"' in progress.read_text(), 60)
    assert progress.read_text().count('"event": "end"') == 2, progress.read_text()


def test_a_count_that_is_kept_is_given_again_on_request_and_where_none_would_be_taken(here, monkeypatch, tmp_path):
    for name, value in (("CONF_DIR", str(tmp_path)), ("COMMIT", "abc"), ("ENV_NAME", "env")):
        monkeypatch.setenv(f"ASV_{name}", value)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HARNESS_SUITE", "full")
    counted = Sized().track_instructions(1000)
    monkeypatch.setenv("HARNESS_SUITE", "default")
    assert Sized().track_instructions(1000) == counted, "the full suite's number is not lost"

    (record,) = tmp_path.glob(".asv/counts/abc/env/*Sized/1000/count.json")
    for name, changed in (("total", 10**9), ("version", "another")):
        record.write_text(json.dumps({**json.loads(record.read_text()), name: changed}))
        monkeypatch.setenv("HARNESS_SUITE", "full")
        monkeypatch.setenv("HARNESS_RESUME", "1")
        found = Sized().track_instructions(1000)
        assert (found > 10**8) == (name == "total"), "only another version is counted anew"


def test_warming_up_is_small_and_leaves_no_trace():
    case = Sized()
    case.setup(10)
    case.warm_up()
    assert case.warmed_with == (1, 2) and (case.size, case.shared) == (10, 5)


def test_what_a_release_lacks_is_the_reason_for_skipping(here):
    sentence = "^json 2[.0-9]* has no json.decoder.JSONDecoder.of_the_future$"
    with pytest.raises(CaseSkipped, match=sentence):
        instructions(BENCHMARKS["Older"], (), here)


def parent(name, directory) -> int:
    """The process that forks the workers of this benchmark."""
    with pytest.raises(CaseSkipped) as found:
        instructions(BENCHMARKS[name], (), directory)
    return int(found.value.args[0].split()[0])


def test_a_worker_may_begin_before_anything_is_imported(here):
    assert parent("Born", here) == parent("Born", here) != parent("BornEarly", here) == parent("BornEarly", here)
    first = instructions(BENCHMARKS["Imports"], (), here)
    assert first == instructions(BENCHMARKS["Imports"], (), here) > 1000


@pytest.mark.parametrize("killed", ["Born", "BornEarly"])
def test_a_killed_process_of_a_stage_is_replaced_with_all_others(own, killed):
    first = instructions(BENCHMARKS["Imports"], (), own)
    rehearsed, bare = parent("Born", own), parent("BornEarly", own)
    os.kill(rehearsed if killed == "Born" else bare, signal.SIGKILL)
    assert instructions(BENCHMARKS["Imports"], (), own) == first
    assert parent("Born", own) not in (bare, rehearsed)
    assert wait_until(lambda: not {bare, rehearsed} & set(our_processes()))
