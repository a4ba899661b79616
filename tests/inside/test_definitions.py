"""Definitions and what they expand to: every rule, its error, and PyTorch's own suite to the letter. Pure."""

import hashlib
import importlib
import json
import textwrap

import pytest

from harness import (
    GroupedModules,
    GroupedSetup,
    GroupedStmts,
    GroupedVariants,
    SuiteError,
    TimerArgs,
    materialize,
    parse_stmts,
)
from harness.inside.definitions import Language
from harness.inside.expansion import flatten

GROUPS = [
    "operators.Empty",
    "pointwise.Pointwise",
    "operators.Reduction",
    "indexing.Indexing",
    "views.MetadataAndViews",
    "nn_modules.NNModules",
    "nn_modules.Training",
    "operators.InferenceMode",
]
#: The constant in PyTorch's own CI script, by which it tells that its suite is the standard one.
STANDARD_MD5 = "4d55e8abf881ad38bb617a96714c1296"


def group(name):
    module, _, workload = name.partition(".")
    return getattr(importlib.import_module(f"benchmarks.{module}"), workload)


def only(definition):
    return materialize({"it": definition})


# The standard suite


def test_the_suite_is_pytorchs_own_key_by_key():
    cases = [case for name in GROUPS for case in group(name).cases]
    assert hashlib.md5("".join(case.key for case in cases).encode()).hexdigest() == STANDARD_MD5
    assert json.loads(cases[0].key) == {
        "label": ["Empty", "no allocation"],
        "autolabels": {"runtime": "Eager", "autograd": "Forward", "language": "Python"},
        "num_threads": 1,
    }


def test_the_suite_has_72_definitions_and_181_cases():
    definitions = [len(flatten(group(name).definitions)) for name in GROUPS]
    assert definitions == [8, 22, 3, 16, 8, 10, 2, 3]
    cases = [case for name in GROUPS for case in group(name).cases]
    assert len(cases) == 181
    assert sum(case.args.language == Language.PYTHON for case in cases) == 86


@pytest.mark.parametrize("name", GROUPS)
def test_every_case_is_a_choice_of_asvs_parameters_and_all_else_is_skipped(name):
    workload = group(name)
    assert workload.param_names == ("case", "language", "runtime", "autograd", "threads")
    assert len(workload.choices()) == len(workload.cases)
    assert set(workload.choices()).isdisjoint(workload.skip_params)
    assert len(workload.product()) == len(workload.choices()) + len(workload.skip_params)


def test_names_say_where_in_pytorchs_suite_a_case_is_from():
    names = group("pointwise.Pointwise").params[0]
    assert names[:2] == ["Math/add/0", "Math/add/1"] and names[-1] == "Data movement/RNG"
    case = next(case for case in group("pointwise.Pointwise").cases if case.args.stmt == "torch.add(x, y_float)")
    assert case.label == ("Pointwise", "Math", "add", "Case:  5")


# Expansion


def test_expansion_goes_by_runtime_then_autograd_then_language_then_threads():
    setup = GroupedSetup("x = torch.ones(1)", "auto x = torch::ones({1});")
    cases = only(GroupedStmts("y = x + 1", "auto y = x + 1;", setup, "f(x) -> y", True, True, (1, 2)))
    found = [(c.auto_labels.runtime.value, c.auto_labels.autograd.value, c.args.language.value) for c in cases[::2]]
    assert found == [
        (runtime, autograd, language)
        for runtime in ("Eager", "TorchScript")
        for autograd in ("Forward", "Forward + Backward")
        for language in ("Python", "C++")
    ]
    assert [case.args.num_threads for case in cases] == [1, 2] * 8
    assert [case.model is None for case in cases] == [True] * 8 + [False] * 8


