"""Every definition of the suite for real: counted on one server, and run natively to see that it does what it says."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import GroupedSetup, GroupedStmts, Statements
from harness.engine import client
from harness.errors import CountError
from harness.inside.definitions import Language
from harness.inside.pytorch import built_files
from harness.inside.pytorch.statements import python_functions
from harness.protocol import Counted
from harness.pytorch import builds
from harness.suite import counting
from harness.suite.selection import find
from tests.conftest import ROOT
from tests.inside.test_definitions import GROUPS, group

pytestmark = pytest.mark.torch

SAMPLE = [
    ("pointwise.Pointwise", ("Math/add/1", "Python", "Eager", "Forward", 1)),
    ("pointwise.Pointwise", ("Math/add/1", "C++", "Eager", "Forward", 1)),
    ("nn_modules.NNModules", ("Linear", "Python", "TorchScript", "Forward", 1)),
    ("nn_modules.Training", ("simple", "C++", "TorchScript", "Forward + Backward", 1)),
    ("nn_modules.Training", ("simple", "Python", "Eager", "Forward + Backward", 1)),
]
#: In both languages and in both runtimes; one statement does not compile, one fails, one does nothing.
FAULTY = """
from harness import GroupedSetup, GroupedStmts, Statements

X = GroupedSetup("x = torch.ones(4)", "auto x = torch::ones({4});")
PAST = '''
    void *pieces[2000];
    volatile long many = {};
    for (long number = 0; number < many; number++)
        pieces[number] = malloc(16 * (number * 37 % 250) + 8);
    for (long number = 0; number < many; number += 3)
        free(pieces[number]);
'''
ALLOCATES = '''
    void *volatile aligned = aligned_alloc(64, 3008);
    void *volatile small = malloc(200);
    free(aligned);
    free(small);
'''
MANY = GroupedSetup("x = torch.ones(1 << 20)", "auto x = torch::ones({1 << 20});")


class Faulty(Statements):
    calls = 2
    definitions = {
        "right": GroupedStmts("x + 1", "x + 1;", X),
        "wrong": GroupedStmts("nowhere(x)", "nowhere(x);", X),
        "raises": GroupedStmts("x.view(3)", "x.view({3});", X),
        "allocates": GroupedStmts("1 + 1", ALLOCATES, GroupedSetup("", PAST.format(0))),
        "allocates after others": GroupedStmts("1 + 1", ALLOCATES, GroupedSetup("", PAST.format(2000))),
        "threads": GroupedStmts("x.add_(1)", "x.add_(1);", MANY, num_threads=(1, 2)),
    }
"""


def examples_in_docs() -> list[str]:
    """The benchmarks that a reader may copy, each a whole file."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return [found for page in pages for found in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> Path:
    """The benchmarks; beside them faulty statements, and the examples in docs as files."""
    folder = tmp_path_factory.mktemp("statements") / "statement_suite"
    shutil.copytree(ROOT / "benchmarks", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "faulty.py").write_text(FAULTY)
    for number, example in enumerate(examples_in_docs()):
        (folder / f"example{number}.py").write_text(example)
    return folder


def serve(suite: Path, counter: str):
    configuration = counting.configuration_for(find(suite, GROUPS[0]), ahead="nothing", counter=counter)
    return client.session(configuration)


@pytest.fixture(scope="module")
def reference(suite) -> dict[tuple, Counted]:
    with serve(suite, "callgrind") as directory:
        return {case: counting.ask(find(suite, case[0]), case[1], directory) for case in SAMPLE}


@pytest.fixture(scope="module")
def server(suite, reference):
    with serve(suite, "readable") as directory:
        yield directory


@pytest.fixture(scope="module")
def counted(suite, server) -> dict[tuple, Counted]:
    """All 181 cases."""
    cases = [(name, params) for name in GROUPS for params in group(name).choices()]
    with ThreadPoolExecutor(len(cases)) as pool:
        asked = [pool.submit(counting.ask, find(suite, name), params, server) for name, params in cases]
        return dict(zip(cases, (one.result() for one in asked), strict=True))


def test_every_group_of_the_suite_is_counted_here():
    for path in (ROOT / "benchmarks").glob("*.py"):
        for name in re.findall(r"^class (\w+)\(Statements\)", path.read_text(), re.MULTILINE):
            assert f"{path.stem}.{name}" in GROUPS


def test_all_181_cases_are_counted(counted):
    assert len(counted) == 181
    assert all(found.instructions_per_call > 0 for found in counted.values())


