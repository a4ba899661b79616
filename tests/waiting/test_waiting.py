"""The server that waits for the next count: it gives what a new one would, to the instruction, and is never in the
way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.engine import client, sandbox, waiting_requests
from harness.suite import counting
from harness.suite.selection import find
from harness.system import stamps
from tests.conftest import ROOT, SUITES, our_processes, wait_until

pytestmark = pytest.mark.valgrind
LOOP = ("loops.Loop", "--param", "size=10", "--param", "kind=list")
NONE = "no server waits\n"
WAITS = r"harness: the server waits [\d.]+ min for the next count; `harness servers --stop` ends it\n"


def command(*words: str, root: Path = ROOT) -> list[str]:
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from harness.cli import main; sys.exit(main())"
    return [sys.executable, "-c", code, *words]


def run(*words: str, root: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own prints that is given this command."""
    answer = {"capture_output": True, "text": True, "timeout": 60, "env": {**os.environ, **variables}}
    return subprocess.run(command(*words, root=root), **answer)


@pytest.fixture
def quickly(capfd):
    """The same, in this process."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        status = cli.main(words)
        return subprocess.CompletedProcess(words, status, *capfd.readouterr())

    return run


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A suite to edit. What waits when the test is over is ended."""
    monkeypatch.setenv("HARNESS_COUNTER", "readable")
    shutil.copytree(SUITES / "plain", tmp_path / "plain")
    yield tmp_path / "plain"
    waiting_requests.stop()


@pytest.fixture
def counted(suite, quickly):
    """What the command prints of a case; whatever it says besides is an error here."""

    def count(*words: str, benchmarks: Path | None = None) -> float:
        answer = quickly("count", *(words or LOOP), "--benchmarks", str(benchmarks or suite))
        assert answer.returncode == 0, answer.stderr
        assert re.fullmatch(f"({WAITS})?", answer.stderr), answer.stderr
        return number_in(answer)

    return count


def counted_cold(suite: Path, *words: str, root: Path = ROOT) -> float:
    """The same, from a process of its own."""
    answer = run("count", *LOOP, *words, "--benchmarks", str(suite), root=root)
    assert answer.returncode == 0, answer.stderr
    return number_in(answer)


def number_in(answer: subprocess.CompletedProcess[str]) -> float:
    return float(answer.stdout.split()[0].replace(",", ""))


def supervisors() -> list[int]:
    return [pid for pid, line in our_processes().items() if "harness.engine.supervisor_process" in line]


def test_a_second_count_is_the_first_ones_and_takes_its_server(suite, counted, quickly):
    cold = counted_cold(suite)
    assert quickly("servers").stdout == NONE and not supervisors()
    assert counted(*LOOP, "--wait") == cold
    before = supervisors()
    assert len(before) == 1
    assert counted() == counted(*LOOP, "--wait", "30") == cold
    assert supervisors() == before
    (told,) = json.loads(quickly("servers", "--json").stdout)
    assert told["counter"] == "readable" and told["suite"] == str(suite) and not told["counts"]
    assert 29 < told["minutes_left"] <= 30 and told["megabytes"] > 10
    assert re.search(rf"^pid {told['pid']}: .*; waits, for \d+\.\d min more$", quickly("servers").stdout)
    assert quickly("servers", "--stop").stdout.endswith("; ended\n")
    assert wait_until(lambda: not our_processes())
    assert quickly("servers").stdout == quickly("servers", "--stop").stdout == NONE


