"""Every torch workload once for real, at small sizes and on one fork server; and that each does what it says."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from harness import session, workload
from harness.__main__ import find
from harness.errors import CountError
from tests.conftest import ROOT, SUITES

pytestmark = pytest.mark.torch
WORKLOADS = ["SmallAOTDispatcher", "SmallInlineChain", "SmallAdd1", "SmallDetach"]


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> Path:
    """The benchmarks, with the smaller ones beside them."""
    folder = tmp_path_factory.mktemp("torch") / "small_suite"
    shutil.copytree(ROOT / "benchmarks", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(SUITES / "small.py", folder / "small.py")
    return folder


@pytest.fixture(scope="module")
def server(suite):
    with session.session(workload.configuration_for(find(suite, "small.SmallDetach"), ahead="nothing")) as directory:
        yield directory


CASES = [
    *(("SmallAOTDispatcher", (training, subclass, "cpu")) for training in (False, True) for subclass in (False, True)),
    ("SmallInlineChain", ("cpu",)),
    *(("SmallAdd1", (mode, False, "cpu")) for mode in ("plain", "inference_mode", "requires_grad", "backward")),
    ("SmallAdd1", ("plain", True, "cpu")),
    ("SmallDetach", ("cpu",)),
]


def test_every_workload_of_the_suite_is_counted_here(suite):
    listed = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__"}
    originals = {find(suite, f"small.{name}").__mro__[1] for name in WORKLOADS}
    assert {original.__module__.rpartition(".")[2] for original in originals} == listed
    for module in listed:
        classes = [
            value
            for value in vars(sys.modules[f"small_suite.{module}"]).values()
            if isinstance(value, type) and issubclass(value, workload.Workload) and value is not workload.Workload
        ]
        assert set(classes) <= originals
    assert {name for name, _ in CASES} == set(WORKLOADS)


@pytest.mark.parametrize(("name", "params"), CASES, ids=str)
def test_every_cpu_case_is_counted_under_valgrind(suite, server, name, params):
    counted = workload.ask(find(suite, f"small.{name}"), params, server)
    assert counted.instructions_per_call > 10_000
    assert counted.fingerprint["torch"].startswith("2.")


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_cuda_case_is_counted_or_skipped_with_the_reason(suite, server, name):
    import torch

    found = find(suite, f"small.{name}")
    params = next(params for params in found.choices() if params[-1] == "cuda")
    if torch.cuda.is_available():
        assert workload.ask(found, params, server).instructions_per_call > 10_000
    else:
        with pytest.raises(workload.CaseSkipped, match="no CUDA device"):
            workload.ask(found, params, server)


def test_equal_cases_count_the_same_to_the_instruction(suite, server):
    detach = find(suite, "small.SmallDetach")
    assert len({workload.ask(detach, ("cpu",), server).total for _ in range(3)}) == 1


def test_the_compile_region_must_be_entered(suite, server):
    for name in ("NeverCompiles", "CompilesOnce"):
        found = find(suite, f"small.{name}")
        with pytest.raises(CountError, match="the compile region was never entered"):
            workload.ask(found, found.choices()[0], server)


# That the work happens, natively.


def test_detach_goes_through_dtensor(suite, monkeypatch):
    from torch.distributed.tensor import DTensor

    detach = find(suite, "dtensor.Detach")()
    detach.setup("cpu")
    result = detach.work()
    assert isinstance(result, DTensor) and result.device_mesh.size() == 256 and result._local_tensor.shape == (10, 10)


def test_the_chain_inlines_ten_calls_a_step(suite):
    import torch

    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    chain = find(suite, "small.SmallInlineChain")()
    chain.setup("cpu")
    torch._dynamo.reset()
    result = torch.compile(chain.module, backend=backend, dynamic=False)(chain.input)
    assert len(graphs) == 1 and result[0] == 1 + chain.steps
    adds = [node for node in graphs[0].graph.nodes if node.op == "call_function"]
    assert len(adds) == chain.steps
    assert find(suite, "dynamo_inline.InlineChain").steps == 1000


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("subclass", [False, True])
def test_every_work_compiles_one_graph_with_all_inputs(suite, training, subclass):
    from torch._dynamo.utils import counters

    dispatcher = find(suite, "small.SmallAOTDispatcher")()
    dispatcher.setup(training, subclass, "cpu")
    for _ in range(2):
        dispatcher.prepare()
        counters.clear()
        dispatcher.work()
        assert counters["stats"]["unique_graphs"] == 1 and not counters["graph_break"]
    assert find(suite, "aotdispatcher.AOTDispatcher").inputs == 100
    assert all(tensor.requires_grad == training for tensor in dispatcher.tensors)
    assert (type(dispatcher.tensors[0]).__name__ == "TwoTensor") == subclass


@pytest.mark.parametrize("mode", ["plain", "inference_mode", "requires_grad", "backward"])
def test_add1_calls_what_is_compiled_and_compiles_no_more(suite, mode):
    import torch
    from torch._dynamo.utils import counters

    add1 = find(suite, "small.SmallAdd1")()
    add1.setup(mode, False, "cpu")
    add1.prepare()
    counters.clear()
    if mode == "backward":
        add1.a.grad = None
        for _ in range(add1.calls):
            add1.work()
        assert add1.pending == [] and add1.a.grad.tolist() == [add1.calls] * 2
    else:
        with torch.inference_mode(mode == "inference_mode"):
            assert add1.add1(add1.a).tolist() == [2, 2]
        add1.work()
    assert not counters["stats"]