def test_python_costs_more_than_cpp_and_backward_more_than_forward(counted):
    for (name, params), found in counted.items():
        case, language, runtime, autograd, threads = params
        cpp = counted.get((name, (case, "C++", runtime, autograd, threads)))
        if language == "Python" and cpp is not None:
            assert found.instructions_per_call > cpp.instructions_per_call, (name, params)
        both = counted.get((name, (case, language, runtime, "Forward + Backward", threads)))
        if autograd == "Forward" and both is not None:
            assert both.instructions_per_call > 2 * found.instructions_per_call, (name, params)


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: " ".join([case[0], *map(str, case[1])]))
def test_both_counters_count_the_same(reference, counted, case):
    first, second = reference[case].instructions_per_call, counted[case].instructions_per_call
    assert second == pytest.approx(first, rel=1e-3)


def test_counting_again_gives_the_same_to_the_instruction(suite, server, counted):
    for name, params in SAMPLE:
        again = counting.ask(find(suite, name), params, server)
        assert again.total == counted[name, params].total, (name, params)


def test_a_statement_that_is_wrong_costs_its_own_case_only(suite, server):
    def ask(case, language):
        return counting.ask(find(suite, "faulty.Faulty"), (case, language, "Eager", "Forward", 1), server)

    assert ask("right", "C++").instructions_per_call > 0
    with pytest.raises(CountError, match="(?s)the C.. statement does not compile.*nowhere.x.;.*not declared"):
        ask("wrong", "C++")
    with pytest.raises(CountError, match="NameError: name 'nowhere' is not defined"):
        ask("wrong", "Python")
    with pytest.raises(CountError, match="shape '.3.' is invalid"):
        ask("raises", "C++")


def test_what_a_cpp_statement_allocates_costs_the_same_whatever_its_setup_left_free(suite, server):
    one, other = (
        counting.ask(find(suite, "faulty.Faulty"), (case, "C++", "Eager", "Forward", 1), server)
        for case in ("allocates", "allocates after others")
    )
    assert one.total == other.total > 500


@pytest.mark.parametrize("language", ["Python", "C++"])
def test_the_instructions_of_all_threads_are_counted(suite, server, language):
    one, two = (
        counting.ask(find(suite, "faulty.Faulty"), ("threads", language, "Eager", "Forward", threads), server)
        for threads in (1, 2)
    )
    # A million elements: the loop over them is most of it, whoever runs it; half would be missing.
    assert two.instructions_per_call > 0.95 * one.instructions_per_call > 100_000


def test_the_examples_in_docs_are_counted(suite, server):
    examples = [re.search(r"^class (\w+)\(", example, re.MULTILINE) for example in examples_in_docs()]
    assert len(examples) == 3
    for number, example in enumerate(examples):
        found = find(suite, f"example{number}.{example[1]}")
        for params in found.choices():
            if "cuda" not in params:
                assert counting.ask(found, params, server).instructions_per_call > 0


# That the work happens, natively.


@pytest.mark.parametrize("name", GROUPS)
def test_every_python_statement_runs_and_the_empty_one_does_nothing(name, tmp_path, monkeypatch):
    import torch

    workload_class = group(name)
    builds.save_models({n: source for source, n in workload_class._models().items()}, tmp_path)
    for case in workload_class.cases:
        if case.args.language != Language.PYTHON:
            continue
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        if case.model:
            Path("jit_model.pt").symlink_to(built_files.find(tmp_path, workload_class._models()[case.model]))
        work, nothing = python_functions(case)
        space = work.__globals__
        before = {name: value for name, value in space.items() if isinstance(value, torch.Tensor)}
        versions = {name: tensor._version for name, tensor in before.items() if not tensor.is_inference()}
        work()
        assert nothing() is None and torch.get_num_threads() == case.args.num_threads
        if re.match(r"x(\[.*\])? [+*]?= |x\.(copy_|zero_|uniform_)|.*out=x", case.args.stmt) and "False" not in (
            case.args.stmt
        ):
            assert space["x"]._version > versions["x"], case.args.stmt
        if "backward" in case.args.stmt:
            assert space["w0"].grad is not None and space["w1"].grad is not None


def test_a_statement_finds_what_its_setup_made_and_may_bind_names_anew():
    class Counting(Statements):
        definitions = {"count": GroupedStmts("x += 1\ny = x", setup=GroupedSetup("x = 1"))}

    work, _ = python_functions(Counting.cases[0])
    work()
    work()
    assert work.__globals__["x"] == 3 and work.__globals__["y"] == 3
