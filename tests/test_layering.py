"""The house plan that harness/__init__.py tells, held against the imports: also those inside functions, and those that
a package's `__init__` makes for whoever imports a module of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import harness
from tests.conftest import ROOT

HOUSE = ROOT / "harness"
FILES = sorted(HOUSE.rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}
#: Both ends of the harness share these, and nothing else.
SHARED = {"harness.errors", "harness.protocol"}
#: In the scratch folder this file is the package's door.
DOOR_INSIDE = HOUSE / "inside/door.py"


def name_of(path: Path) -> str:
    return next(name for name, other in MODULES.items() if other == path)


def imports_of(path: Path) -> set[str]:
    """The harness's own modules that a file names in its imports, wherever they stand; what it gets through the door is
    imported from where that lies."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if node.module == "harness" and alias.name in harness._LIES_IN:
                    found.add(f"harness.{harness._LIES_IN[alias.name]}")
                else:
                    found.add(whole if whole in MODULES else str(node.module))
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name in MODULES} - {"harness"}


def package_of(module: str) -> str:
    """Where a module lies in the plan: its package, or what stands beside the packages."""
    return module.split(".")[1]


def floors() -> list[set[str]]:
    """The floors of the plan in the door's docstring, uppermost first."""
    plan = re.findall(r"^    ([a-z_, ]+?)  +\S", harness.__doc__ or "", re.MULTILINE)
    return [set(re.split(r",\s*", floor.strip())) for floor in plan]


def test_the_plan_names_every_package():
    planned = [name for floor in floors() for name in floor]
    assert sorted(planned) == sorted({package_of(name) for name in MODULES if "." in name} - {"__main__"})


def test_the_manual_shows_the_same_plan():
    text = (ROOT / "docs/contributing.md").read_text()
    (drawn,) = re.findall(r"```text\nasks (.*?)is asked(.*?)```", text, re.DOTALL)
    assert [set(line.split()) for line in "".join(drawn).splitlines()] == floors()
    described = set(re.findall(r"^\| `harness/(\w+)", text, re.MULTILINE)) | set(re.findall(r", `harness/(\w+)", text))
    assert described >= set().union(*floors())


def test_every_package_says_in_a_sentence_what_it_is_and_imports_nothing_itself():
    for path in HOUSE.rglob("*/__init__.py"):
        if path.parent.name == "cli":
            continue  # the command line itself
        (sentence,) = ast.parse(path.read_text()).body
        assert isinstance(sentence, ast.Expr) and ast.literal_eval(sentence.value).endswith("."), path


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_packages_import_only_from_below(path):
    name = name_of(path)
    if name in ("harness", "harness.__main__"):
        return
    plan = floors()
    own = next(number for number, floor in enumerate(plan) if package_of(name) in floor)
    allowed = {package_of(name)}.union(*plan[own + 1 :])
    if name in SHARED:
        allowed = {"errors", "protocol"}
    assert {package_of(other) for other in imports_of(path)} <= allowed


def test_no_two_modules_import_each_other():
    graph = {name: imports_of(path) for name, path in MODULES.items()}

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        return any(
            step == goal or (step not in seen and reaches(step, goal, seen | {step})) for step in graph.get(start, ())
        )

    assert [name for name in graph if name != "harness" and reaches(name, name, set())] == []


@pytest.mark.parametrize("path", sorted((HOUSE / "inside").rglob("*.py")), ids=name_of)
def test_what_runs_under_valgrind_stands_alone(path):
    others = {name for name in imports_of(path) if not name.startswith("harness.inside")}
    assert others <= SHARED


def test_the_door_inside_has_every_name_that_the_door_has():
    tree = ast.parse(DOOR_INSIDE.read_text())
    (names,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert ast.literal_eval(names) == harness.__all__


def test_modules_that_are_imported_by_name_are_there():
    from harness.inside import rules
    from harness.profile import components

    for name in (*rules._ADAPTERS.values(), *components._LIBRARIES.values()):
        assert name in MODULES


def test_only_the_room_named_for_it_knows_asv():
    """But for the exception by which a benchmark process of asv's says that it skips."""
    skips = HOUSE / "suite/benchmark_process.py"
    for path in FILES:
        if "asv_plugin" not in path.parts:
            imports = re.findall(r"^\s*(?:import|from) (asv(?:_runner)?\b\S*)", path.read_text(), re.MULTILINE)
            assert imports == (["asv_runner.benchmarks.mark"] if path == skips else []), path


def test_what_an_author_declares_asks_stores_and_reads_nothing():
    path = HOUSE / "suite/cases.py"
    assert not {package_of(name) for name in imports_of(path)} & {"store"}
    assert not imports_of(path) & {"harness.engine.client", "harness.engine.settings"}
    assert "import os" not in path.read_text()


def private_names(tree: ast.AST) -> list[ast.Attribute]:
    """Where a file reaches for a name with one underscore before it."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
    ]


def test_asvs_private_parts_are_used_in_one_module():
    """Also on `self`, in classes that inherit from asv's, and where such a class overrides a method of asv's."""
    one = HOUSE / "asv_plugin/private_parts.py"
    names = {node.attr for node in private_names(ast.parse(one.read_text()))}
    assert {"_path", "_set_installed_commit_hash", "_run_git", "_color_text"} <= names
    for path in sorted(HOUSE.glob("asv_plugin/*.py")):
        tree = ast.parse(path.read_text())
        used = {ast.unparse(node) for node in private_names(tree) if ast.unparse(node.value) not in ("self", "cls")}
        used |= {ast.unparse(node) for node in private_names(tree) if node.attr in names}
        used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in names}
        assert path == one or not used, path


def test_only_rooms_named_for_it_know_torch():
    for path in FILES:
        if path.parent.name != "pytorch":
            assert not re.search(r"^\s*(import|from) torch|import_module\(.torch", path.read_text(), re.MULTILINE), path


def test_they_import_torch_only_when_called():
    for path in HOUSE.rglob("pytorch/*.py"):
        tree = ast.parse(path.read_text())
        names = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not any(re.match(r"(import|from) torch\b", name) for name in names), path


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
    assert all(getattr(harness, name).__name__ == name for name in harness.__all__)
    with pytest.raises(AttributeError, match="'harness' has no attribute 'Nothing'"):
        harness.Nothing  # noqa: B018


def test_importing_the_door_loads_few_modules():
    import subprocess
    import sys

    script = "import harness, sys; print(sum(name.partition('.')[0] == 'harness' for name in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(answer.stdout) <= 8


def test_files_stay_readable():
    long = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}
