"""Torch workloads of every kind counted for real, at small sizes and on one fork server; and that those do what they
say. The rest of them test_workloads.py looks at."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.engine import client
from harness.errors import CaseSkipped, CountError
from harness.profile.model import CallPath
from harness.protocol import Counted
from harness.store import records
from harness.suite import counting
from harness.suite.selection import find
from tests.conftest import ROOT, SUITES

pytestmark = pytest.mark.torch
WORKLOADS = ["SmallAOTDispatcher", "SmallInlineChain", "SmallAdd1", "SmallDetach", "SmallSumFloordiv"]
COMPILED = ["SmallAOTDispatcher", "SmallInlineChain"]


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> Path:
    """The benchmarks, with the smaller ones beside them."""
    folder = tmp_path_factory.mktemp("torch") / "small_suite"
    shutil.copytree(ROOT / "benchmarks", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("small.py", "renamed.py"):
        shutil.copyfile(SUITES / name, folder / name)
    return folder


def serve(suite: Path, counter: str, told: list[str], **changes):
    """A session; what it has to say goes to `told`."""
    detach = find(suite, "small.SmallDetach")
    return client.session(counting.configuration_for(detach, ahead="nothing", counter=counter, **changes), told.append)


def count_all(suite: Path, directory: Path) -> dict[tuple, Counted]:
    """Every CPU case once, by name and parameters."""
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(counting.ask, find(suite, f"small.{name}"), params, directory) for name, params in CASES]
        return dict(zip(CASES, (one.result() for one in asked), strict=True))


@pytest.fixture(scope="module")
def reference(suite) -> dict[tuple, Counted]:
    with serve(suite, "callgrind", []) as directory:
        return count_all(suite, directory)


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What the server with the readable counter has to say."""
    return []


@pytest.fixture(scope="module")
def server(suite, reference, told):
    """With the readable counter; after the other one has ended, because two at once have different scratch folders."""
    with serve(suite, "readable", told) as directory:
        yield directory


@pytest.fixture(scope="module")
def readable(suite, server) -> dict[tuple, Counted]:
    return count_all(suite, server)


