import pytest

from harness.profile import components
from harness.profile.components import Components
from harness.profile.symbols import Function
from harness.pytorch.components import COMPONENTS


def test_rules_know_the_parts_of_what_they_count():
    assert components.load("torch") is COMPONENTS
    assert components.load("plain") == Components()


@pytest.mark.parametrize(
    ("name", "place", "part"),
    [
        ("_PyEval_EvalFrameDefault", "libpython", "interpreter"),
        ("_PyObject_Malloc", "libpython", "allocation"),
        ("_int_free", "libc", "allocation"),
        ("operator new(unsigned long)", "libstdc++", "allocation"),
        ("memcpy", "libc", "C library"),
        ("__tls_get_addr", "ld-linux-x86", "dynamic linking"),
        ("kernel", "generated code", "generated code"),
        ("call_counted", "_client_requests", "the harness"),
        ("dump", "libxyz", "other of libxyz"),
        ("c10::Dispatcher::call", "libtorch_cpu", "dispatcher"),
        ("at::_ops::detach::redispatch(c10::DispatchKeySet, at::Tensor const&)", "libtorch_cpu", "dispatcher"),
        (
            "torch::autograd::VariableType::(anonymous namespace)::detach(c10::DispatchKeySet)",
            "libtorch_cpu",
            "autograd",
        ),
        ("torch::autograd::THPVariable_detach(_object*, _object*)", "libtorch_python", "bindings to Python"),
        ("torch::dynamo::(anonymous namespace)::GuardManager::check_nopybind(_object*)", "libtorch_python", "guards"),
        ("dynamo_eval_frame_default", "libtorch_python", "Dynamo's frame evaluator"),
        ("dispatchDTensorOp(c10::OperatorHandle const&)", "libtorch_python", "DTensor"),
        ("at::native::(anonymous namespace)::add_kernel(at::TensorIteratorBase&)", "libtorch_cpu", "kernels"),
        (
            "void c10::function_ref<void (char**, long const*, long, long)>::callback_fn<at::native::AVX2::Vectorized",
            "libtorch_cpu",
            "kernels",
        ),
        ("_ZN3c1012function_refIFvPPcPKlllEE11callback_fnIZN2at18TensorIteratorBase15", "libtorch_cpu", "kernels"),
        (
            "void at::native::(anonymous namespace)::vectorized_inner_sum<float>(char**, long)",
            "libtorch_cpu",
            "kernels",
        ),
        ("at::native::AVX2::copy_kernel(at::TensorIterator&, bool)", "libtorch_cpu", "kernels"),
        ("mkl_blas_avx2_sgemm_kernel_0", "libtorch_cpu", "kernels"),
        ("at::native::expand(at::Tensor const&, c10::ArrayRef<long>, bool)", "libtorch_cpu", "operators"),
        ("at::TensorIteratorBase::build(at::TensorIteratorConfig&)", "libtorch_cpu", "operators"),
        (
            "c10::impl::wrap_kernel_functor_unboxed_<c10::CompileTimeFunctionPointer<at::Tensor (at::Tensor const&)> >",
            "libtorch_cpu",
            "dispatcher",
        ),
        ("c10::TensorImpl::storage() const", "libc10", "tensors"),
        ("(no name)", "(no file)", "machine code without a name"),
    ],
)
def test_machine_code(name, place, part):
    assert COMPONENTS.of(Function(name, place), False) == part


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("torch/_dynamo/symbolic_convert.py", "tracing (Dynamo)"),
        ("torch/_dynamo/guards.py", "guards"),
        ("torch/_functorch/aot_autograd.py", "AOTAutograd"),
        ("torch/_inductor/graph.py", "Inductor"),
        ("torch/fx/graph.py", "FX graphs"),
        ("torch/fx/experimental/symbolic_shapes.py", "symbolic shapes"),
        ("torch/_subclasses/fake_tensor.py", "fake tensors"),
        ("torch/distributed/tensor/_api.py", "DTensor"),
        ("torch/utils/_pytree.py", "pytrees"),
        ("torch/storage.py", "the rest of torch"),
        ("torchgen/model.py", "the rest of torch"),
        ("networkx/algorithms/flow.py", "networkx"),
        ("python/functools.py", "Python's library"),
        ("benchmarks/dtensor.py", "the workload"),
        ("harness/inside/pytorch/adapter.py", "the harness"),
        ("<eval_with_key>", "generated code"),
        ("", "outside of the workload's Python"),
    ],
)
def test_python(place, part):
    assert COMPONENTS.of(Function("f", place), True) == part
