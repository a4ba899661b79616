"""Short definitions of statements, and the checks that they pass; pure, and without torch.

The names are those of PyTorch's own suite (benchmarks/instruction_counts), whose definitions mean the same here. One
definition becomes Python and C++, eager and TorchScript, forward and forward + backward, one thread and more
(`expansion` says how). Whatever is wrong with one is a SuiteError when it is made.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import itertools
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from harness.errors import SuiteError

Label = tuple[str, ...]


def _text(code: str) -> str:
    return textwrap.dedent(code).strip("\n")


class Language(enum.Enum):
    PYTHON = "Python"
    CPP = "C++"


@dataclasses.dataclass(frozen=True)
class TimerArgs:
    """One statement, as it is executed: `setup` once, `stmt` as often as is counted; `global_setup` is C++ outside of
    any function."""

    stmt: str
    setup: str = "pass"
    global_setup: str = ""
    num_threads: int = 1
    language: Language = Language.PYTHON


@dataclasses.dataclass(frozen=True)
class GroupedSetup:
    """The same preparation in both languages."""

    py_setup: str = ""
    cpp_setup: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "py_setup", _text(self.py_setup))
        object.__setattr__(self, "cpp_setup", _text(self.cpp_setup))


_NO_SETUP = GroupedSetup()


@dataclasses.dataclass(frozen=True)
class GroupedBenchmark:
    """A definition. Made by GroupedStmts, GroupedModules and GroupedVariants, which check it.

    `eager` holds the statement in each language, None where it has none. `model_setup` is the code that defines
    `model`, in each language; `model` is the Python source of what TorchScript scripts, None if nothing is to be.
    """

    eager: Mapping[Language, str | None]
    setup: GroupedSetup
    model_setup: Mapping[Language, str]
    model: str | None
    arguments: tuple[str, ...]
    output: str | None
    autograd: bool
    num_threads: tuple[int, ...]


Definition = GroupedBenchmark | TimerArgs
Definitions = Mapping[Any, Any]


def GroupedStmts(
    py_stmt: str | None = None,
    cpp_stmt: str | None = None,
    setup: GroupedSetup = _NO_SETUP,
    signature: str | None = None,
    torchscript: bool = False,
    autograd: bool = False,
    num_threads: int | tuple[int, ...] = 1,
) -> GroupedBenchmark:
    """A statement in Python, C++ or both. `signature`, "f(a, b) -> c", says what it reads and makes: TorchScript and
    backward need it."""
    arguments, output = _parse_signature(signature)
    py_stmt, cpp_stmt = (None if stmt is None else _text(stmt) for stmt in (py_stmt, cpp_stmt))
    if not py_stmt and not cpp_stmt:
        raise SuiteError("a definition needs a statement: py_stmt, cpp_stmt or both")
    model = None
    if torchscript:
        if py_stmt is None:
            raise SuiteError(f"torchscript=True needs py_stmt, which the model is made of; there is only {cpp_stmt!r}")
        if signature is None:
            raise SuiteError(f"torchscript=True needs a signature, f(a, b) -> c, for {py_stmt!r}")
        model = f"def model({', '.join(arguments)}):\n{textwrap.indent(py_stmt, '    ')}\n    return {output}\n"
    return _grouped(
        {Language.PYTHON: py_stmt, Language.CPP: cpp_stmt},
        setup,
        {},
        model,
        (arguments, output),
        autograd,
        num_threads,
    )


def GroupedModules(
    py_model: str | None = None,
    cpp_model: str | None = None,
    setup: GroupedSetup = _NO_SETUP,
    signature: str | None = None,
    torchscript: bool = False,
    autograd: bool = False,
    num_threads: int | tuple[int, ...] = 1,
) -> GroupedBenchmark:
    """Code that defines `model`, in Python, C++ or both; the statement is its call with the signature's arguments.

    Python calls `model(...)`, hooks and all, C++ `model->forward(...)`: each the way its users do.
    """
    if signature is None:
        raise SuiteError("a module needs a signature, f(a, b) -> c: what its model is called with")
    arguments, output = _parse_signature(signature)
    models = {
        language: _text(code)
        for language, code in ((Language.PYTHON, py_model), (Language.CPP, cpp_model))
        if code is not None
    }
    if not models:
        raise SuiteError("a module needs a model: py_model, cpp_model or both")
    for language, code in models.items():
        if "model" not in _bound(code, language):
            raise SuiteError(f"this {language.value} code defines no `model`: {code!r}")
    if torchscript and py_model is None:
        raise SuiteError("torchscript=True needs py_model, which is scripted")
    return _grouped(
        {language: call(language, "model", arguments, output) if language in models else None for language in Language},
        setup,
        models,
        models[Language.PYTHON] if torchscript else None,
        (arguments, output),
        autograd,
        num_threads,
    )


def GroupedVariants(
    py_block: str = "", cpp_block: str = "", num_threads: int | tuple[int, ...] = 1
) -> dict[str | Label, GroupedBenchmark]:
    """Many statements at once: every line under a comment `# @label` (`// @label`) is one.

    Lines of both languages under one label are paired by position; more than one pair get the further labels
    "Case:  0", "Case:  1" and so on. Under `# @setup` stands the setup that all share.
    """
    python, py_setup = _parse_variants(py_block, Language.PYTHON)
    cpp, cpp_setup = _parse_variants(cpp_block, Language.CPP)
    setup = GroupedSetup(py_setup, cpp_setup)
    variants: dict[str | Label, GroupedBenchmark] = {}
    for label in dict.fromkeys([*python, *cpp]):
        paired = itertools.zip_longest(python.get(label, []), cpp.get(label, []))
        lines = [(py or None, c or None) for py, c in paired if py or c]
        for number, (py_stmt, cpp_stmt) in enumerate(lines):
            further = (f"Case: {number:>2}",) if len(lines) > 1 else ()
            variants[(label, *further)] = GroupedStmts(py_stmt, cpp_stmt, setup, num_threads=num_threads)
    return variants


def parse_stmts(block: str) -> tuple[str, str]:
    """Two statements written side by side: the Python one in 40 columns, " | ", the C++ one, below a header."""
    lines = [line.rstrip() for line in textwrap.dedent(block).strip().splitlines()]
    if len(lines) < 3 or not re.fullmatch(r"Python +\| C\+\+", lines[0]) or not re.fullmatch(r"-+ +\| -+", lines[1]):
        raise SuiteError(f"a side-by-side block begins with `Python | C++` over a row of dashes, not {lines[:2]}")
    python, cpp = [], []
    for line in lines[2:]:
        left, right = line[:40].rstrip(), line[43:]
        if f"{left:<40} | {right}".rstrip() != line:
            raise SuiteError(f"a side-by-side row has 40 columns of Python, ` | `, then C++, not {line!r}")
        python.append(left)
        cpp.append(right)
    return "\n".join(python).strip(), "\n".join(cpp).strip()


def call(language: Language, model: str, arguments: tuple[str, ...], output: str | None) -> str:
    """The statement that calls a model, eager or scripted."""
    listed = ", ".join(arguments)
    if language == Language.PYTHON:
        return f"{output} = {model}({listed})" if output else f"{model}({listed})"
    taken = f"auto {output} = " if output else ""
    if model == "model":
        return f"{taken}model->forward({listed});"
    values = ", ".join(f"torch::jit::IValue({name})" for name in arguments)
    # Making the vector belongs to the call, as it does for whoever serves a scripted model.
    return f"std::vector<torch::jit::IValue> ivalue_inputs({{{values}}});\n{taken}{model}.forward(ivalue_inputs);"


def _grouped(
    eager: Mapping[Language, str | None],
    setup: GroupedSetup,
    model_setup: Mapping[Language, str],
    model: str | None,
    signature: tuple[tuple[str, ...], str | None],
    autograd: bool,
    num_threads: int | tuple[int, ...],
) -> GroupedBenchmark:
    """The checks that statements and modules share."""
    if autograd and signature[1] is None:
        raise SuiteError("autograd=True needs an output to go back from: a signature f(a, b) -> c with a name after ->")
    threads = (num_threads,) if isinstance(num_threads, int) else tuple(num_threads)
    if not threads or min(threads) < 1 or len(set(threads)) < len(threads):
        raise SuiteError(f"num_threads is {num_threads!r}; it takes different whole numbers from 1 up")
    generated = {"torch", *(["jit_model", "ivalue_inputs"] if model else []), *(["model"] if model_setup else [])}
    for language, code in ((Language.PYTHON, setup.py_setup), (Language.CPP, setup.cpp_setup)):
        shadowed = generated & _bound(code, language)
        if shadowed:
            raise SuiteError(
                f"the {language.value} setup defines {', '.join(sorted(shadowed))}, a name that this definition's "
                f"own code uses: give it another one in {code!r}"
            )
    return GroupedBenchmark(eager, setup, model_setup, model, *signature, autograd, threads)


def _parse_signature(signature: str | None) -> tuple[tuple[str, ...], str | None]:
    if signature is None:
        return (), None
    match = re.fullmatch(r"f\((.*)\) -> (.+)", signature)
    if match is None:
        raise SuiteError(f"the signature {signature!r} is not of the form f(a, b) -> c")
    arguments = tuple(part.strip() for part in match[1].split(",")) if match[1].strip() else ()
    output = match[2].strip()
    if "," in output:
        raise SuiteError(f"the signature {signature!r} has more than one output; it takes one name, or None")
    for name in (*arguments, output):
        if not name.isidentifier():
            raise SuiteError(f"in the signature {signature!r}, {name!r} is not a name")
    return arguments, None if output == "None" else output


def _parse_variants(block: str, language: Language) -> tuple[dict[str, list[str]], str]:
    """The lines under each label, "" for those that hold no statement, and the setup."""
    mark = "#" if language == Language.PYTHON else "//"
    lines: dict[str, list[str]] = {}
    setup: list[str] = []
    into: list[str] | None = None
    for line in _text(block).splitlines():
        label = re.fullmatch(rf"{mark} @(.+)", line.strip())
        if label is not None:
            name = label[1].strip()
            kind = name.lower().replace(" ", "_")
            if kind == "global_setup" and language == Language.PYTHON:
                raise SuiteError("Python has no global setup; put it under `# @setup`")
            into = [] if kind == "global_setup" else setup if kind == "setup" else lines.setdefault(name, [])
        elif into is not None:
            into.append("" if line.startswith(mark) else line.rstrip())
        elif line.strip() and not line.startswith(mark):
            raise SuiteError(f"the line {line!r} comes before the first label, `{mark} @label`")
    return lines, "\n".join(setup)


def _bound(code: str, language: Language) -> set[str]:
    """The names that this code defines, at its top level; for C++ as far as a pattern can tell."""
    if language == Language.CPP:
        return set(re.findall(r"[\w>&*]\s+&?(\w+)\s*(?:=(?!=)|\(|\{|;)", code))
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise SuiteError(f"this Python code does not parse ({error.msg}, line {error.lineno}): {code!r}") from None
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        else:
            names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names
