"""What is torch's alone: what to import first, its caches and threads, the processor it may compile for, and the
region inside Dynamo's compile step. No other module of the harness knows torch; torch is imported inside valgrind only.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from pathlib import Path
from typing import Any

from harness.errors import CountError, StartError
from harness.inside.counters import Counter, Taken
from harness.inside.pytorch import internals
from harness.inside.rules import Body, Library, Region, Rules

#: Imported before the first fork, so that no worker does it again under valgrind (torch alone takes 20 s there).
#: A name that a release of torch does not have is passed over, and told.
PRELOAD = (
    "torch",
    "torch._dynamo",
    "torch._functorch.aot_autograd",
    "torch._inductor.compile_fx",
    "torch.distributed.tensor",
    "torch.testing._internal.distributed.fake_pg",
    "torch.testing._internal.two_tensor",
    # What the first compile of a process imports when it comes to it (found by comparing sys.modules):
    "torch._dynamo.backends.cudagraphs",
    "torch._dynamo.backends.distributed",
    "torch._dynamo.backends.inductor",
    "torch._dynamo.repro.after_dynamo",
    "torch._export.db.logging",
    "torch._functorch._activation_checkpointing.remat_using_tags_for_fwd_loss_bwd_graph_pass",
    "torch._functorch._aot_autograd.subclass_codegen",
    "torch._higher_order_ops.passes.inline_invoke_subgraph",
    "torch._inductor.codegen.cpp_wrapper_cpu_array_ref",
    "torch._inductor.codegen.cpp_wrapper_gpu",
    "torch._inductor.codegen.cuda_combined_scheduling",
    "torch._inductor.codegen.halide",
    "torch._inductor.codegen.memory_planning",
    "torch._inductor.codegen.mps",
    "torch._inductor.codegen.pallas",
    "torch._inductor.codegen.wrapper_fxir",
    "torch._inductor.codegen.xpu.xpu_combined_scheduling",
    "torch._inductor.extern_node_serializer",
    "torch._inductor.fx_passes.efficient_conv_bn_eval",
    "torch._inductor.fx_passes.freezing_patterns",
    "torch._inductor.fx_passes.fuse_attention",
    "torch._inductor.fx_passes.mkldnn_fusion",
    "torch._inductor.fx_passes.pad_mm",
    "torch._inductor.fx_passes.quantization",
    "torch._inductor.runtime.caching",
    "torch.distributed.tensor.experimental",
    "torch.export._trace",
    "torch.fx.experimental.validator",
    "torch.utils.cpp_extension",
    "sympy.tensor.tensor",
)

#: How much of an exception's text a sentence holds.
_REASON_CHARACTERS = 300

#: The most that Inductor may compile for: valgrind knows no AVX-512.
MARCH = "x86-64-v3"


#: The phases of a compile, by the events that torch itself times. What happens inside of an event that is not named
#: here belongs to the phase around it; "rest" is what is in none: caches looked up, code objects made, metrics. An
#: event that is logged no more would make one phase part of another, so then there are none (Lacks.no_phases).
PHASES = {
    "bytecode_tracing": "tracing",
    "build_guards": "guards",
    "create_aot_dispatcher_function": "aot_autograd",
    "backend_compile": "backend",
    "inductor_compile": "backend",  # called by AOTAutograd, so within its event
}
_REST = "rest"
_NAMES = (*dict.fromkeys(PHASES.values()), _REST)
#: The counter's slots: one a phase, and one for what is outside of every compile step.
_SLOTS = {name: slot for slot, name in enumerate(_NAMES)}
_OUTSIDE = len(_NAMES)
_NOWHERE = -1


class _Compiles(internals.Watcher):
    """Watches Dynamo's outermost compile steps, and marks in the counter which phase of one runs. Idle until armed."""

    def __init__(self, counter: Counter, headline: bool) -> None:
        """With `headline` compile steps are also what the counter counts."""
        self.entries = 0
        self._counter = counter
        self._headline = headline
        self._armed = False
        self._stack: list[int] = []
        self.install()

    def arm(self) -> None:
        """From now on mark."""
        self.entries = 0
        self._armed = True
        self._counter.mark(_OUTSIDE)

    def disarm(self) -> None:
        self._counter.mark(_NOWHERE)
        self._armed = False

    def start(self) -> int:
        self.entries += 1
        if self._armed:
            self._stack.append(_SLOTS[_REST])
            self._counter.mark(_SLOTS[_REST])
            if self._headline:
                self._counter.start()
        return 0

    def end(self, number: int) -> int:
        if self._armed:
            if self._headline:
                self._counter.stop()
            self._stack.clear()
            self._counter.mark(_OUTSIDE)
        return 0

    def began(self, event: str) -> None:
        if self._stack:
            phase = PHASES.get(event)
            self._stack.append(self._stack[-1] if phase is None else _SLOTS[phase])
            self._counter.mark(self._stack[-1])

    def ended(self, event: str) -> None:
        if len(self._stack) > 1:
            self._stack.pop()
            self._counter.mark(self._stack[-1])


