"""Every workload natively, once: that what it says is compiled, dispatched or imported really is."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import Compiling, Statements
from harness.engine.environment import COUNTING_RULES
from harness.inside.pytorch import adapter
from harness.store.by_fingerprint import Table
from harness.suite.selection import all_workloads, find
from harness.system import asv_folder
from tests.conftest import ROOT

pytestmark = pytest.mark.torch_native
#: Imported by the first test of this file, so that whoever only looks for tests need not wait for it.
torch: Any = None
SUITE = ROOT / "benchmarks"
#: Those that test_counts_of_torch.py looks at, with the counters.
ELSEWHERE = {"AOTDispatcher", "InlineChain", "Add1", "Detach"}


def made(name: str, *params: Any) -> Any:
    """The workload, set up for this case and ready for `work`."""
    found = find(SUITE, name)
    assert params in found.choices()
    case: Any = found()
    case.setup(*params)
    case.prepare()
    return case


@pytest.fixture(autouse=True, scope="module")
def torch_is_imported() -> None:
    global torch
    torch = importlib.import_module("torch")


@pytest.fixture(autouse=True)
def as_if_new(torch_is_imported):
    """What a workload sets for its worker's whole life is undone, since here all live in one process."""
    import torch.distributed as dist
    import torch.fx.experimental._config as fx_config
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    stack_traces = torch.fx.config.do_not_emit_stack_traces
    precision = torch.get_float32_matmul_precision()
    with torch._dynamo.config.patch(), fx_config.patch():
        yield
    torch.fx.config.do_not_emit_stack_traces = stack_traces
    torch.set_float32_matmul_precision(precision)
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.fixture
def graphs(monkeypatch) -> list[Any]:
    """The graphs that Dynamo hands on; nothing is made of them, so that every backend is as quick as "eager"."""
    found: list[Any] = []
    real = torch.compile

    def backend(graph, inputs):
        found.append(graph)
        return graph.forward

    def compile(body: Callable[..., Any], **options: Any) -> Any:
        return real(body, **{**options, "backend": backend})

    monkeypatch.setattr(torch, "compile", compile)
    return found


@pytest.fixture
def programs(monkeypatch) -> list[Any]:
    """What torch.export gives."""
    found: list[Any] = []
    real = torch.export.export
    monkeypatch.setattr(torch.export, "export", lambda *given, **options: found.append(real(*given, **options)))
    return found


def called(graph: Any) -> Counter[str]:
    """How often each function and method is called in a graph, by the last part of its name."""
    names = (
        str(node.target) if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        for node in graph.graph.nodes
        if node.op in ("call_function", "call_method")
    )
    return Counter(name.removesuffix(".default").rpartition(".")[2] for name in names)


# AOTAutograd


def test_the_partitioner_gets_a_chain_of_a_hundred_products(graphs):
    case = made("aotdispatcher.Partitioner", "cpu")
    case.work()
    (graph,) = graphs
    assert called(graph) == {"matmul": 100, "sin": 200}
    assert sum(node.op == "placeholder" for node in graph.graph.nodes) == 101


def test_parallel_uses_feed_each_other_in_place(graphs):
    made("aotdispatcher.ParallelUses", "cpu").work()
    (graph,) = graphs
    found = called(graph)
    assert (found["sin"], found["mul"], found["isub"]) == (12, 12, 36)
    assert found["add"] + found["radd"] + found["iadd"] == 16 * 2 + 16


@pytest.mark.parametrize("name", ["Partitioner", "ParallelUses"])
def test_training_is_partitioned(name):
    from torch._dynamo.utils import counters

    made(f"aotdispatcher.{name}", "cpu").work()
    assert counters["aot_autograd"]["ok"] == 1 and not counters["graph_break"]


# Long graphs


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_add_loop_is_as_long_as_it_says(graphs, dynamic):
    case = made("loops.AddLoop", "eager", dynamic, 1000, "cpu")
    case.steps = 100
    case.work()
    (graph,) = graphs
    found = called(graph)
    assert (found["clone"], found["add"], found["mul"] + found["rmul"], found["sin"]) == (1, 34 + 33, 33, 33)
    assert find(SUITE, "loops.AddLoop").parameters()[2][-1] == 1000


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_mm_loop_multiplies_201_times_and_tunes(graphs, monkeypatch, dynamic):
    seen = []
    case = made("loops.MMLoop", dynamic, "cpu")
    real = case.compile_and_call
    case.compile_and_call = lambda *given, **options: (
        seen.append(torch._inductor.config.max_autotune),
        real(*given, **options),
    )
    case.work()
    (graph,) = graphs
    assert called(graph) == {"mm": 201} and seen == [True]


