import pytest

from harness.profile import symbols


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("malloc", "malloc"),
        ("_PyEval_EvalFrameDefault'2", "_PyEval_EvalFrameDefault"),
        ("c10::SymInt::release_() [clone .isra.0]", "c10::SymInt::release_()"),
        ("dict_merge.part.0", "dict_merge"),
        ("take_gil.constprop.0.isra.3", "take_gil"),
        ("at::add(at::Tensor const&) [clone .cold] [clone .part.1]", "at::add(at::Tensor const&)"),
        ("0x00000000000bbb80", symbols.NAMELESS),
        ("???:0x4936720", symbols.NAMELESS),
        ("???", symbols.NAMELESS),
        ("f::{lambda()#1}::operator()() const", "f::{lambda()#1}::operator()() const"),
    ],
)
def test_functions_of_machine_code(written, name):
    assert symbols.native(written) == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "libc"),
        ("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "ld-linux-x86"),
        ("/usr/lib/libstdc++.so.6.0.30", "libstdc++"),
        ("/opt/a/lib/libpython3.11.so.1.0", "libpython"),
        ("/usr/bin/python3.11", "libpython"),
        ("/env/lib/python3.11/lib-dynload/_pickle.cpython-311-x86_64-linux-gnu.so", "_pickle"),
        ("/env/numpy.libs/libgfortran-040039e1.so.5.0.0", "libgfortran"),
        ("/tmp/harness-0-00/work/Add1-1/inductor/ab/cabxyz.so", symbols.GENERATED),
        ("/tmp/harness-1000-03-XXXXX/built/benchmarks.operators.Empty/loops/loops.so", symbols.GENERATED),
        ("/home/a/.cache/torch-instruction-suite/cpp-07e0df58a16c3bbd.so", symbols.GENERATED),
        ("/tmp/harness-0-00/site/_client_requests.so", "_client_requests"),
        ("???", symbols.UNMAPPED),
    ],
)
def test_libraries(path, name):
    assert symbols.library(path) == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/tmp/harness-0-00-XXXX/site/torch/_ops.py", "torch/_ops.py"),
        ("/env/lib/python3.11/site-packages/sympy/core/add.py", "sympy/core/add.py"),
        ("/opt/a/lib/python3.11/functools.py", "python/functools.py"),
        ("<frozen importlib._bootstrap>", "python/importlib/_bootstrap.py"),
        ("<eval_with_key>.123", "<eval_with_key>"),
        ("<string>", "<string>"),
        ("/tmp/harness-0-00/work/Add1-1/inductor/ab/cabxyz.py", "<generated code>"),
    ],
)
def test_files(path, name):
    assert symbols.file(path) == name


def test_what_is_drawn_for_every_compile_is_left_out():
    assert symbols.python("__compiled_fn_3_5b1c2d3e_0a1b_4c2d_8e9f_001122334455") == "__compiled_fn_3"
    assert symbols.python("OutputGraph.compile_subgraph") == "OutputGraph.compile_subgraph"
