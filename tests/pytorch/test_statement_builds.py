"""Compiling statements, with a real compiler and a stand-in for torch's headers."""

from __future__ import annotations

import ctypes
import subprocess

import pytest

from harness import StartError, TimerArgs
from harness.errors import CaseSkipped, CountError
from harness.inside.definitions import Language
from harness.inside.pytorch import built_files
from harness.pytorch import builds
from harness.system import cache

HEADERS = """
#include <string>
namespace torch { inline void set_num_threads(int) {} }
"""


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """g++, told that `torch/torch.h` is ours; and a list of what it was asked for."""
    headers = tmp_path / "include/torch"
    headers.mkdir(parents=True)
    (headers / "torch.h").write_text(HEADERS)
    options = (*builds._FLAGS, f"-I{headers.parent}", f"-I{builds._COUNTING.parent}")
    asked = []

    def find(cached):
        return builds._Compiler("g++", options, (), ("facts",), cached)

    def run(command, **keywords):
        asked.append(command)
        return run_really(command, **keywords)

    run_really = subprocess.run
    monkeypatch.setattr(builds._Compiler, "find", find)
    monkeypatch.setattr(builds.subprocess, "run", run)
    return asked


def cpp(stmt, setup="", **fields):
    return TimerArgs(stmt, setup, language=Language.CPP, **fields)


def build(tmp_path, loops, folder="built"):
    (tmp_path / folder).mkdir()
    builds.build_loops(loops, tmp_path / folder, tmp_path / "cache")
    return tmp_path / folder


def outcomes(folder, numbers):
    found = {}
    for number in numbers:
        try:
            found[number] = built_files.find(folder, number).name
        except CountError as error:
            found[number] = str(error)
    return found


def test_all_statements_go_into_one_library_in_one_compilation(tmp_path, compiler):
    folder = build(tmp_path, {number: cpp(f"x += {number};", "int x = 0;") for number in range(5)})
    assert set(outcomes(folder, range(5)).values()) == {"loops.so"} and len(compiler) == 1
    library = ctypes.CDLL(str(folder / "loops.so"))
    assert all(hasattr(library, name) for name in ("loop_0", "loop_4", built_files.EMPTY_SYMBOL))


def test_a_library_is_compiled_once_for_equal_sources(tmp_path, compiler):
    build(tmp_path, {0: cpp("x += 1;", "int x = 0;")}, "first")
    build(tmp_path, {0: cpp("x += 1;", "int x = 0;")}, "second")
    assert len(compiler) == 1 and (tmp_path / "second/loops.so").exists()
    build(tmp_path, {0: cpp("x += 2;", "int x = 0;")}, "third")
    assert len(compiler) == 2


def test_a_statement_that_does_not_compile_fails_alone_with_what_the_compiler_says(tmp_path, compiler):
    loops = {
        0: cpp("x += 1;", "int x = 0;"),
        1: cpp("nowhere(x);", "int x = 0;"),
        2: cpp("x += 2;", "int x = zero();"),
        3: cpp("x += 3;", "int x = 0;"),
    }
    found = outcomes(build(tmp_path, loops), loops)
    assert found[0] == found[3] == "loops.so"
    assert "the C++ statement does not compile" in found[1] and "nowhere(x);" in found[1]
    assert "error: 'nowhere' was not declared" in found[1].replace("\u2018", "'").replace("\u2019", "'")
    assert "int x = zero();" in found[2] and "'zero'" in found[2].replace("\u2018", "'").replace("\u2019", "'")
    compilations = len(compiler)
    assert outcomes(build(tmp_path, loops, "again"), loops) == found
    assert len(compiler) == compilations  # what is wrong is remembered too


@pytest.mark.parametrize("stmt", ["f({);", "x += 1; }", "if (x) {", 'f("x);', "f(x];"])
def test_a_statement_whose_brackets_do_not_match_spoils_no_other(tmp_path, compiler, stmt):
    loops = {0: cpp("x += 1;", "int x = 0;"), 1: cpp(stmt, "int x = 0;"), 2: cpp("x += 2;", "int x = 0;")}
    found = outcomes(build(tmp_path, loops), loops)
    assert found[0] == found[2] == "loops.so"
    assert "is not even a statement" in found[1] and stmt in found[1]
    assert len(compiler) == 1