# Modules


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_twenty_linears_are_called_forty_times(graphs, backend):
    made("basic_modules.ListOfLinears", backend, False, "cpu").work()
    (graph,) = graphs
    assert called(graph)["linear"] == 40


def test_nested_modules_call_relu_426_times(graphs):
    case = made("basic_modules.NestedModule", "cpu")
    case.work()
    (graph,) = graphs
    assert called(graph)["relu"] == 426
    assert sum(type(module).__name__ == "Nested" for module in case.module.modules()) == 85


def test_deep_modules_are_forty_deep(graphs):
    case = made("basic_modules.DeepNestedModule", "cpu")
    case.work()
    (graph,) = graphs
    assert called(graph) == {"linear": 41}
    assert max(name.count("child") for name, _ in case.module.named_modules()) == 40


# Symbols


def test_sizes_are_read_checked_and_split_by(graphs):
    made("symbolic_shapes.UpdateHint", "cpu").work()
    (graph,) = graphs
    found = called(graph)
    assert found["split"] == 1 and found["_check"] + found["ge"] + found["le"] >= 40, found


@pytest.mark.parametrize("way", ["sum", "loop"])
def test_two_hundred_numbers_are_added(graphs, way):
    case = made("symbolic_shapes.SymIntSum", way, "cpu")
    case.work()
    (graph,) = graphs
    # `sum` becomes one node of 200 arguments, the loop 199 of two.
    added = [node for node in graph.graph.nodes if getattr(node.target, "__name__", "") in ("sym_sum", "add")]
    arguments = [len(node.all_input_nodes) for node in added]
    assert called(graph)["item"] == 200 and arguments == {"sum": [200], "loop": [2] * 199}[way]
    assert int(case.add_up(case.numbers)) == int(case.numbers.sum())


def test_a_changing_float_is_compiled_for_more_than_once_and_not_eight_times(graphs):
    from torch._dynamo.utils import counters

    made("symbolic_shapes.FloatArgs", "cpu").work()
    assert 2 <= len(graphs) <= 4 and counters["stats"]["unique_graphs"] == len(graphs)


def test_a_long_sum_is_exported_and_halved(programs):
    case = made("export.SumFloordiv", "cpu")
    case.work()
    (program,) = programs
    found = called(program.graph_module)
    assert found["item"] + found["_local_scalar_dense"] == 100 and found["floordiv"] == 1, found


def test_every_piece_is_exported(programs):
    case = made("export.UnbindSplitFlipCat", 40, 128, "cpu")
    case.pairs, case.pieces = 2, 5
    case.prepare()
    case.work()
    (program,) = programs
    found = called(program.graph_module)
    assert found["item"] + found["_local_scalar_dense"] == 2 * 5 and found["flip"] == 2 * 5 and found["cat"] == 2, found
    result = program.module()(*case.inputs)
    assert [len(one) for one in result] == [len(data) for data in case.inputs[1]]


# The transformer


@pytest.mark.parametrize(
    ("way", "attentions", "regions"),
    [("full", 8, 0), ("regional", 2, 0), ("hierarchical", 0, 4), ("hierarchical, dynamic", 0, 4)],
)
def test_the_transformer_is_compiled_whole_by_block_and_by_region(graphs, way, attentions, regions):
    case = made("diffusion_dit.DiffusionDiT", way, "cpu")
    case.work()
    (graph,) = graphs  # by block: one, which all four blocks use
    found = called(graph)
    assert (found["scaled_dot_product_attention"], found["invoke_subgraph"]) == (attentions, regions)
    bodies = [called(body)["scaled_dot_product_attention"] for body in graph.children()]
    assert bodies == ([2] if regions else []), "four uses of one region"
    assert [image.shape[1] for image, _, _ in case.inputs] == ([16, 24] if "dynamic" in way else [16])


def test_all_ways_of_compiling_the_transformer_give_what_it_gives(graphs):
    results = []
    for way in ("full", "hierarchical"):
        case = made("diffusion_dit.DiffusionDiT", way, "cpu")
        with torch.no_grad():
            results.append(case.models[4](*case.inputs[0]))
    assert torch.equal(*results) and results[0].shape == (1, 16, 64)