def without_evidence(answer: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return answer.returncode, answer.stdout, re.sub(r"(?<=\nevidence: ).*", "...", answer.stderr)


@pytest.mark.parametrize(
    ("words", "status", "what"),
    [
        (("loops.Loop",), 0, "kind=tuple\n"),
        (("faults.Faults", "--param", "fault=work raises"), 1, "ValueError: raised while counting"),
        (("faults.Faults", "--param", "fault=skips"), 0, "n/a  fault=skips  (no such device)\n"),
        (("loops.Lop",), 1, "did you mean 'Loop'?"),
        (("broken.Broken",), 1, "ImportError: broken on purpose"),
    ],
)
def test_what_is_printed_and_the_status_are_the_same(suite, counted, quickly, monkeypatch, words, status, what):
    monkeypatch.setenv("HARNESS_TESTS", "1")  # lets the broken module be imported, but not by a server
    command = ("count", *words, "--benchmarks", str(suite))
    cold = without_evidence(run(*command))
    counted(*LOOP, "--wait")
    warm = without_evidence(quickly(*command))
    assert warm == cold
    assert warm[0] == status and what in warm[1] + warm[2]
    assert len(supervisors()) == 1


def test_it_is_asked_from_any_folder(suite, counted, quickly, monkeypatch):
    counted(*LOOP, "--wait")
    monkeypatch.chdir(suite.parent)
    answer = quickly("count", *LOOP, "--benchmarks", "plain", "--json")
    assert json.loads(answer.stdout)["size"] == "10", answer.stderr
    (suite.parent / "gone").mkdir()
    monkeypatch.chdir(suite.parent / "gone")
    (suite.parent / "gone").rmdir()
    assert run("count", *LOOP, "--benchmarks", str(suite)).returncode == 0
    monkeypatch.chdir(ROOT)


def test_an_edited_suite_is_counted_as_it_is_now(suite, counted):
    before = counted(*LOOP, "--wait")
    supervisor = supervisors()
    module = suite / "loops.py"
    text = module.read_text()
    edited = text.replace("def add_up(numbers):", "def add_up(numbers):\n    list(range(3))", 1)
    assert edited != text
    module.write_text(edited)
    warm = counted()
    assert warm > before and supervisors() == supervisor
    (suite / "more.py").write_text(edited)
    assert counted("more.Loop", *LOOP[1:]) == warm
    (suite / "more.py").unlink()
    module.write_text(text)
    assert counted() == before and supervisors() == supervisor
    module.write_text(edited)
    waiting_requests.stop()
    assert counted_cold(suite) == warm


def test_an_edited_suite_that_is_no_python_is_an_error_and_no_old_number(suite, counted, quickly):
    counted(*LOOP, "--wait")
    (suite / "loops.py").write_text("def (")
    answer = quickly("count", *LOOP, "--benchmarks", str(suite))
    assert answer.returncode != 0 and not answer.stdout and "SyntaxError" in answer.stderr


def test_other_settings_begin_another_session(suite, counted, monkeypatch):
    counted(*LOOP, "--wait")
    before = supervisors()
    monkeypatch.setenv("HARNESS_AHEAD", "nothing")
    assert counted() == counted()
    after = supervisors()
    assert len(after) == 1 and after != before
    shutil.copytree(suite, suite.parent / "other/plain")
    assert counted(benchmarks=suite.parent / "other/plain") > 0
    assert len(supervisors()) == 1 and supervisors() != after


@pytest.fixture
def own(tmp_path):
    """A checkout with a harness of its own."""
    shutil.copytree(ROOT / "harness", tmp_path / "own/harness", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "own"


def test_where_code_was_changed_nothing_old_is_counted(suite, own, quickly):
    """The harness here is a copy, of which a file is edited, as if it were one of torch."""
    before = counted_cold(suite, "--wait", root=own)
    with open(own / "harness/report/tables.py", "a") as file:
        file.write("# edited\n")
    answer = run("count", *LOOP, "--benchmarks", str(suite), root=own)
    assert number_in(answer) == before
    assert answer.stderr == (
        f"harness: the server that waits is not used: {own}/harness/report/tables.py was changed since it was started\n"
    )
    assert quickly("servers").stdout == NONE and wait_until(lambda: not our_processes())


def test_another_checkout_counts_with_its_own_harness(suite, own, counted):
    first = counted(*LOOP, "--wait")
    answer = run("count", *LOOP, "--benchmarks", str(suite), root=own)
    assert number_in(answer) == first
    assert answer.stderr == "harness: the server that waits is not used: it was started with another harness\n"


def test_it_makes_room_for_whoever_starts_a_server(suite, counted):
    counted(*LOOP, "--wait")
    with client.session(counting.configuration_for(find(suite, "loops.Loop"))):
        assert waiting_requests.describe() is None
        temporary = Path(os.environ["TMPDIR"])
        folders = [path for path in temporary.glob(f"harness-{os.getuid()}-??-*") if path.is_dir()]
        assert folders == [sandbox.slot(temporary, 0)]


def test_where_another_run_has_the_first_scratch_folder_nothing_is_kept(suite, counted):
    with client.session(counting.configuration_for(find(suite, "loops.Loop"))):
        counted(*LOOP, "--wait")
        assert len(supervisors()) == 1
    assert waiting_requests.describe()["suite"] is None
    counted()
    assert waiting_requests.describe()["suite"] == str(suite)


def test_two_that_begin_at_once_leave_one(suite):
    both = [
        subprocess.Popen(
            command("count", *LOOP, "--benchmarks", str(suite), "--wait"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    processes = [line for line in our_processes().values() if "wait_for_counts" in line]
    assert len(processes) == 1, processes


def test_what_a_suite_imports_may_have_many_names(suite, counted):
    """More than a pipe holds."""
    made = "import sys, types\nfor number in range(5000):\n    name = f'made_up_module_{number:020}'\n"
    with open(suite / "loops.py", "a") as file:
        file.write(f"{made}    sys.modules[name] = types.ModuleType(name)\n")
    assert counted(*LOOP, "--wait") == counted() == counted()


def test_a_suite_with_the_name_of_another_is_not_taken_for_it(suite, counted):
    """The folder of this harness holds `benchmarks`, whose `loops` is another one."""
    other = suite.parent / "other/benchmarks"
    shutil.copytree(suite, other)
    first = counted(*LOOP, "--wait", benchmarks=other)
    assert counted(benchmarks=other) == first
    module = other / "loops.py"
    module.write_text(module.read_text().replace("def add_up(numbers):", "def add_up(numbers):\n    list(range(3))", 1))
    assert counted(benchmarks=other) == counted(benchmarks=other) > first


def test_a_path_that_is_another_folder_elsewhere_is_refused(suite):
    answer = run("count", *LOOP, "--benchmarks", str(suite), "--wait", PYTHONPATH=f":{suite}")
    assert answer.returncode == 1 and not answer.stdout
    assert "no server can be left waiting: PYTHONPATH holds '', which is another folder in another" in answer.stderr


def test_it_ends_when_its_folder_is_removed(counted):
    counted(*LOOP, "--wait")
    shutil.rmtree(waiting_requests.folder())
    assert wait_until(lambda: not our_processes())


def test_while_it_counts_others_count_for_themselves_and_interrupting_ends_the_count(suite, counted):
    faults = (suite / "faults.py").read_text()
    (suite / "faults.py").write_text(faults.replace("limit_seconds = 20\n", "limit_seconds = 1000\n"))
    hanging = subprocess.Popen(
        command("count", "faults.Faults", "--param", "fault=hangs", "--benchmarks", str(suite), "--wait"),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert wait_until(lambda: (waiting_requests.describe() or {}).get("counts"))
    assert wait_until(lambda: supervisors() != [])
    for wait in ((), ("--wait",)):
        answer = run("count", *LOOP, "--benchmarks", str(suite), *wait)
        assert answer.returncode == 0 and answer.stderr.endswith("is not used: it counts for somebody else\n")
    hanging.send_signal(signal.SIGINT)
    _, said = hanging.communicate(timeout=30)
    assert hanging.returncode == 130 and said == "harness: interrupted\n"
    assert wait_until(lambda: not (waiting_requests.describe() or {"counts": True})["counts"])
    assert counted() > 0


def test_it_ends_when_its_time_is_over(counted):
    counted(*LOOP, "--wait", "0.01")
    assert wait_until(lambda: not our_processes())
    assert not waiting_requests.folder().exists()


@pytest.mark.parametrize("killed", ["wait_for_counts", "supervisor_process"])
def test_what_is_killed_is_replaced(suite, counted, quickly, killed):
    first = counted(*LOOP, "--wait")
    for pid, line in our_processes().items():
        if killed in line:
            os.kill(pid, signal.SIGKILL)
    if killed == "wait_for_counts":
        assert wait_until(lambda: not supervisors())
        assert counted_cold(suite) == first and quickly("servers").stdout == NONE
    assert counted(*LOOP, "--wait") == first
    assert len(supervisors()) == 1


@pytest.mark.parametrize("minutes", ["0", "-1", "601", "nan"])
def test_a_time_that_makes_no_sense_is_refused(minutes):
    answer = run("count", "loops.Loop", f"--wait={minutes}")
    assert answer.returncode == 2 and "it takes a number of minutes above 0, up to 600" in answer.stderr


def test_another_python_is_not_taken_for_this_one(suite, counted):
    first = counted(*LOOP, "--wait")
    answer = run("count", *LOOP, "--benchmarks", str(suite), PYTHONPATH=str(suite.parent))
    assert number_in(answer) == first
    assert answer.stderr.endswith("it was started with another set of variables PYTHON...\n")


def test_stamps_tell_what_was_written_added_or_removed(tmp_path):
    for name in ("package/a.py", "package/lib.so.1", "package/tests/test.py", "package/__pycache__/a.pyc", "one.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "linked").symlink_to(tmp_path / "package")
    (tmp_path / "package/round").symlink_to(tmp_path / "package")
    (tmp_path / "package/itself").symlink_to("itself")
    places = [tmp_path / "linked", tmp_path / "one.txt", tmp_path / "absent"]
    before = stamps.of(places)
    assert {Path(path).name for path in before} == {"a.py", "lib.so.1", "one.txt", "absent"}
    assert stamps.changed(before, stamps.of(places)) is None
    for name, change in {
        "package/a.py": lambda path: os.utime(path, ns=(1, 1)),
        "package/lib.so.1": lambda path: path.unlink(),
        "package/new.py": lambda path: path.write_text(""),
        "one.txt": lambda path: path.write_text("longer than before"),
        "absent": lambda path: path.write_text(""),
    }.items():
        before = stamps.of(places)
        change(tmp_path / name)
        assert Path(str(stamps.changed(before, stamps.of(places)))).name == Path(name).name
