"""Which of PyTorch's files are which, by their paths alone."""

import pytest

from harness.overlay import pytorch_files

COMMIT = [
    "torch/__init__.py",
    "torch/nn/__init__.py",
    "torch/nn/linear.py",
    "torch/nn/extra/loose.py",
    "torch/_inductor/__init__.py",
    "torch/_inductor/template.py.jinja",
    "torch/_inductor/interface.cpp",
    "torch/_C/_nn.pyi",
    "torch/csrc/Module.cpp",
    "torch/csrc/tool.py",
    "functorch/examples/maml.py",
    "functorch/__init__.py",
    "torchgen/__init__.py",
    "torchgen/gen.py",
    "test/test_torch.py",
    "setup.py",
]


def test_a_commit_lays_what_its_wheel_would_hold_on_pythons_side():
    laid = pytorch_files.laid(COMMIT, shipped=["torch/_inductor/interface.cpp"])
    assert laid == {
        "torch/__init__.py",
        "torch/nn/__init__.py",
        "torch/nn/linear.py",
        "torch/_inductor/__init__.py",
        "torch/_inductor/template.py.jinja",
        "torch/_inductor/interface.cpp",  # data there, since wheels ship it
        "torch/_C/_nn.pyi",
        "functorch/__init__.py",
        "torchgen/__init__.py",
        "torchgen/gen.py",
    }  # not: modules outside of packages, C++ and its tools, tests
    assert "torch/_inductor/interface.cpp" not in pytorch_files.laid(COMMIT, shipped=[])


@pytest.mark.parametrize(
    ("path", "native"),
    [
        ("aten/src/ATen/native/native_functions.yaml", True),
        ("aten/src/ATen/native/cpu/Add.cpp", True),
        ("aten/src/ATen/test/basic.cpp", False),
        ("c10/core/Device.h", True),
        ("torch/csrc/autograd/engine.cpp", True),
        ("torch/library.h", True),
        ("torchgen/model.py", True),
        ("tools/autograd/derivatives.yaml", True),
        ("third_party/fmt", True),
        ("CMakeLists.txt", True),
        ("setup.py", True),
        ("torch/_dynamo/guards.py", False),
        ("torch/csrc/README.md", False),
        ("test/cpp/api/nn.cpp", False),
        ("docs/source/index.rst", False),
        (".github/workflows/pull.yml", False),
    ],
)
def test_what_the_binaries_depend_on(path, native):
    assert pytorch_files.is_native(path) is native


def test_data_that_is_laid_over_is_no_native_difference_and_a_generator_is():
    changed = ["torch/_inductor/interface.cpp", "torchgen/gen.py", "c10/core/Device.h", "docs/index.rst"]
    assert pytorch_files.native(changed, overlaid=changed[:2]) == ["c10/core/Device.h", "torchgen/gen.py"]


def test_what_stays_with_the_binaries_is_what_the_wheels_commit_does_not_hold():
    tracked = {"torch/nn/linear.py", "torch/_C/_nn.pyi"}
    assert pytorch_files.belongs_to_binaries("torch/version.py", tracked)
    assert pytorch_files.belongs_to_binaries("torch/_C.so", tracked)
    assert pytorch_files.belongs_to_binaries("torch/lib/libtorch.so", tracked)
    assert not pytorch_files.belongs_to_binaries("torch/nn/linear.py", tracked)


def test_without_the_wheels_commit_generated_files_are_known_by_name():
    for path in ("torch/version.py", "torch/_C/_nn.pyi", "torchgen/packaged/autograd/README.md", "torch/_C.so"):
        assert pytorch_files.belongs_to_binaries(path, None), path
    for path in ("torch/nn/linear.py", "torch/_inductor/template.py.jinja", "torch/nn/parameter.pyi"):
        assert not pytorch_files.belongs_to_binaries(path, None), path


def test_a_version_file_names_the_wheels_commit():
    commit = "cf30153c4c131c8164ee7798e5022d810682e2cb"
    text = f"__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\ngit_version = '{commit}'\n"
    assert pytorch_files.version_and_commit(text) == ("2.13.0+cpu", commit)
    assert pytorch_files.version_and_commit(text.replace(commit, "Unknown")) is None