CASES = [
    *(("SmallAOTDispatcher", (training, subclass, "cpu")) for training in (False, True) for subclass in (False, True)),
    ("SmallInlineChain", ("cpu",)),
    *(("SmallAdd1", (mode, False, "cpu")) for mode in ("plain", "inference_mode", "requires_grad", "backward")),
    ("SmallAdd1", ("plain", True, "cpu")),
    ("SmallDetach", ("cpu",)),
    ("SmallDetach", ("meta",)),
    ("SmallEagerAdd1", ("cpu",)),
    ("SmallSumFloordiv", ("cpu",)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_cpu_case_is_counted_the_same_by_both_counters(suite, reference, readable, case):
    first, second = reference[case], readable[case]
    assert first.instructions_per_call > 10_000
    assert second.instructions_per_call == pytest.approx(first.instructions_per_call, rel=1e-4)
    assert first.fingerprint["torch"].startswith("2.")
    if find(suite, f"small.{case[0]}").stage == "rehearsed":
        rehearsed = first.fingerprint["rehearsed"].split(", ")
        assert set(rehearsed) | {"training"} == {"eager", "training", "subclass", "inductor"}
    else:
        assert "rehearsed" not in first.fingerprint
    assert (first.fingerprint["counter"], second.fingerprint["counter"]) == ("callgrind", "readable")


@pytest.mark.parametrize("case", [("SmallDetach", ("cpu",)), ("SmallEagerAdd1", ("cpu",))], ids=str)
def test_both_counters_count_every_memory_layout_alike(reference, readable, case):
    """Between two counts of a worker no object is made by one counter and not by the other."""
    nets = [[total - found[case].overhead for total in found[case].layouts] for found in (reference, readable)]
    assert nets[0] == nets[1] and len(nets[0]) > 1


@pytest.mark.parametrize("case", [case for case in CASES if case[0] in COMPILED], ids=str)
def test_the_phases_of_a_compile_add_up_to_it_and_it_is_part_of_the_whole(reference, readable, case):
    found = readable[case]
    phases = {name: found.per_call(name) for name in ("tracing", "guards", "aot_autograd", "backend", "rest")}
    assert sum(phases.values()) == found.instructions_per_call < found.per_call("total")
    assert set(found.metrics) == {"total", *phases}
    assert min(phases["tracing"], phases["guards"], phases["backend"], phases["rest"]) > 0
    # The inline chain's backend is "eager", which knows no AOTAutograd.
    assert (phases["aot_autograd"] > 0) == (case[0] == "SmallAOTDispatcher")
    assert reference[case].metrics == {}


# Which phase begins in which function, at or near the place where torch's event for the phase begins.
BEGINS = {
    "run_tracer": "tracing",
    "compile_subgraph": "rest",
    "call_user_compiler": "backend",
    "aot_module_simplified": "aot_autograd",
    "compile_fx_inner": "backend",
    "build_guards": "guards",
}


def by_phase(path: CallPath, phase: str = "rest") -> Counter[str]:
    """Instructions by the phase that began last on the way to where they were executed."""
    spent = Counter({phase: path.own})
    for function, called in path.called.items():
        spent += by_phase(called, BEGINS.get(function.name.rpartition(".")[2], phase))
    return spent


@pytest.fixture(scope="module")
def shares_by_function(suite, counted_shares, tmp_path_factory) -> dict[str, dict[str, float]]:
    """Another way to the same shares, without events or regions: by the Python functions that were on the stack."""
    linear = find(suite, "small.SmallLinear")
    found = {}
    with serve(suite, "frames", []) as directory:
        for (backend,) in linear.choices():
            root = tmp_path_factory.mktemp("frames")
            place = records.Place(root, "c0ffee", "environment", linear.benchmark(), (backend,))
            counting.ask(linear, (backend,), directory, place=place)
            counted = records.KeptCount.load(place.folder / "python")
            assert counted is not None
            profile = counted.profile()
            found[backend] = {phase: spent / profile.total for phase, spent in by_phase(profile.paths).items()}
    return found


@pytest.fixture(scope="module")
def counted_shares(suite, server) -> dict[str, dict[str, float]]:
    linear = find(suite, "small.SmallLinear")
    found = {}
    for (backend,) in linear.choices():
        counted = counting.ask(linear, (backend,), server)
        phases = {name: counted.per_call(name) for name in ("tracing", "guards", "aot_autograd", "backend", "rest")}
        found[backend] = {name: phase / counted.instructions_per_call for name, phase in phases.items()}
    return found


@pytest.mark.parametrize("backend", ["eager", "aot_eager_decomp_partition", "inductor"])
def test_phases_have_the_shares_that_their_functions_have(shares_by_function, counted_shares, backend):
    """The largest difference seen is 0.025 (AOTAutograd, whose event begins a little inside its function)."""
    told = {phase: share for phase, share in counted_shares[backend].items() if share}
    assert shares_by_function[backend] == pytest.approx(told, abs=0.03)


def test_most_of_what_inductor_costs_for_one_layer_is_inductors(counted_shares):
    shares = counted_shares["inductor"]
    assert max(shares, key=shares.__getitem__) == "backend" and shares["backend"] > 0.4
    assert counted_shares["eager"]["aot_autograd"] == 0 and counted_shares["eager"]["backend"] < 0.05


def test_the_pinned_torch_has_every_name_that_is_looked_for(server, told):
    assert told == []


def test_what_torch_has_no_more_is_said_once_and_its_numbers_are_absent(suite, monkeypatch):
    monkeypatch.setenv("HARNESS_COUNTER", "opcodes")
    said: list[str] = []
    linear = find(suite, "small.SmallLinear")
    with serve(suite, "opcodes", said, import_first=("small_suite.renamed",)) as directory:
        counted = counting.ask(linear, ("eager",), directory)
        monkeypatch.chdir(directory)
        with pytest.raises(CountError, match="this run told no 'backend', only instructions, total"):
            linear().track_backend("eager")
    assert counted.instructions_per_call > 0 and set(counted.metrics) == {"total"}
    (threads,), (event,) = said, counted.notes
    assert re.match(
        r"torch \S+ logged no event 'inductor_compile' while it compiled \(it logged: .*\binductor, ", event
    )
    assert event.endswith("the phases of a compile cannot be told apart, so there is only its whole")
    assert "does not heed TORCHINDUCTOR_COMPILE_THREADS=1 (torch._inductor.config.compile_threads is 3)" in threads


def test_a_call_of_what_is_compiled_compiles_nothing(readable):
    assert {found.per_call("compile") for case, found in readable.items() if case[0] == "SmallAdd1"} == {None}


def test_work_that_compiles_tells_how_much_of_it_that_is(suite, server):
    found = counting.ask(find(suite, "small.CompilesInWork"), (), server)
    whole = counting.ask(find(suite, "small.SmallInlineChain"), ("cpu",), server)
    assert 0 < found.per_call("tracing") < found.per_call("compile") < found.instructions_per_call
    assert found.per_call("compile") == pytest.approx(whole.instructions_per_call, rel=0.01)


def test_another_number_of_a_case_costs_no_second_run(suite, server):
    chain = find(suite, "small.SmallInlineChain")
    first = counting.ask(chain, ("cpu",), server)
    total = counting.ask(chain, ("cpu",), server, "total")
    assert (total.serial, total.metrics) == (first.serial, first.metrics)
    assert counting.ask(chain, ("cpu",), server, "total").serial > first.serial


def test_asv_lists_the_further_metrics_of_what_compiles_and_of_nothing_else(suite):
    tracks = ("instructions", "total", "tracing", "guards", "aot_autograd", "backend", "rest")
    for name, params in CASES:
        found = {track for track in tracks if hasattr(find(suite, f"small.{name}"), f"track_{track}")}
        assert found == (set(tracks) if name in COMPILED else {"instructions"}), (name, params)


def test_a_further_number_is_given_by_the_readable_counter_and_skipped_by_callgrind(suite, server, monkeypatch, capsys):
    from asv_runner.benchmarks.mark import SkipNotImplemented

    chain = find(suite, "small.SmallInlineChain")()
    monkeypatch.setenv("HARNESS_COUNTER", "readable")
    monkeypatch.chdir(server)
    assert chain.track_total("cpu") > chain.track_instructions("cpu")
    monkeypatch.setenv("HARNESS_COUNTER", "callgrind")
    with pytest.raises(SkipNotImplemented):
        chain.track_total("cpu")
    assert "skipped: the counter 'callgrind' gives one number a run" in capsys.readouterr().err


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_cuda_case_is_counted_or_skipped_with_the_reason(suite, server, name):
    import torch

    found = find(suite, f"small.{name}")
    params = next(params for params in found.choices() if params[-1] == "cuda")
    if torch.cuda.is_available():
        assert counting.ask(found, params, server).instructions_per_call > 10_000
    else:
        with pytest.raises(CaseSkipped, match="no CUDA device"):
            counting.ask(found, params, server)


def test_equal_cases_count_the_same_to_the_instruction(suite, server):
    detach = find(suite, "small.SmallDetach")
    assert len({counting.ask(detach, ("cpu",), server).total for _ in range(3)}) == 1


@pytest.mark.parametrize(("name", "params"), [case for case in CASES if case[0] in COMPILED], ids=str)
def test_a_warm_up_leaves_the_workload_as_it_was(suite, name, params):
    import torch

    case = find(suite, f"small.{name}")()
    case.setup(*params)
    before = {name: getattr(case, name) for name in {*vars(case), *case.small}}
    steps = getattr(getattr(case, "module", None), "steps", None)
    torch._dynamo.reset()
    case.warm_up()
    assert {name: getattr(case, name) for name in before} == before and vars(case).keys() <= before.keys()
    case.prepare()
    assert getattr(getattr(case, "module", None), "steps", None) == steps


def test_importing_torch_is_counted_in_a_worker_that_has_none_of_it(suite, server):
    found = find(suite, "import_cost.ImportCost")
    whole, part = (counting.ask(found, (module,), server) for module in ("torch", "torch._dynamo"))
    assert 1e9 < part.instructions_per_call < whole.instructions_per_call < 1e10
    again = counting.ask(found, ("torch._dynamo",), server)
    assert again.instructions_per_call == pytest.approx(part.instructions_per_call, rel=1e-4)


def test_the_compile_region_must_be_entered(suite, server):
    for name in ("NeverCompiles", "CompilesOnce"):
        found = find(suite, f"small.{name}")
        with pytest.raises(CountError, match="the compile region was never entered"):
            counting.ask(found, found.choices()[0], server)


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
