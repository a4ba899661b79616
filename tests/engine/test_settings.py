"""The user's settings are read in one module, and each value that means nothing is refused in one sentence."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
from pathlib import Path

import pytest

from harness import cli
from harness.engine import settings
from harness.engine.settings import Settings
from harness.errors import SuiteError
from tests.conftest import ROOT

VARIABLES = {name: value for name, value in vars(settings).items() if str(value).startswith("HARNESS_")}
#: Which modules hand variables on: to asv's processes, and to asv's configuration of an environment. The last one reads
#: what they were in asv's results.
SETTERS = {"cli/bench.py", "asv_plugin/results.py", "asv_plugin/history.py"}


def test_what_the_environment_does_not_say_is_a_default():
    found = Settings.from_environment({})
    assert found == Settings() and dataclasses.replace(found, cores=1) == Settings(cores=1)
    assert (found.counter, found.ahead, found.suite, found.resume) == ("callgrind", "benchmark", "default", False)
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.bench.search("any name") and found.progress is None and found.wheels is None


def test_each_variable_sets_its_own_field_and_no_other():
    said = {
        "counter": ("readable", "readable"),
        "cores": ("3", 3),
        "ahead": ("nothing", "nothing"),
        "suite": ("full", "full"),
        "bench": ("^a", re.compile("^a")),
        "resume": ("1", True),
        "progress": ("events", Path("events")),
        "wheels": ("wheels.txt", Path("wheels.txt")),
        "native": ("0", False),
    }
    assert said.keys() == {field.name for field in dataclasses.fields(Settings)}
    assert {f"HARNESS_{field.upper()}" for field in said} == set(VARIABLES.values())
    for field, (text, value) in said.items():
        found = Settings.from_environment({f"HARNESS_{field.upper()}": text})
        assert found == dataclasses.replace(Settings(), **{field: value})


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("COUNTER", "callgrnd", "known are callgrind, readable, frames and opcodes"),
        ("COUNTER", "", "known are callgrind, readable, frames and opcodes"),
        ("CORES", "0", "it takes a whole number from 1 up"),
        ("CORES", "two", "it takes a whole number from 1 up"),
        ("CORES", "²", "it takes a whole number from 1 up"),
        ("AHEAD", "everything", "known are nothing, benchmark and suite"),
        ("SUITE", "huge", "known are quick, default and full"),
        ("BENCH", "(", "it takes a regular expression, and this is none: missing )"),
        ("RESUME", "yes", "it takes 1, or 0 as if it were not set"),
    ],
)
def test_a_value_that_means_nothing_is_refused_with_the_cure(variable, value, sentence):
    with pytest.raises(SuiteError) as refusal:
        Settings.from_environment({f"HARNESS_{variable}": value})
    assert str(refusal.value).startswith(f"HARNESS_{variable} is {value!r}; {sentence}")


def test_an_empty_path_and_a_switch_that_is_off_are_as_if_they_were_not_set():
    assert (
        Settings.from_environment({"HARNESS_RESUME": "0", "HARNESS_WHEELS": "", "HARNESS_PROGRESS": ""}) == Settings()
    )


def test_no_other_module_reads_these_variables():
    """Reading one takes its name: as text, of which only sentences have more, or from settings, for a child process."""
    for path in sorted((ROOT / "harness").rglob("*.py")):
        name = str(path.relative_to(ROOT / "harness"))
        if name == "engine/settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.fullmatch(r"HARNESS_\w*", node.value), f"{name}, line {node.lineno}"
            if isinstance(node, ast.Call | ast.Subscript) and "environ" in ast.unparse(node).partition("(")[0]:
                assert not re.search(r"\bsettings\.[A-Z]+", ast.unparse(node)), f"{name}, line {node.lineno}"
            if isinstance(node, ast.ImportFrom) and node.module == "harness.engine.settings":
                assert not VARIABLES.keys() & {alias.name for alias in node.names}, name
            if isinstance(node, ast.Attribute) and node.attr in VARIABLES and ast.unparse(node.value) == "settings":
                assert name in {*SETTERS, "cli/parser.py"}, f"{name}, line {node.lineno}"


def test_the_option_for_wheels_comes_before_the_variable(monkeypatch):
    from harness.cli.parser import wheels_of

    monkeypatch.setenv("HARNESS_WHEELS", "variable")
    assert wheels_of(cli.parsed(["overlay"])) == Path("variable")
    assert wheels_of(cli.parsed(["overlay", "--wheels", "option"])) == Path("option")
    monkeypatch.delenv("HARNESS_WHEELS")
    assert wheels_of(cli.parsed(["overlay"])) is None


def test_a_bad_value_ends_a_command_with_one_sentence(monkeypatch, capsys):
    monkeypatch.setenv("HARNESS_CORES", "many")
    assert cli.main(["overlay", str(ROOT)]) == 1
    assert capsys.readouterr().err == "harness: HARNESS_CORES is 'many'; it takes a whole number from 1 up\n"