def test_statements_are_called_scripted_and_gone_back_from():
    setup = GroupedSetup("x = torch.ones(1)", "auto x = torch::ones({1});")
    cases = only(GroupedStmts("y = x + 1", "auto y = x + 1;", setup, "f(x) -> y", True, True))
    vector = "std::vector<torch::jit::IValue> ivalue_inputs({torch::jit::IValue(x)});"
    assert [case.args.stmt for case in cases] == [
        "y = x + 1",
        "auto y = x + 1;",
        "y = x + 1\ny.backward()",
        "auto y = x + 1;\ny.backward();",
        "y = jit_model(x)",
        f"{vector}\nauto y = jit_model.forward(ivalue_inputs);",
        "y = jit_model(x)\ny.backward()",
        f"{vector}\nauto y = jit_model.forward(ivalue_inputs);\ny.toTensor().backward();",
    ]
    assert cases[4].model == "def model(x):\n    y = x + 1\n    return y\n"
    assert cases[6].args.setup == (
        'x = torch.ones(1)\njit_model = torch.jit.load("jit_model.pt")\n'
        "for _ in range(3):\n    y = jit_model(x)\n    y.backward()"
    )
    assert "torch/script.h" in cases[5].args.global_setup
    assert {case.args.global_setup for case in cases[:5]} == {""}


def test_a_module_is_called_the_way_its_users_call_it():
    python, cpp = only(
        GroupedModules("model = torch.nn.ReLU()", "auto model = torch::nn::ReLU();", signature="f(x, y) -> z")
    )
    assert (python.args.stmt, cpp.args.stmt) == ("z = model(x, y)", "auto z = model->forward(x, y);")
    assert python.args.setup == "model = torch.nn.ReLU()"
    (silent,) = only(GroupedModules("def model(x):\n    x += 1", signature="f(x) -> None"))
    assert silent.args.stmt == "model(x)"


def test_variants_are_paired_by_position_under_one_label():
    variants = GroupedVariants(
        """
        # @setup
        x = 1
        # @one
        x + 1
        # @two
        x + 2

        # a comment takes a line's place
        x + 3
        """,
        """
        // @Setup
        auto x = 1;
        // @two
        x + 20;
        x + 21;
        // @global setup
        #include <nowhere>
        // @three
        x + 30;
        """,
    )
    found = {label: dict(definition.eager) for label, definition in variants.items()}
    assert found == {
        ("one",): {Language.PYTHON: "x + 1", Language.CPP: None},
        ("two", "Case:  0"): {Language.PYTHON: "x + 2", Language.CPP: "x + 20;"},
        ("two", "Case:  1"): {Language.PYTHON: None, Language.CPP: "x + 21;"},
        ("two", "Case:  2"): {Language.PYTHON: "x + 3", Language.CPP: None},
        ("three",): {Language.PYTHON: None, Language.CPP: "x + 30;"},
    }
    assert {definition.setup for definition in variants.values()} == {GroupedSetup("x = 1\n", "auto x = 1;")}


def test_side_by_side_statements_are_told_apart_by_their_column():
    block = f"""
        {"Python":<40} | C++
        {"-" * 40} | {"-" * 20}
        {"x += 1":<40} | x += 1;
        {"":<40} | x += 2;
    """
    assert parse_stmts(block) == ("x += 1", "x += 1;\nx += 2;")
    assert [case.args.stmt for case in only(GroupedStmts(*parse_stmts(block)))] == ["x += 1", "x += 1;\nx += 2;"]


def test_labels_nest_and_none_adds_nothing():
    leaf = GroupedStmts("pass")
    flat = flatten({"a": {None: leaf, "b": leaf, ("c", "d"): {"e": leaf}}})
    assert list(flat) == [("a",), ("a", "b"), ("a", "c", "d", "e")]


def test_explicit_arguments_are_passed_through():
    args = TimerArgs("x + 1", setup="x = 1", num_threads=3)
    (case,) = only(args)
    assert case.args is args
    assert json.loads(case.key)["autolabels"] == {"runtime": "", "autograd": "", "language": "Python"}


# What is wrong


