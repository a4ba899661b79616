"""What is torch's alone: what to import first, its caches and threads, the processor it may compile for, and the
region inside Dynamo's compile step. No other module of the harness knows torch; torch is imported inside valgrind only.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from harness.counter import Counter
from harness.errors import CountError, StartError
from harness.rules import Body, Region, Rules

#: Imported before the first fork, so that no worker does it again under valgrind (torch alone takes 20 s there).
#: A name that a release of torch does not have is passed over.
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


class _InstructionCounter:
    """Stands in for the module that torch._dynamo.utils.CompileTimeInstructionCounter calls around Dynamo's outermost
    compile step. Idle until armed."""

    def __init__(self) -> None:
        self.entries = 0
        self._switch_on: Callable[[], None] | None = None
        self._switch_off: Callable[[], None] | None = None

    def arm(self, counter: Counter) -> None:
        self._switch_on, self._switch_off = counter.start, counter.stop

    def disarm(self) -> None:
        self._switch_on = self._switch_off = None

    def start(self) -> int:
        self.entries += 1
        if self._switch_on is not None:
            self._switch_on()
        return 0

    def end(self, number: int) -> int:
        if self._switch_off is not None:
            self._switch_off()
        return 0


class CompileRegion(Region):
    """Counts only what runs inside Dynamo's compile step, the backend's compilation included."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter)
        config: Any = importlib.import_module("torch._dynamo.config")
        utils: Any = importlib.import_module("torch._dynamo.utils")
        self._instruction_counter = utils._instruction_counter = _InstructionCounter()
        config.record_compile_time_instruction_count = True

    def count(self, work: Body, calls: int) -> None:
        self._instruction_counter.entries = 0
        self._instruction_counter.arm(self.counter)
        try:
            for _ in range(calls):
                work()
        finally:
            self._instruction_counter.disarm()
        if self._instruction_counter.entries == 0:
            raise CountError(
                "the compile region was never entered: `work` compiled nothing "
                "(is what it calls still compiled from the call before? `prepare` must reset Dynamo)"
            )

    def count_nothing(self, calls: int) -> None:
        entries = self._instruction_counter.entries
        self._instruction_counter.arm(self.counter)
        for _ in range(entries):
            self._instruction_counter.end(self._instruction_counter.start())
        self._instruction_counter.disarm()


class TorchRules(Rules):
    """For suites that count torch."""

    regions = {"work": Region, "compile": CompileRegion}
    packages = ("torch", "numpy", "triton")

    def environment(self) -> dict[str, str]:
        return {
            # valgrind knows no AVX-512: neither ATen's kernels nor what Inductor compiles may use it.
            "ATEN_CPU_CAPABILITY": "avx2",
            "TORCHINDUCTOR_CPP_MARCH": "x86-64-v3",
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
        for name in PRELOAD:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name == "torch":
                    raise StartError(
                        "torch is not installed in the environment that counts: "
                        "install the pin with `pip install --requirement requirements.txt`"
                    ) from None

    def enter_worker(self, folder: str) -> None:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(folder, "inductor")
        os.environ["TRITON_CACHE_DIR"] = os.path.join(folder, "triton")

    def versions(self) -> dict[str, str]:
        torch = importlib.import_module("torch")
        return {
            "torch": torch.__version__,
            "torch commit": str(torch.version.git_version),
            "processor features": torch.backends.cpu.get_cpu_capability(),
        }


#: What `rules.load("torch")` finds.
RULES = TorchRules()