class WorkRegion(Region):
    """Counts all of `work`, and apart from it what of that was compiling, if anything was."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter)
        self._compiles = _Compiles(counter, headline=False)

    def count(self, work: Body, calls: int) -> None:
        self._compiles.arm()
        try:
            self.counter.call_counted(work, calls)
        finally:
            self._compiles.disarm()
        self.counter.take("work")

    def further_metrics(self, taken: Taken) -> dict[str, int]:
        phases = dict(zip(_NAMES, taken.spent, strict=False))
        compiled = sum(phases.values())
        return {"compile": compiled, **_known(phases)} if compiled else {}


class CompileRegion(Region):
    """Counts only what runs inside Dynamo's compile step, the backend's compilation included. The further metrics are
    `total`, all of `work`, and the phases of the compile step, which add up to it."""

    metrics = ("total", *_NAMES)

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter)
        self._compiles = _Compiles(counter, headline=True)

    def count(self, work: Body, calls: int) -> None:
        self._compiles.arm()
        try:
            for _ in range(calls):
                work()
        finally:
            self._compiles.disarm()
        self.counter.take("work")
        if RULES.lacks.no_steps is not None:
            raise CountError(RULES.lacks.no_steps)
        if self._compiles.entries == 0:
            raise CountError(
                "the compile region was never entered: `work` compiled nothing "
                "(is what it calls still compiled from the call before? `prepare` must reset Dynamo)"
            )

    def count_nothing(self, nothing: Body, calls: int) -> None:
        entries = self._compiles.entries
        self._compiles.arm()
        for _ in range(entries):
            self._compiles.end(self._compiles.start())
        self._compiles.disarm()
        self.counter.take("overhead")

    def further_metrics(self, taken: Taken) -> dict[str, int]:
        if not taken.spent:
            return {}
        phases = dict(zip(_NAMES, taken.spent, strict=False))
        phases[_REST] += taken.count - sum(phases.values())
        return {"total": sum(taken.spent), **_known(phases)}


def _known(phases: dict[str, int]) -> dict[str, int]:
    """The phases; none where this torch does not tell them apart."""
    return phases if RULES.lacks.no_phases is None else {}


def _compile_for_avx2() -> str | None:
    """Releases before 2.13 have no variable for the processor that Inductor compiles for: it is always this one.

    Returns a sentence where Inductor compiles for another one, which valgrind may not know."""
    cpp = importlib.import_module("torch._inductor.config").cpp
    builder: Any = importlib.import_module("torch._inductor.cpp_builder")
    if hasattr(cpp, "march"):
        setting = f"torch._inductor.config.cpp.march is {cpp.march!r}"
        heeded = cpp.march == MARCH
    elif hasattr(builder, "_get_optimization_cflags"):
        native = builder._get_optimization_cflags

        def flags(*given: Any, **options: Any) -> tuple[list[str], list[str]]:
            compiling, linking = native(*given, **options)
            return [f"march={MARCH}" if flag == "march=native" else flag for flag in compiling], linking

        builder._get_optimization_cflags = flags
        compiling, _ = flags("g++")
        setting = f"torch._inductor.cpp_builder gives the compiler {' '.join(compiling)}"
        heeded = f"march={MARCH}" in compiling
    else:
        setting = "there is neither torch._inductor.config.cpp.march nor cpp_builder._get_optimization_cflags"
        heeded = False
    if heeded:
        return None
    return f"Inductor does not compile for {MARCH} ({setting}): on a processor with AVX-512 its kernels end their cases"


def _spread_tables() -> str | None:
    """Give pybind11's tables room. A sentence where that cannot be done."""
    folder = os.path.dirname(str(importlib.import_module("_client_requests").__file__))
    try:
        types = ctypes.PyDLL(os.path.join(folder, LIBRARY.name)).spread_tables()
    except OSError:
        reason = "the C++ for it could not be built with torch's headers"
    else:
        reason = "" if types > 0 else "torch was built in another way than the C++ for it"
    if not reason:
        return None
    return f"pybind11's tables have no room to spare ({reason}): dispatch may move by 0.1 % where memory lies otherwise"


def _tell_one_latency() -> None:
    """Dynamo evaluates the guards that it has built once, takes the time by a clock in C++, and writes the microseconds
    into its metrics. How many digits they had decided where later objects lay: a server that started on a busy machine
    counted 0.1 % more or less. The guards are evaluated as ever; the time that is told is always the same."""
    guards: Any = importlib.import_module("torch._dynamo.guards")
    evaluate = getattr(guards, "profile_guard_manager", None)
    if evaluate is None:
        return  # a release that takes no time

    def evaluated(*given: Any) -> float:
        evaluate(*given)
        return 1.0

    guards.profile_guard_manager = evaluated