def test_a_suspect_that_is_innocent_is_built_alone(tmp_path, compiler):
    # The second definition of f is the error; the first one is named in the compiler's note, and is right.
    loops = {
        0: cpp("f();", global_setup="inline int f() { return 1; }"),
        1: cpp("f();", global_setup="inline long f() { return 2; }"),
        2: cpp("int x = 0;"),
    }
    found = outcomes(build(tmp_path, loops), loops)
    assert "failed" not in found[2] and found[2] == "loops.so"
    assert [found[0], found[1]] == ["loop_0.so", "loop_1.so"]


def test_a_header_that_is_not_there_fails_for_those_that_want_it(tmp_path, compiler):
    loops = {0: cpp("int x = 0;"), 1: cpp("int x = 0;", global_setup="#include <nowhere.h>")}
    found = outcomes(build(tmp_path, loops), loops)
    assert found[0] == "loops.so" and "nowhere.h" in found[1]


def test_an_error_that_is_nobodys_fails_for_all(tmp_path, compiler):
    (tmp_path / "include/torch/torch.h").write_text("this is no header")
    with pytest.raises(StartError, match="no single one is to blame"):
        build(tmp_path, {0: cpp("int x = 0;")})


def test_no_compiler_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(StartError, match="no C\\+\\+ compiler"):
        build(tmp_path, {0: cpp("int x = 0;")})


def test_what_is_thrown_in_a_loop_comes_back_as_a_sentence(tmp_path, compiler):
    folder = build(tmp_path, {0: cpp('throw std::runtime_error("thrown");', "", global_setup="#include <stdexcept>")})
    loop = ctypes.CDLL(str(folder / "loops.so")).loop_0
    loop.restype = ctypes.c_char_p
    assert loop(1, ctypes.create_string_buffer(1 << 16)) == b"thrown"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("f({1, 2}, x[0]);", None),
        ('f("(");  // )', None),
        ("f('{');", None),
        ("/* ( */ f();", None),
        ("f(", "'(' is left open"),
        ("f)", "')' closes nothing"),
        ("f(]", "']' closes nothing"),
    ],
)
def test_brackets_are_matched_outside_of_strings_and_comments(code, reason):
    assert builds.unbalanced(code) == reason


# TorchScript


@pytest.mark.torch_native
def test_models_are_scripted_and_saved_or_each_told_why_not(tmp_path):
    import torch

    models = {
        0: "model = torch.nn.Linear(4, 2)",
        1: "def model(x):\n    return x + 1\n",
        2: "def model(x):\n    return open(x)\n",
    }
    builds.save_models(models, tmp_path)
    assert torch.jit.load(str(built_files.find(tmp_path, 1)))(torch.ones(1)).item() == 2
    assert torch.jit.load(str(built_files.find(tmp_path, 0)))(torch.ones(4)).shape == (2,)
    with pytest.raises(CountError, match="(?s)TorchScript does not take the model.*open"):
        built_files.find(tmp_path, 2)


@pytest.mark.torch_native
def test_without_torchscript_its_cases_are_skipped_with_the_reason(tmp_path, monkeypatch):
    import torch

    def dropped(model):
        raise RuntimeError("torch.jit.script is not supported in Python 4")

    monkeypatch.setattr(torch.jit, "script", dropped)
    builds.save_models({0: "model = torch.nn.Linear(4, 2)"}, tmp_path)
    with pytest.raises(CaseSkipped, match="TorchScript is not to be had here: RuntimeError: torch.jit.script is not"):
        built_files.find(tmp_path, 0)


def test_the_cache_takes_whole_files_only_and_never_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    made = tmp_path / "made"
    made.write_text("made")
    cache.store(made, cache.folder() / "kept" / "file")
    assert (tmp_path / "home/torch-instruction-suite/kept/file").read_text() == "made"
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    cache.store(made, cache.folder() / "file")