def grouped(**changed):
    fields = {"py_stmt": "y = x", "signature": "f(x) -> y", **changed}
    return GroupedStmts(**fields)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: grouped(signature="f(x)"), "'f(x)' is not of the form f(a, b) -> c"),
        (lambda: grouped(signature="g(x) -> y"), "is not of the form"),
        (lambda: grouped(signature="f(x) -> y, z"), "more than one output"),
        (lambda: grouped(signature="f(x, 1) -> y"), "'1' is not a name"),
        (lambda: grouped(signature="f(x) -> None", autograd=True), "autograd=True needs an output"),
        (lambda: grouped(signature=None, autograd=True), "autograd=True needs an output"),
        (lambda: grouped(signature=None, torchscript=True), "torchscript=True needs a signature"),
        (lambda: grouped(py_stmt=None, cpp_stmt="x;", torchscript=True), "torchscript=True needs py_stmt"),
        (lambda: grouped(py_stmt=None), "needs a statement"),
        (lambda: grouped(num_threads=0), "num_threads is 0"),
        (lambda: grouped(num_threads=(1, 1)), "num_threads is .1, 1."),
        (lambda: grouped(num_threads=()), "num_threads is"),
        (lambda: GroupedModules("model = 1"), "a module needs a signature"),
        (lambda: GroupedModules(signature="f(x) -> y"), "a module needs a model"),
        (lambda: GroupedModules("net = 1", signature="f(x) -> y"), "this Python code defines no `model`"),
        (lambda: GroupedModules("print(model)", signature="f(x) -> y"), "this Python code defines no `model`"),
        (lambda: GroupedModules("model =", signature="f(x) -> y"), "this Python code does not parse"),
        (lambda: GroupedModules(cpp_model="auto net = 1;", signature="f(x) -> y"), "this C.. code defines no `model`"),
        (
            lambda: GroupedModules(cpp_model="auto model = 1;", signature="f(x) -> y", torchscript=True),
            "torchscript=True needs py_model",
        ),
        (
            lambda: GroupedModules("model = 1", setup=GroupedSetup("model = 2"), signature="f(x) -> y"),
            "the Python setup defines model, a name that this definition's own code uses",
        ),
        (lambda: grouped(torchscript=True, setup=GroupedSetup("jit_model = 2")), "the Python setup defines jit_model"),
        (
            lambda: grouped(torchscript=True, setup=GroupedSetup(cpp_setup="auto jit_model = 2;")),
            "the C.. setup defines jit_model",
        ),
        (lambda: grouped(setup=GroupedSetup("torch = 2")), "the Python setup defines torch"),
        (lambda: GroupedVariants("# @global setup\nimport os"), "Python has no global setup"),
        (lambda: GroupedVariants("x + 1"), "comes before the first label"),
        (lambda: flatten({"a": {"b": grouped()}, ("a", "b"): grouped()}), "two definitions have the label 'a > b'"),
        (lambda: flatten({1: grouped()}), "a label is a string"),
        (lambda: flatten({"a": "x + 1"}), "'a' holds neither a definition nor more labels, but 'x . 1'"),
        (lambda: parse_stmts("x += 1 | x += 1;"), "begins with `Python | C..`"),
    ],
)
def test_a_wrong_definition_is_refused_with_a_sentence(make, sentence):
    with pytest.raises(SuiteError, match=sentence.replace("(", r"\(").replace(")", r"\)").replace("|", r"\|")):
        make()


def test_a_row_off_its_column_is_refused():
    block = f"{'Python':<40} | C++\n{'-' * 40} | ---\n{'x += 1':<39} | x += 1;"
    with pytest.raises(SuiteError, match="40 columns of Python"):
        parse_stmts(textwrap.dedent(block))


def test_two_cases_that_would_have_one_name_are_refused():
    from harness import Statements

    with pytest.raises(SuiteError, match="has two cases that would be named .'a/b'"):

        class Twice(Statements):
            definitions = {"a": {"b": GroupedStmts("pass")}, "a/b": GroupedStmts("pass")}


def test_an_error_in_a_group_names_the_group():
    from harness import Statements

    with pytest.raises(SuiteError, match="test_definitions.*Wrong: 'Wrong > a' holds neither"):

        class Wrong(Statements):
            definitions = {"a": 1}