def _rehearse() -> internals.Rehearsal:
    """Compile something that no workload compiles, with every backend: what only the first compile of a process does
    (rules and patterns registered, tables built) then no worker has to do again. Where something cannot be compiled,
    the cases that need it will say why too."""
    torch: Any = importlib.import_module("torch")

    def called(x: Any) -> Any:
        return torch.sub(x, 1)

    def body(*inputs: Any) -> list[Any]:
        return [called(x.cos() * 2) for x in inputs]

    def subclass() -> Any:
        two_tensor = importlib.import_module("torch.testing._internal.two_tensor").TwoTensor
        return two_tensor(torch.ones(7), torch.ones(7))

    plain = functools.partial(torch.ones, 7)
    training = functools.partial(torch.ones, 7, requires_grad=True)
    partitioned = "aot_eager_decomp_partition"
    done, failed = [], {}
    seen = internals.Seen()
    see_no_more = seen.install()
    for name, backend, make in (
        ("eager", "eager", plain),
        ("training", partitioned, training),
        ("subclass", partitioned, subclass),
        ("inductor", "inductor", plain),
    ):
        try:
            if name == "training" and torch.backends.cuda.is_built():
                continue  # autograd would start its threads here, and refuse to work in any process forked after that
            with importlib.import_module("torch._inductor.utils").fresh_cache():
                try:
                    torch.compile(body, backend=backend, fullgraph=True)(make())
                finally:
                    torch._dynamo.reset()
            done.append(name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:_REASON_CHARACTERS]}"
    see_no_more()
    return internals.Rehearsal(tuple(done), failed, seen)


LIBRARY = Library("_torch_tables.so", Path(__file__).parent / "tables.cpp", "torch/include")


class TorchRules(Rules):
    """For suites that count torch."""

    regions = {"work": WorkRegion, "compile": CompileRegion}
    packages = ("torch", "numpy", "triton")
    library = LIBRARY
    initialisers = ("torch._C._initExtension",)
    #: What the imported torch lacks, as the server found it; workers inherit it.
    lacks = internals.Lacks()
    _rehearsed: tuple[str, ...] = ()
    _notes: tuple[str, ...] = ()
    _crowded: str | None = None

    def environment(self) -> dict[str, str]:
        return {
            # valgrind knows no AVX-512: neither ATen's kernels nor what Inductor compiles may use it.
            "ATEN_CPU_CAPABILITY": "avx2",
            "TORCHINDUCTOR_CPP_MARCH": MARCH,
            # Else every worker compiles a probe and waits for it in a loop whose turns depend on the clock.
            "TORCHINDUCTOR_VEC_ISA_OK": "1",
            # One thread each: counts must not depend on who takes which work, and valgrind runs one at a time anyway.
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            # A precompiled header would lie where all workers find it: the first case would not be like the others.
            "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS": "0",
        }

    def preload(self) -> None:
        absent = []
        for name in PRELOAD:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                missing = error.name or ""
                if missing.startswith("torch.") and missing != name and not name.startswith(f"{missing}."):
                    raise  # not that module, but what it needs of torch
                if missing == "torch":
                    raise StartError(
                        "torch is not installed in the environment that counts: "
                        "install the pin with `pip install --requirement requirements.txt`"
                    ) from None
                if f"{name}.".startswith(f"{missing}."):  # else what it needs of others, which need not be installed
                    absent.append(name)
        self._crowded = _spread_tables()
        self._notes = (*internals.look(absent, _compile_for_avx2()), *filter(None, [self._crowded]))
        _tell_one_latency()

    def rehearse(self) -> None:
        rehearsal = _rehearse()
        self._rehearsed = rehearsal.done
        self.lacks = internals.look_at_compiling(PHASES, rehearsal)

    def notes(self) -> tuple[str, ...]:
        return (*self._notes, *self.lacks.notes)

    def enter_worker(self, folder: str) -> None:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(folder, "inductor")
        os.environ["TRITON_CACHE_DIR"] = os.path.join(folder, "triton")

    def refuses(self, params: dict[str, object]) -> str | None:
        """A parameter named `device` is the device of the case's tensors."""
        if params.get("device") == "cuda" and not importlib.import_module("torch").cuda.is_available():
            return "no CUDA device"
        return None

    def versions(self) -> dict[str, str]:
        torch: Any = importlib.import_module("torch")
        capability: Any = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "unknown")
        return {
            "torch": torch.__version__,
            "torch commit": str(getattr(torch.version, "git_version", "unknown")),
            **({"rehearsed": ", ".join(self._rehearsed)} if self._rehearsed else {}),
            "pybind11's tables": "spread" if self._crowded is None else "as they are",
            "processor features": capability(),
        }


#: What `rules.load("torch")` finds.
RULES = TorchRules()
