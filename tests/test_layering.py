"""The house plan that harness/__init__.py tells, held against the imports."""

import ast
import re
from pathlib import Path

import pytest

import harness
from tests.conftest import ROOT

FILES = sorted((ROOT / "harness").glob("*.py"))


def imports_of(path: Path) -> set[str]:
    """The harness's own modules that a file imports, by their short names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "harness":
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("harness."):
            found.add(node.module.removeprefix("harness."))
        elif isinstance(node, ast.Import):
            found.update(a.name.removeprefix("harness.") for a in node.names if a.name.startswith("harness"))
    return found


def floors() -> list[set[str]]:
    """The floors of the plan in the door's docstring, uppermost first."""
    plan = re.findall(r"^    ([a-z_, ]+?)  +\S", harness.__doc__ or "", re.MULTILINE)
    return [set(re.split(r",\s*", floor.strip())) for floor in plan]


def test_the_plan_names_every_module():
    planned = set().union(*floors())
    assert planned == {path.stem for path in FILES} - {"__init__", "__main__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_modules_import_from_their_floor_or_below(path):
    plan = floors()
    if path.stem in ("__init__", "__main__"):
        return
    own = next(number for number, floor in enumerate(plan) if path.stem in floor)
    allowed = set().union(*plan[own:]) - {path.stem}
    if path.stem == "rules":
        allowed.discard("torch_rules")  # known there by name only, imported when a suite asks
    assert imports_of(path) <= allowed


def test_no_two_modules_import_each_other():
    graph = {path.stem: imports_of(path) for path in FILES}

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        return any(
            step == goal or (step not in seen and reaches(step, goal, seen | {step})) for step in graph.get(start, ())
        )

    assert [name for name in graph if name != "__init__" and reaches(name, name, set())] == []


def test_asker_and_server_share_only_messages_and_errors():
    assert imports_of(ROOT / "harness/session.py") & imports_of(ROOT / "harness/server.py") <= {"messages", "errors"}


def test_bisecting_and_probing_process_share_only_messages_and_git():
    bisecting = imports_of(ROOT / "harness/search.py") | imports_of(ROOT / "harness/prober.py")
    assert bisecting & imports_of(ROOT / "harness/probing.py") <= {"messages", "errors", "git"}


def test_only_rooms_named_for_it_know_asv():
    for path in FILES:
        if not path.stem.startswith("asv_"):
            assert not re.search(r"^\s*(import|from) asv\b", path.read_text(), re.MULTILINE), path


def test_only_rooms_named_for_it_know_torch():
    for path in FILES:
        text = path.read_text()
        if not path.stem.startswith("torch_"):
            assert not re.search(r"^\s*(import|from) torch|import_module\(.torch", text, re.MULTILINE), path


def test_they_import_torch_only_when_called():
    for path in (ROOT / "harness").glob("torch_*.py"):
        tree = ast.parse(path.read_text())
        names = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not any(re.search(r"\btorch\b", name.replace("harness", "")) for name in names), path


def test_benchmarks_import_only_the_door():
    for path in (ROOT / "benchmarks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness"):
                assert node.module == "harness", path
                assert {alias.name for alias in node.names} <= set(harness.__all__), path


def test_the_door_is_sorted_and_frozen():
    assert harness.__all__ == sorted(harness.__all__)
    assert harness.__all__ == [
        "CaseSkipped",
        "Compiling",
        "CountError",
        "GroupedModules",
        "GroupedSetup",
        "GroupedStmts",
        "GroupedVariants",
        "HarnessError",
        "StartError",
        "Statements",
        "SuiteError",
        "TimerArgs",
        "Workload",
        "count",
        "materialize",
        "parse_stmts",
    ]


def test_files_stay_readable():
    long = {path.name: len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}