# DTensor


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("name", "shape"), [("Detach", (10, 10)), ("ToFromLocal", (10, 10)), ("View", (100,))])
def test_an_operation_on_metadata_gives_a_dtensor(name, shape, device):
    from torch.distributed.tensor import DTensor

    result = made(f"dtensor.{name}", device).work()
    assert isinstance(result, DTensor) and result.shape == shape and result.device_mesh.size() == 256
    assert result._local_tensor.device.type == device


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_custom_handler_answers(monkeypatch, device):
    from torch.distributed.tensor import DTensor

    dispatcher = DTensor._op_dispatcher
    asked = []
    for operation, handler in dispatcher._custom_op_handlers.items():
        monkeypatch.setitem(
            dispatcher._custom_op_handlers,
            operation,
            lambda *given, handler=handler: asked.append(given[0]) or handler(*given),
        )
    assert made("dtensor.CustomHandler", device).work() is True
    assert [str(operation) for operation in asked] in ([], ["aten.is_same_size.default"])


def test_collectives_are_issued():
    from torch.distributed.tensor.debug import CommDebugMode

    case = made("dtensor.Collectives", "cpu")
    with CommDebugMode() as seen:
        case.work()
    names = Counter({str(name).rpartition(".")[2]: count for name, count in seen.get_comm_counts().items()})
    # To Shard(0) costs nothing; to Shard(1), to Replicate and out of Partial twice: one collective each or more.
    assert names["all_reduce"] == 1 and names["reduce_scatter_tensor"] == 1, names
    assert names["all_gather_into_tensor"] + names["all_to_all_single"] >= 2, names


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_backward_reaches_both_operands(device):
    case = made("dtensor.AddBackward", device)
    gradients = case.a.grad, case.b.grad
    case.work()
    assert case.a.grad is gradients[0] and case.b.grad is gradients[1], "added to, not made"
    assert [type(x.grad).__name__ for x in (case.a, case.b)] == ["DTensor"] * 2
    gradient = case.a.grad.to_local()
    assert gradient.shape == (10, 10) and (device == "meta" or gradient[0, 0] == 2)


def test_inplace_and_random_change_the_tensor_that_is_there():
    case = made("dtensor.Inplace", "cpu")
    assert case.work() is case.a and case.a.to_local()[0, 0] == 2
    torch.distributed.destroy_process_group()
    case = made("dtensor.Random", "cpu")
    case.work()
    values = case.a.to_local()
    assert 0 <= values.min() < values.max() < 1


# Calls


@pytest.mark.parametrize("dynamic", [False, True])
def test_guards_pass_and_notice_a_changed_flag(dynamic):
    case = made("guards.NNModuleGuardEval", dynamic)
    assert case.work() is True
    case.locals["self"].layers[0].shared.flag = False
    assert case.work() is False


def test_an_eager_add1_calls_what_dynamo_made_and_compiles_no_more():
    from torch._dynamo.utils import counters

    case = made("runtime_overhead.EagerAdd1", "cpu")
    assert counters["stats"]["unique_graphs"] == 1 and case.backend == "eager"
    counters.clear()
    case.work()
    assert case.add1(case.a).tolist() == [2, 2] and not counters["stats"]


@pytest.mark.parametrize("way", ["disable", "_disable_dynamo"])
def test_dynamo_leaves_a_disabled_function_alone(graphs, way):
    from torch._dynamo.utils import counters

    case = made("wrappers.Disable", way)
    assert case.work() is case.a
    torch.compile(lambda a: case.wrapped(a + 1) + 1)(case.a)
    assert len(graphs) == 2 and sum(counters["graph_break"].values()) == 1


def test_an_autograd_function_has_thirteen_inputs_and_two_outputs():
    result = made("wrappers.AutogradFunctionApply", "cpu").work()
    assert len(result) == 2 and len(result[0].grad_fn.next_functions) == 13
    with pytest.raises(RuntimeError, match="no backward is run"):
        result[0].sum().backward()


@pytest.mark.parametrize("module", ["torch", "torch._dynamo", "torch._inductor"])
def test_an_import_is_one_and_of_its_parent_it_is_not(module):
    statement = f"""
import sys
from benchmarks.import_cost import ImportCost
assert "torch" not in sys.modules, "the door imports torch"
case = ImportCost()
case.setup({module!r})
case.prepare()
case.warm_up()
assert {module!r} not in sys.modules
before = len(sys.modules)
case.work()
assert {module!r} in sys.modules and len(sys.modules) > before + 100
"""
    subprocess.run([sys.executable, "-c", statement], cwd=ROOT, check=True)


