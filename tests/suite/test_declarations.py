"""What is wrong with a class is told when it is made, with its file and line; no server is started."""

from __future__ import annotations

import importlib
import sys

import pytest

from harness import Workload
from harness.errors import SuiteError
from harness.suite.selection import find

HEAD = "import abc\nfrom harness import Compiling, Statements, Workload\n"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """made(text): the module of a suite with this text, imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "declared").mkdir()

    def make(text, rules="plain"):
        (tmp_path / "declared" / "__init__.py").write_text(f"RULES = {rules!r}\n")
        (tmp_path / "declared" / "module.py").write_text(HEAD + text)
        importlib.invalidate_caches()
        return importlib.import_module("declared.module")

    yield make
    for name in ("declared", "declared.module"):
        sys.modules.pop(name, None)


WORK = "    def work(self):\n        return 1\n"


def declared(*lines: str, base: str = "Workload") -> str:
    """A class with these lines and a `work`."""
    return f"class A({base}):\n" + "".join(f"    {line}\n" for line in lines) + WORK


def method(name: str) -> str:
    return f"def {name}(self): pass"


ONE, TWO = "params = [[1]]", "params = [[1], [2]]"
WRONG = {
    f"class A(Workload):\n    {method('wrok')}\n": r"it has no `work` \(is `wrok` misspelled.*; a class that is a "
    r"base for others says so: class A\(Workload, abc.ABC\)",
    "class A(Workload):\n    pass\n": "it has no `work`; a class",
    declared(method("set_up")): "it has no `setup`, but `set_up`: is that misspelled?",
    declared(method("warmup")): "it has no `warm_up`, but `warmup`: is that misspelled?",
    declared("params = [1, 2]"): "it has 1 lists of params and 0 param_names: none",
    declared(TWO, "param_names = ['a']"): "it has 2 lists of params and 1 param_names: a",
    declared(TWO, "param_names = 'ab'"): "its param_names are 'ab'; they are a list of names",
    declared(TWO, "param_names = ['a', 'a']"): "two of its param_names are the same",
    declared("params = {1, 2}", "param_names = ['a']"): "its params hold a set, whose order is another",
    declared("params = [{1, 2}]", "param_names = ['a']"): "its params hold a set, whose order is another",
    declared(
        "params = iter('ab')", "param_names = ['a']"
    ): "its params are of type str_ascii_iterator; they are a list",
    declared("params = [[1], []]", "param_names = ['a', 'b']"): "its parameter 'b' has no values",
    declared("calls = 0"): "its `calls` is 0; it takes a whole number from 1 up",
    declared("calls = True"): "its `calls` is True; it takes a whole number",
    declared("layouts = 2.0"): "its `layouts` is 2.0; it takes a whole number",
    declared("limit_seconds = -1"): "its `limit_seconds` is -1; it takes a number of seconds above 0",
    declared("region = 'compile'"): "its region is 'compile'; the suite's rules know work",
    declared("small = {'sise': 1}", "size = 2"): "its `small` names 'sise', an attribute that neither the class nor",
    declared() + "\n" + declared(): "a class of the same name is made in line 3",
    "class A(Statements):\n    label = 'x'\n": "it has no `definitions`",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_fault_is_told_with_file_and_line(made, text):
    with pytest.raises(SuiteError, match=WRONG[text]) as error:
        made(text)
    line = text[: text.rindex("class A")].count("\n") + HEAD.count("\n") + 1
    assert f"declared/module.py:{line}: A: " in str(error.value)


def test_all_faults_of_a_class_are_told_at_once(made):
    with pytest.raises(SuiteError, match="it has no `work`.*its `calls` is 0.*its `layouts` is None"):
        made("class A(Workload):\n    calls = 0\n    layouts = None\n")


RIGHT = [
    declared(),
    f"class A(Workload, abc.ABC):\n    calls = 3\n\nclass B(A):\n{WORK}",
    f"class A(Workload):\n    @abc.abstractmethod\n    {method('part')}\n",
    declared("small = {'size': 1}", "def setup(self): self.size = 3"),
    declared("params = (1, 2)", "param_names = ('a',)"),
    declared(method("_setup")),
    declared(method("prepare_inputs")),
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_made(made, text):
    assert made(text).A


def test_a_region_of_torch_is_known_to_its_rules(made):
    assert made(declared(base="Compiling"), "torch").A.region == "compile"


# What the text tells without an import

FOREIGN = "import nowhere_to_be_found\n"
LATE = FOREIGN + (
    "class Base(Workload, abc.ABC):\n    params = ['cpu', 'cuda']\n    param_names = ['device']\n\n"
    f"class A(Base):\n{WORK}\nclass Compiles(Compiling):\n{WORK}\n"
    f"class Made(Workload):\n    params = sorted(['a', 'b'])\n    param_names = ['letter']\n{WORK}"
)


@pytest.mark.parametrize(
    ("name", "assignments", "sentence"),
    [
        (
            "module.A",
            ["device=cup"],
            r"module\.A has no device=cup; its device is one of cpu, cuda \(did you mean 'cpu'\?\)",
        ),
        ("module.A", ["devise=cpu"], r"with a name of \['device'\] \(did you mean 'device'\?\)"),
        ("module.Compiles", ["device=cup"], "its device is one of cpu, cuda"),
        ("module.Compile", [], r"declared\.module has A, Compiles, Made \(did you mean 'Compiles'\?\)"),
        ("modul.A", [], r"it has no 'modul' \(did you mean 'module'\?\)"),
        ("A", [], "name it as asv does"),
        ("module.Made", ["letter=c"], "needs 'nowhere_to_be_found', which this environment lacks"),
        ("module.A", ["device=cpu", "device=cuda"], "'device' is given twice, as 'cpu' and as 'cuda'"),
    ],
)
def test_a_wrong_word_is_told_before_anything_is_imported(made, tmp_path, name, assignments, sentence):
    with pytest.raises(ModuleNotFoundError):
        made(LATE)
    with pytest.raises(SuiteError, match=sentence):
        find(tmp_path / "declared", name, assignments)


@pytest.mark.torch_native
def test_the_suites_own_benchmarks_are_foreseen_as_they_are():
    from pathlib import Path

    from harness.engine import source
    from harness.suite import cases, static_declarations
    from tests.conftest import ROOT

    sys.path.insert(0, str(ROOT))
    read = source.of_files_in(ROOT)
    told = 0
    for path in sorted(Path(ROOT, "benchmarks").glob("[!_]*.py")):
        module = importlib.import_module(f"benchmarks.{path.stem}")
        for name in static_declarations.classes(module.__name__, read):
            found = static_declarations.declared(
                module.__name__, name, read, {base.__name__: base for base in cases.base_classes()}
            )
            if found is not None and issubclass(getattr(module, name), Workload):
                assert found.params == getattr(module, name).parameters() or not getattr(module, name).params, name
                assert found.names == tuple(getattr(module, name).param_names), name
                told += 1
    assert told >= 20
