"""Which benchmark, and which of its cases, somebody means who names them as asv does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import messages, workload
from harness.errors import SuiteError
from harness.workload import Workload


def find(suite: Path, name: str) -> type[Workload]:
    """The workload that asv lists as `name` in the package at `suite`; `.track_instructions` may be left out."""
    module_name, _, class_name = name.removesuffix(messages.TRACK).rpartition(".")
    if not module_name or not (suite / "__init__.py").exists():
        raise SuiteError(f"no benchmark {name!r} in {suite}: name it as asv does, <module>.<class>")
    sys.path.insert(0, str(suite.resolve().parent))
    try:
        module = importlib.import_module(f"{suite.resolve().name}.{module_name}")
        found = getattr(module, class_name)
    except AttributeError as error:
        raise SuiteError(f"no benchmark {name!r} in {suite}: {error}") from None
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith(suite.resolve().name):
            raise SuiteError(f"no benchmark {name!r} in {suite}: {error}") from None
        raise SuiteError(
            f"the benchmark {name!r} needs {error.name!r}, which this environment lacks: "
            "install the pin with `pip install --requirement requirements.txt`"
        ) from None
    if not (isinstance(found, type) and issubclass(found, Workload)):
        raise SuiteError(f"{name!r} is not a workload")
    return found


def every(suite: Path) -> list[type[Workload]]:
    """Every workload of the package at `suite`, in asv's order."""
    sys.path.insert(0, str(suite.resolve().parent))
    name = suite.resolve().name
    for path in sorted(suite.glob("*.py")):
        importlib.import_module(f"{name}.{path.stem}" if path.stem != "__init__" else name)
    return workload.suite(name)


def choose(found: type[Workload], assignments: Sequence[str]) -> list[tuple[object, ...]]:
    """The choices of parameters that agree with every `name=value`."""
    wanted = assigned(assignments, found.param_names)
    choices = [
        params
        for params in found.choices()
        if all(
            str(value) == wanted.get(name, str(value)) for name, value in zip(found.param_names, params, strict=True)
        )
    ]
    if not choices:
        raise SuiteError(f"no case of {found.benchmark()} has {wanted}; its parameters are {found.parameters()}")
    return choices


def assigned(assignments: Sequence[str], names: Sequence[str] | None = None) -> dict[str, str]:
    """The values by name of several `name=value`; of these `names` only, if they are known."""
    wanted = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or (names is not None and name not in names):
            known = "" if names is None else f", with a name of {list(names)}"
            raise SuiteError(f"--param {assignment!r}: expected name=value{known}")
        wanted[name] = value
    return wanted
