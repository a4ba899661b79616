"""Workloads made to break the counter: each gets its own right number, or a sentence. Counted by every counter."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import protocol
from harness.engine import client
from harness.errors import CountError, SuiteError
from harness.suite import asv_list, counting
from harness.suite.selection import find
from tests.conftest import ROOT, SUITES

ODD = SUITES / "odd"
COUNTERS = ("opcodes", "readable", "callgrind")


@pytest.fixture(scope="module", params=COUNTERS)
def counter(request):
    return request.param


@pytest.fixture(scope="module")
def here(counter, tmp_path_factory):
    """A session with the whole suite in it; nothing runs ahead, since some of it kills whatever is near."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("odd")))
        patch.setattr(tempfile, "tempdir", None)
        first = find(ODD, "processes.Quiet")
        with client.session(counting.configuration_for(first, counter=counter, ahead="nothing")) as directory:
            yield directory


def counted(name: str, directory: Path, *params: object) -> protocol.Counted:
    return counting.ask(find(ODD, name), params, directory)


# Whose number it is


def asked_elsewhere(directory: Path, name: str, **variables: str) -> list[dict]:
    """What a process of its own, with these variables, gets for every case: its count or the sentence."""
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from harness.suite import counting\n"
        "from harness.errors import HarnessError\n"
        "from harness.suite.selection import find\n"
        "found = find(Path(sys.argv[1]), sys.argv[2])\n"
        "for params in found.choices():\n"
        "    try:\n"
        "        print(json.dumps([str(params[0]), counting.ask(found, params, Path(sys.argv[3])).total, None]))\n"
        "    except HarnessError as error:\n"
        "        print(json.dumps([str(params[0]), None, str(error)]))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(ODD), name, str(directory)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env={**os.environ, **variables},
    )
    assert answer.returncode == 0, answer.stderr
    return [
        dict(zip(("label", "total", "sentence"), json.loads(line), strict=True)) for line in answer.stdout.splitlines()
    ]


def test_a_case_of_a_set_gets_its_own_number_or_a_sentence(here):
    rounds = find(ODD, "values.FromASet")
    known: dict[str, int] = {}
    refused = 0
    for seed in range(4):
        for case in asked_elsewhere(here, "values.FromASet", PYTHONHASHSEED=str(seed)):
            if case["sentence"] is None:
                assert known.setdefault(case["label"], case["total"]) == case["total"]
            else:
                refused += 1
                assert re.match(
                    r"the parameter 'size' of this case is '\w+' where it was asked for and '\w+' where it is "
                    r"counted.*set, a folder's listing.*Sort it",
                    case["sentence"],
                ), case["sentence"]
    assert refused > 0 and set(known) == set(sys.modules[rounds.__module__].ROUNDS), "seed 0 agrees, others do not"
    assert known["tiny"] < known["small"] < known["medium"] < known["large"]


@pytest.mark.parametrize("name", ["FromTheClock", "FromTheEnvironment", "FromAListing"])
def test_what_two_processes_see_differently_is_refused(here, name):
    for case in asked_elsewhere(here, f"values.{name}", USERS_OWN="something"):
        assert case["total"] is None and "where it was asked for" in case["sentence"], case


def test_values_that_are_equal_get_a_number_each(here):
    equal = find(ODD, "values.Equal")
    totals = [counting.ask(equal, params, here).total for params in equal.choices()]
    assert len(totals) == len(equal.params)
    steps = [after - before for before, after in itertools.pairwise(totals)]
    # A thousand rounds more each, and some instructions for the memory layout and what else `setup` left.
    assert min(steps) > 0 and max(steps) - min(steps) < 0.1 * min(steps), steps


def test_only_the_value_that_is_meant_is_skipped(here):
    from asv_runner.benchmarks.track import TrackBenchmark

    found = find(ODD, "values.SkipsOne")
    assert found.choices() == [(False,), (0.0,)] and [type(value) for (value,) in found.choices()] == [bool, float]
    assert all(counting.ask(found, params, here).total > 0 for params in found.choices())
    asv = TrackBenchmark("x", found().track_instructions, [found()])
    asv.param_names = ["value"]
    skipped = []
    for place in range(3):
        asv.set_param_idx(place)
        skipped.append(asv.do_setup())
    assert skipped == [True, False, False], "asv asks the same list"