# The whole


@pytest.mark.parametrize("for_gpus", [False, True])
def test_training_is_rehearsed_where_autograd_starts_no_threads(monkeypatch, for_gpus):
    """A build for GPUs starts them at the first backward, GPU or not; processes forked after that can do none."""
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: for_gpus)
    rehearsal = adapter._rehearse()
    assert "eager" in rehearsal.done and ("training" in rehearsal.done) == (not for_gpus)
    assert rehearsal.failed == {} and adapter.PHASES.keys() <= rehearsal.seen.events


def test_the_time_that_guards_take_is_told_as_one_number(monkeypatch):
    """It goes into Dynamo's metrics, and its digits would decide where later objects lie."""
    from torch._dynamo import guards
    from torch._dynamo.utils import clear_compilation_metrics, get_compilation_metrics

    evaluated = []
    real = guards.profile_guard_manager
    monkeypatch.setattr(guards, "profile_guard_manager", lambda *given: evaluated.append(real(*given)) or evaluated[-1])
    adapter._tell_one_latency()
    clear_compilation_metrics()
    torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2))
    assert [metrics.guard_latency_us for metrics in get_compilation_metrics()] == [1] and evaluated[0] > 0


def workloads() -> list[Any]:
    return [one for one in all_workloads(SUITE) if not issubclass(one, Statements)]


def test_the_quick_suite_is_what_calls_and_dispatches_and_shows_each_founding_workload():
    quick = {
        f"{one.__name__}({', '.join(map(str, params))})": one
        for one in workloads()
        for params in one.choices()
        if one.suite_of(*params) == "quick" and "cuda" not in params
    }
    compiling = {name for name, one in quick.items() if issubclass(one, Compiling)}
    assert compiling == {"AOTDispatcher(False, False, cpu)", "InlineChain(cpu)"}
    assert {one for one in quick.values() if not issubclass(one, Compiling)} == {
        one for one in workloads() if one.calls > 1
    }
    assert {"Detach(cpu)", "Add1(plain, False, cpu)", "Add1(backward, False, cpu)"} <= quick.keys()
    assert not any("inference" in name or "requires_grad" in name for name in quick)
    assert 20 <= len(quick) <= 26, sorted(quick)


def test_the_table_leads_from_all_54_names_to_cases_that_there_are():
    text = (ROOT / "docs/workloads.md").read_text().partition("## Our counts beside")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| .*\|$", text, re.MULTILINE)
    assert len(rows) == len({name for name, _ in rows}) == 54
    cases = {
        f"{one.benchmark()}({', '.join(map(str, params))})": one for one in workloads() for params in one.choices()
    }
    for name, cell in rows:
        first, *others = re.findall(r"`([^`]+)`", cell) or [None]
        assert (first in cases) or name == "import_time_triton", name
        for other in others:
            assert f"{first.partition('(')[0]}{other}" in cases, name


def test_workload_files_are_short_and_every_class_says_why_it_is_there():
    for path in SUITE.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 120, path
    for one in workloads():
        text = f"{one.__doc__} {one.__mro__[1].__doc__ if one.__name__ == 'EagerAdd1' else ''}"
        assert "Kept " in text, one


def test_the_suite_comes_with_the_noise_of_its_quick_cases():
    """And of no case that it has no longer. Where this fails, scripts/noise.py measures it (see contributing.md)."""
    shipped = Table.read(SUITE / asv_folder.NOISE, "noise", "")
    cases = {one.full_name(params): one.suite_of(*params) for one in all_workloads(SUITE) for params in one.choices()}
    quick = {name for name, suite in cases.items() if suite == "quick" and "  device=cuda" not in name}
    assert len(quick) > 20 and quick <= shipped.figures.keys() <= cases.keys()
    assert str(COUNTING_RULES) in {facts["counting rules"] for facts in shipped.fingerprints.values()}


def test_every_workload_is_looked_at():
    """A workload is looked at by a test of this file that names it in a string, or by test_counts_of_torch.py."""
    tests = [
        node
        for node in ast.parse(Path(__file__).read_text()).body
        if isinstance(node, ast.FunctionDef) and "workloads()" not in ast.unparse(node)
    ]
    words = {
        word
        for test in tests
        for node in ast.walk(test)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in re.findall(r"\w+", node.value)
    }
    assert {one.__name__ for one in workloads()} <= words | ELSEWHERE
