"""The command line's own manners: help, suggestions, statuses, JSON. What commands do is tested with what they call."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.cli import doctor
from tests.conftest import ROOT, SUITES

PLAIN = ["--benchmarks", str(SUITES / "plain")]


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env={**os.environ, "HARNESS_COUNTER": "opcodes", **variables},
    )


def test_the_console_command_is_the_same_program():
    command = Path(sys.executable).with_name("harness")
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout == run("--version").stdout
    assert answer.stdout == f"harness {importlib.metadata.version('torch-instruction-suite')}\n"


def test_help_names_every_command_in_its_group():
    text = cli.parser().format_help()
    for heading, commands in cli.GROUPS.items():
        assert f"{heading}:" in text
        for name, module in commands.items():
            assert f"  {name:<9} {module.HELP}" in text


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_help_of_each_command_has_examples_that_are_right(name, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    examples = [line.strip() for line in text.partition("examples:\n")[2].splitlines()]
    assert examples == list(cli.COMMANDS[name].EXAMPLES) and examples
    for example in examples:
        words = shlex.split(example)
        assert words[:2] == ["harness", name] and cli.parsed(words[1:]).command == name


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name != "bench"])
def test_every_command_that_tells_something_tells_it_as_json_too(name):
    assert "--json" in cli.parser().commands[name].format_help()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["cuont", "x"], "did you mean count?"),
        (["count", "loops.Loop", "--jsno"], "did you mean --json?"),
        (["count", "loops.Loop", "--counter", "callgrnd"], "did you mean callgrind?"),
        (["explain", "loops.Loop", "--enviroment=x"], "did you mean --environment?"),
        (["list", "--suite", "ful"], "did you mean full?"),
    ],
)
def test_a_word_that_is_not_known_is_answered_with_the_nearest(words, meant, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2 and meant in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["count", "loops.Loop", *PLAIN, "--param", "size=10", "--param", "kind=list"], 0, ""),
        (["count", "loops.Lop", *PLAIN], 1, "did you mean 'Loop'?"),
        (["count", "faults.Faults", *PLAIN, "--param", "fault=work raises"], 1, "raised while counting"),
        (["count", "faults.Faults", *PLAIN, "--param", "fault=skips"], 0, ""),
        (["count"], 2, "required: benchmark"),
        (["costs", "--config", "nowhere/asv.conf.json"], 1, "make bench"),
        (["explain", "loops.Loop", "--config", "nowhere.json"], 1, "no asv configuration nowhere.json"),
        (["bench", "--config", "nowhere.json"], 1, "no asv configuration nowhere.json"),
        (["bench", "--bench", "("], 1, "no regular expression"),
        (["list", "(", *PLAIN], 1, "no regular expression"),
        (["list", "nothing like it", *PLAIN], 1, "no case of"),
    ],
)
def test_statuses(words, status, said, tmp_path):
    answer = run(*words, HARNESS_TESTS="1", HARNESS_CORES="1")
    assert (answer.returncode, said in answer.stderr) == (status, True), answer.stdout + answer.stderr
    for path in Path(os.environ["TMPDIR"]).glob("count-failed-*"):
        shutil.rmtree(path)


def test_cases_are_listed_with_their_suites():
    answer = run("list", "Sized|Loop", *PLAIN, HARNESS_TESTS="1")
    lines = answer.stdout.splitlines()
    assert "full     suites.Sized(1000)" in lines and "default  suites.Sized(10)" in lines, answer.stderr
    assert "default  loops.Loop(10, list)" in lines and lines[-1] == "cases: 0 quick, 5 default, 6 full"
    told = json.loads(run("list", "Sized", "--suite", "default", "--json", *PLAIN, HARNESS_TESTS="1").stdout)
    assert told == [
        {"benchmark": "suites.Sized", "parameters": {"size": "10"}, "name": "suites.Sized(10)", "suite": "default"}
    ]


# The doctor


def test_a_suite_that_needs_what_is_not_installed_is_not_listed(tmp_path):
    suite = tmp_path / "needy"
    suite.mkdir()
    (suite / "__init__.py").write_text("")
    (suite / "module.py").write_text("import nowhere_to_be_found\n")
    command = [sys.executable, "-m", "harness", "list", "--benchmarks", str(suite)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 1 and "Traceback" not in answer.stderr
    assert "the suite's module.py needs 'nowhere_to_be_found', which this environment lacks" in answer.stderr
    assert f"{sys.executable} -m pip install --requirement requirements.txt" in answer.stderr


@pytest.mark.valgrind
def test_the_doctor_finds_this_machine_fit():
    answer = run("doctor")
    assert answer.returncode == 0 and answer.stdout.splitlines()[-1] == "counting can work here", answer.stdout
    told = json.loads(run("doctor", "--json").stdout)
    assert {"Python", "valgrind", "gcc", "git", "torch", "the readable counter"} <= {each["what"] for each in told}
    assert all(each["state"] in (doctor.HERE, doctor.WORSE) for each in told if each["needed"])
    assert next(each["found"] for each in told if each["what"] == "valgrind").count(".") >= 1


def test_the_doctor_names_what_is_missing_and_what_brings_it(tmp_path):
    for tool in ("git", "gcc", "as", "ld", "true"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/true")
    answer = run("doctor", PATH=str(tmp_path))
    lines = {" ".join(line.split()[1:3]): line for line in answer.stdout.splitlines()}
    assert answer.returncode == 1
    assert "apt-get install valgrind" in lines["valgrind no"] and lines["valgrind no"].startswith("missing")
    assert lines["npm (asv's"].startswith("missing") and "apt-get install npm" in lines["npm (asv's"]
    assert answer.stdout.splitlines()[-1] == "counting cannot work here: valgrind missing"


def test_an_ordinary_user_is_told_and_root_is_not_asked(monkeypatch):
    for user, command in ((1000, "sudo apt-get install valgrind"), (0, "apt-get install valgrind")):
        monkeypatch.setattr(os, "getuid", lambda user=user: user)
        assert doctor.packages("valgrind") == command


def test_make_changes_no_system_unasked(tmp_path):
    """As an ordinary user: what is missing is named, with the command, and nothing is run."""
    for tool in ("sh", "g++", "apt-get"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/bin/false")
    python = f"python3.{sys.version_info.minor}"
    (tmp_path / python).symlink_to(os.path.realpath(sys.executable))
    for name, text in (("id", "echo 1000"), ("sudo", "echo sudo was run; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    command = ["sh", "scripts/install_tools.sh", python, "npm"]
    for more, status, said in (({}, 1, "'make deps' installs what is missing"), ({"INSTALL": "yes"}, 1, "installing:")):
        surroundings = {"PATH": str(tmp_path), **more}
        answer = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=60)
        said_all = answer.stdout + answer.stderr
        assert answer.returncode == status and said in said_all and "valgrind npm" in said_all, said_all
        assert ("sudo was run" in said_all) == bool(more)


def test_a_full_disk_is_a_sentence(tmp_path):
    with open("/dev/full", "w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "harness", "doctor", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    assert answer.returncode == 1, answer.stderr
    assert answer.stderr.startswith("harness: there is no room for what is written (")
    assert len(answer.stderr.splitlines()) == 1, answer.stderr


def test_ctrl_c_has_its_sentence_also_while_the_program_is_still_loading(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'harness.cli.check':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    answer = run("list", PYTHONPATH=str(tmp_path))
    assert (answer.returncode, answer.stderr) == (130, "harness: interrupted\n")
