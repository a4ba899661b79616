"""PyTorch's parts, by the names of its functions and files. Pure: nothing of torch is imported.

Machine code is told by namespaces, which C++ puts into every name, Python by files. Both lists were made from profiles
of 2.13; what a release calls otherwise falls under "other of" its library or into the package's own rest.
"""

from __future__ import annotations

from harness.profile import components

_TORCH = r"^lib(torch\w*|c10\w*|shm):.*"

COMPONENTS = components.Components(
    native=(
        ("guards", r": .*(torch::dynamo::.*(Guard|guard)|GuardManager|LeafGuard|RelationalGuard|GuardAccessor)"),
        (
            "Dynamo's frame evaluator",
            r": (.*torch::dynamo::|_?dynamo_|.*(custom_eval_frame|ExtraState|CacheEntry|cache_entry|extra_state))",
        ),
        ("DTensor", rf"{_TORCH}([dD]Tensor|DTENSOR|get_DTensor)"),
        ("functorch", rf"{_TORCH}functorch::"),
        ("TorchScript", r"^libtorch_cpu: .*(?<![\w:])torch::jit::"),
        # What goes through elements, as against what finds out how to. A loop of TensorIterator is known by the type
        # through which it is called: its own name begins behind the first bracket, or is too long to be demangled.
        (
            "kernels",
            r"^libmkl|^libtorch_cpu: (mkl_|cblas_|void c10::function_ref<void $|_ZN3c1012function_refIFvP"
            r"|.*(at::vec::|dnnl::|CPUGeneratorImpl::random"
            r"|at::native::.*((AVX2|AVX512|DEFAULT)::|_kernel(_impl)?\b|vectorized|cascade_sum|cpublas)))",
        ),
        (
            "dispatcher",
            rf"{_TORCH}(Dispatcher|DispatchKey|KernelFunction|BoxedKernel|OperatorHandle|OperatorEntry|c10::impl::"
            r"|at::_ops::|TorchDispatch|PythonDispatcher|pythonFallback|RecordFunction|getStepCallbacks)",
        ),
        ("autograd", rf"{_TORCH}(torch::autograd::(?!THP)|AutogradMeta|AutogradState|AutoGradMode|GradMode)"),
        (
            "bindings to Python",
            rf"{_TORCH}(THP|pybind11|Python(Arg|Args)|FunctionSignature|FunctionParameter|torch_function|PyInterpreter|PyObjectSlot"
            r"|torch::detail|torch::jit::|torch::utils|torch::PyWarningHandler|pyobj)",
        ),
        ("operators", rf"{_TORCH}(at::native::|at::cpu::|at::meta::|TensorIterator|at::structured_)"),
        (
            "tensors",
            rf"{_TORCH}(TensorImpl|StorageImpl|c10::Storage|intrusive_ptr|c10::SymInt|ArrayRef|at::Tensor|VersionCounter"
            r"|InferenceMode|TensorOptions|c10::Scalar|c10::IValue|c10::ivalue::|c10::Device|SizesAndStrides|at::detail::|MaybeOwned)",
        ),
        *components.NATIVE,
    ),
    python=(
        ("guards", r"^torch/(_dynamo/guards\.py|_guards\.py)"),
        ("tracing (Dynamo)", r"^torch/_dynamo/"),
        ("AOTAutograd", r"^torch/_functorch/"),
        ("Inductor", r"^torch/_inductor/"),
        ("symbolic shapes", r"^torch/(fx/experimental/(symbolic_shapes|sym_node|recording|_sym)|utils/_sympy)|^sympy/"),
        ("proxy tracing (make_fx)", r"^torch/fx/experimental/proxy_tensor\.py"),
        ("FX graphs", r"^torch/fx/"),
        ("fake tensors", r"^torch/_subclasses/"),
        ("DTensor", r"^torch/distributed/(tensor|device_mesh|_functional)"),
        ("decompositions and meta", r"^torch/(_decomp|_prims|_refs|_meta_registrations|_prims_common)"),
        ("operators and their library", r"^torch/(_ops\.py|_library/|library\.py|_C/)"),
        ("autograd", r"^torch/autograd/"),
        ("modules (torch.nn)", r"^torch/nn/"),
        ("pytrees", r"^torch/utils/_(c?x?)pytree"),
        ("the rest of torch", r"^torch"),
        *components.PYTHON,
    ),
)
