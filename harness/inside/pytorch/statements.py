"""The half of `Statements` that runs under valgrind: a group of short definitions as one class, each of their cases a
choice of its parameters. pytorch/statements.py builds what their C++ needs.
"""

from __future__ import annotations

import abc
import ast
import os
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import CaseSkipped, SuiteError
from harness.inside.counters import native_loop
from harness.inside.definitions import Definitions, Language
from harness.inside.expansion import MODEL_FILE, MaterializedCase, materialize
from harness.inside.pytorch import built_files
from harness.inside.workload import Workload

#: What a group may need built: the C++ of all its statements in a library, its scripted models.
LOOPS, MODELS = "loops", "models"
# A statement is the body of a function, which finds what the setup made as globals. The other one is the overhead.
FUNCTIONS = """\
def work():
{declaration}{stmt}

def nothing():
    pass
"""
PRELUDE = "import torch\ntorch.set_num_threads({threads})\n"


class Statements(Workload):
    """Counts what `definitions` define; `label` is the group's own, the first of every case's."""

    label = ""
    param_names = ("case", "language", "runtime", "autograd", "threads")
    calls = 100
    layouts = 5
    cases: tuple[MaterializedCase, ...] = ()
    #: Choices of parameters that no definition asks for.
    skip_params: Sequence[tuple[Any, ...]] = ()
    _numbers: dict[tuple[Any, ...], int]

    @property
    @abc.abstractmethod
    def definitions(self) -> Definitions:
        """Nested dictionaries of labels that end in definitions."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        if not isinstance(cls.definitions, property):  # else it has none, which the workload's own checks will tell
            cls._take_cases()
        super().__init_subclass__(**keywords)

    @classmethod
    def _take_cases(cls) -> None:
        """Make the parameters of the definitions."""
        try:
            cls.cases = materialize({cls.label or cls.__name__: cls.definitions})
        except SuiteError as error:
            raise SuiteError(f"{cls.__module__}.{cls.__qualname__}: {error}") from None
        all_params = [_parameters(case) for case in cls.cases]
        cls._numbers = {params: number for number, params in enumerate(all_params)}
        if len(cls._numbers) < len(all_params):
            twice = next(params for params in all_params if all_params.count(params) > 1)
            raise SuiteError(f"{cls.__module__}.{cls.__qualname__} has two cases that would be named {twice!r}")
        cls.params = [list(dict.fromkeys(values)) for values in zip(*all_params, strict=True)]
        cls.skip_params = [params for params in cls.product() if params not in cls._numbers]

    @classmethod
    def case_of(cls, params: tuple[Any, ...]) -> MaterializedCase:
        """What `params` choose. Raises KeyError where no definition asks for it."""
        return cls.cases[cls._numbers[params]]

    @classmethod
    def _models(cls) -> dict[str, int]:
        """Every model's source, and its number."""
        sources = dict.fromkeys(case.model for case in cls.cases if case.model)
        return {source: number for number, source in enumerate(sources)}

    def setup(self, *params: Any) -> None:
        number = self._numbers[params]
        case = self.cases[number]
        try:
            if case.model is not None:
                os.symlink(built_files.find(self.built / MODELS, self._models()[case.model]), MODEL_FILE)
            self._python = not is_cpp(case)
            if self._python:
                self.work, self.nothing = python_functions(case)  # type: ignore[method-assign]
                return
            library = str(built_files.find(self.built / LOOPS, number))
        except CaseSkipped as reason:
            raise NotImplementedError(str(reason)) from None
        self.layouts = 1  # they place what Python caches, which has no part in this
        self.work = native_loop(library, built_files.symbol(number))  # type: ignore[method-assign]
        self.nothing = native_loop(library, built_files.EMPTY_SYMBOL)  # type: ignore[method-assign]

    def warm_up(self) -> None:
        if self._python:  # a C++ loop warms up by itself
            for _ in range(built_files.WARM_UPS):
                self.work()

    def work(self) -> object:
        raise NotImplementedError  # setup puts the case's own in its place


def python_functions(case: MaterializedCase) -> tuple[Callable[[], object], Callable[[], object]]:
    """The statement as a function, after its setup was run, and an empty function."""
    namespace: dict[str, Any] = {}
    setup = PRELUDE.format(threads=case.args.num_threads) + case.args.setup
    exec(compile(setup, "<setup>", "exec"), namespace)
    stored = {
        node.id
        for node in ast.walk(ast.parse(case.args.stmt))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    declaration = f"    global {', '.join(sorted(stored))}\n" if stored else ""
    source = FUNCTIONS.format(declaration=declaration, stmt=textwrap.indent(case.args.stmt, "    "))
    exec(compile(source, "<statement>", "exec"), namespace)
    return namespace["work"], namespace["nothing"]


def is_cpp(case: MaterializedCase) -> bool:
    return case.args.language == Language.CPP


def _parameters(case: MaterializedCase) -> tuple[Any, ...]:
    """What asv knows the case by: the label's levels as a path, without the group's own, and its expansion."""
    levels = [re.sub(r"^Case: +(\d+)$", r"\1", level) for level in case.label[1:]]
    labels = case.auto_labels
    return (
        "/".join(levels) or case.label[0],
        labels.language.value,
        labels.runtime.value or "explicit",
        labels.autograd.value or "explicit",
        case.args.num_threads,
    )