@pytest.mark.parametrize("name", ["values.Equal", "values.Strange"])
def test_values_with_one_text_are_kept_apart(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HARNESS_COUNTER", "opcodes")
    for variable, value in {"CONF_DIR": str(tmp_path), "COMMIT": "abc", "ENV_NAME": "env"}.items():
        monkeypatch.setenv(f"ASV_{variable}", value)
    found = find(ODD, name)
    cases = found.choices()
    with client.session(counting.configuration_for(found)) as directory:
        totals = [counting.ask(found, params, directory).total for params in cases]
    records = [json.loads(path.read_text()) for path in tmp_path.glob(f".asv/counts/abc/env/{name}/*/count.json")]
    assert sorted(record["total"] for record in records) == sorted(totals) and len(set(totals)) == len(cases)
    assert len({tuple(record["parameters"]) for record in records}) == len(cases)
    assert {path.name for path in tmp_path.glob(".asv/*")} == {"counts"}


def test_values_that_are_made_anew_are_found(here):
    found = find(ODD, "values.MadeAnew")
    totals = [counting.ask(found, params, here).total for params in found.choices()]
    assert totals == sorted(set(totals)) and len(totals) == 3


@pytest.mark.parametrize("name", ["values.Equal", "values.Strange"])
def test_the_command_line_names_each_case(name):
    found = find(ODD, name)
    labels = [found.case(params).parameters for params in found.choices()]
    assert len(set(labels)) == len(labels)


def test_a_value_of_another_type_is_no_case():
    found = find(ODD, "values.MadeAnew")
    for params in ((1,), (0.1, 0.1), ()):
        with pytest.raises(SuiteError, match=r"values\.MadeAnew has no parameters"):
            found.case(params)


def test_text_that_was_edited_after_the_start_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_COUNTER", "opcodes")
    monkeypatch.syspath_prepend(str(tmp_path))
    suite = tmp_path / "edited"
    suite.mkdir()
    (suite / "__init__.py").write_text("")
    text = "from harness import Workload\nN = 10\nclass Work(Workload):\n    def work(self):\n        return 2 * N\n"
    (suite / "work.py").write_text(text)
    work = find(suite, "work.Work")
    with client.session(counting.configuration_for(work)) as directory:
        total = counting.ask(work, (), directory).total
        (suite / "work.py").write_text(text + "# only a comment\n")
        assert counting.ask(work, (), directory).total == total
        (suite / "work.py").write_text(text.replace("N = 10", "N = 11"))
        with pytest.raises(CountError, match=r"the text of edited\.work\.Work was edited after the server had started"):
            counting.ask(work, (), directory)
        (suite / "work.py").write_text(text)
        assert counting.ask(work, (), directory).total == total
    for name in ("edited", "edited.work"):
        sys.modules.pop(name)


# What asv listed


def listed(root: Path, params: list[list[str]], version: str = "1", place: str = ".asv/results") -> None:
    (root / place).mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": 2, "x.Y.track_instructions": {"version": version, "params": params}})
    (root / place / "benchmarks.json").write_text(text)


@pytest.mark.parametrize(
    ("params", "chosen", "right"),
    [
        ([["'a'", "'b'"]], (1,), True),
        ([["'b'", "'a'"]], (1,), False),
        ([["'a'"]], (1,), False),
        ([["'a'", "'b'", "'c'"]], (1,), True),
    ],
)
def test_a_case_that_asv_lists_under_another_number_is_told(tmp_path, params, chosen, right):
    listed(tmp_path, params)
    found = asv_list.disagreement(tmp_path, "x.Y.track_instructions", "1", [["a", "b"]], chosen, ("letter",))
    assert (found is None) == right
    assert right or "the parameter 'letter' of this case is" in found


def test_values_that_look_alike_are_what_asv_makes_of_them(tmp_path):
    from asv_runner.benchmarks._base import _unique_param_ids

    values = [0.5, 0.5, "0.5", len, object(), object()]
    listed(tmp_path, _unique_param_ids([values]))
    for place in range(len(values)):
        assert asv_list.disagreement(tmp_path, "x.Y.track_instructions", "1", [values], (place,), ("v",)) is None


def test_a_list_of_another_version_or_none_says_nothing(tmp_path):
    arguments = ("x.Y.track_instructions", "1", [["a"]], (0,), ("letter",))
    assert asv_list.disagreement(tmp_path, *arguments) is None
    listed(tmp_path, [["'b'"]], version="2")
    assert asv_list.disagreement(tmp_path, *arguments) is None
    listed(tmp_path, [["'b'"]], place=".asv/pytorch/results")
    assert asv_list.disagreement(tmp_path, *arguments) is not None, "the newest list counts"


# State


def test_growing_work_fails_with_the_row_of_its_counts(here):
    with pytest.raises(
        CountError,
        match=r"counts rise from layout to layout by [\d,]+: does `work` leave something "
        r"behind\? Its layouts counted [\d,]+, .* differ by",
    ):
        counted("growing.GrowingInLayouts", here)
    with pytest.raises(CountError, match="counts fall from layout to layout"):
        counted("growing.Shrinking", here)


def test_what_grows_a_little_is_noted(here):
    (note,) = counted("growing.GrowingALittle", here).notes
    assert note.startswith("counts rise from layout to layout by")


def test_what_hangs_on_chance_is_noted(here):
    (note,) = counted("growing.Chancy", here).notes
    assert re.match(r"the counts of 5 memory layouts differ by \d+\.\d%, where layouts make at most 5%", note)


def test_counting_twice_tells_what_grows(here):
    growing, quiet = find(ODD, "growing.Growing"), find(ODD, "processes.Quiet")
    found = counting.ask(growing, (), here, twice=True)
    assert found.again > 1.3 * found.total
    found = counting.ask(quiet, (), here, twice=True)
    assert found.again == pytest.approx(found.total, rel=0.001)
    assert counting.ask(quiet, (), here).again is None


def test_garbage_is_collected_where_that_is_asked_for(here, counter):
    without, collected = counted("growing.Garbage", here), counted("growing.CollectedGarbage", here)
    if counter == "opcodes":  # collecting is machine code
        assert collected.total == without.total
    else:
        assert collected.total > 1.3 * without.total


# What is not in the number, or moves it

NOTES = {
    "Forks": ("3 child processes, not counted", "opcodes readable callgrind"),
    "Runs": ("1 child process, not counted", "opcodes readable callgrind"),
    "LeavesAChild": ("1 child process, not counted", "opcodes readable callgrind"),
    "ReadsTheClock": ("the clock was read 4 times: the number may depend on it", "readable callgrind"),
    "WaitsForTheClock": (r"the clock was read [\d,]+ times: the number may depend on it", "readable callgrind"),
    "Interrupted": ("a timer was set 2 times: when it goes off depends on the clock, .*", "readable callgrind"),
    "TimerSetBefore": ("a timer was set 1 time: when it goes off .*", "opcodes readable callgrind"),
    "Polled": ("1 other thread was there when counting began: .*", "opcodes readable callgrind"),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_the_number_does_not_tell_stands_beside_it(here, counter, name):
    sentence, counters = NOTES[name]
    found = counted(f"processes.{name}", here)
    notes = [note for note in found.notes if re.fullmatch(sentence, note)]
    assert bool(notes) == (counter in counters.split()), found.notes


def test_random_bytes_of_the_system_are_noted(here, counter):
    notes = counted("growing.RandomBytes", here).notes
    assert bool(notes) == (counter != "opcodes"), notes
    assert not notes or notes == ("the system was asked 1 time for random bytes: the number may depend on them",)


def test_of_quiet_work_there_is_nothing_to_say(here):
    assert counted("processes.Quiet", here).notes == ()


def test_a_childs_instructions_are_not_in_the_number(here):
    assert counted("processes.Forks", here).instructions_per_call < 200_000 < 500_000


def test_notes_stand_in_the_record_and_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_COUNTER", "opcodes")
    monkeypatch.setenv("HARNESS_AHEAD", "nothing")
    for name, value in {"CONF_DIR": str(tmp_path), "COMMIT": "abc", "ENV_NAME": "env"}.items():
        monkeypatch.setenv(f"ASV_{name}", value)
    command = [sys.executable, "-m", "harness", "count", "processes.Forks", "--benchmarks", str(ODD)]
    text = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert "(3 child processes, not counted)" in text.stdout, text.stdout + text.stderr
    answer = subprocess.run([*command, "--json"], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert json.loads(answer.stdout)["notes"] == ["3 child processes, not counted"]
    (record,) = tmp_path.glob(".asv/counts/abc/env/*/*/count.json")
    assert json.loads(record.read_text())["notes"] == ["3 child processes, not counted"]


# How a worker ends

ENDINGS = {
    "os._exit(0)": r"the workload ended its worker: it called os\._exit\(0\)\n.*in work",
    "sys.exit": r"called for the exit of the worker \(SystemExit 0\)",
    "exec": r"the workload would have made another program of its worker: it called os\.execv\('/bin/true'\)",
    "exec of machine code": "exited with status 0 without a report: machine code that the workload called exited, or",
    "exit of machine code": "exited with status 0 without a report: machine code that the workload called exited, or",
    "closed descriptors": "the workload closed descriptors that are not its own: the worker could not report",
    "a child that comes back": "a child that the workload forked came back from `work`, as if it were the worker",
    "a child that raises": "a child that the workload forked came back from `work`, as if it were the worker",
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_worker_that_is_ended_is_a_failure_that_says_how(here, how):
    with pytest.raises(CountError, match=re.compile(ENDINGS[how], re.DOTALL)) as failure:
        counted("processes.Ends", here, how)
    evidence = re.search(r"^evidence: (.*)$", str(failure.value), re.MULTILINE)
    assert evidence is not None and Path(evidence[1]).is_dir()
    shutil.rmtree(Path(evidence[1]).parent)


def test_a_child_that_comes_back_while_warming_up_is_told_too(here):
    with pytest.raises(CountError, match="a child that the workload forked came back"):
        counted("processes.EndsWhileWarm", here, "a child that comes back")
