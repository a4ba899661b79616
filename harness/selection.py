"""Which benchmark, and which of its cases, somebody means who names them as asv does."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import messages, workload
from harness.errors import SuiteError
from harness.parameters import bare
from harness.workload import Workload


def find(suite: Path, name: str) -> type[Workload]:
    """The workload that asv lists as `name` in the package at `suite`; `.track_instructions` may be left out."""
    module_name, _, class_name = name.removesuffix(messages.TRACK).rpartition(".")
    if not (suite / "__init__.py").exists():
        raise SuiteError(f"no suite of benchmarks in {suite}: it has no __init__.py; name its folder with --suite")
    if not module_name:
        known = [module.stem for module in suite.glob("*.py")]
        raise SuiteError(f"no benchmark {name!r} in {suite}: name it as asv does, <module>.<class>{meant(name, known)}")
    sys.path.insert(0, str(suite.resolve().parent))
    top = suite.resolve().name
    try:
        module = importlib.import_module(f"{top}.{module_name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith(top):
            known = [".".join(path.relative_to(suite).with_suffix("").parts) for path in suite.rglob("[!_]*.py")]
            raise SuiteError(f"no benchmark {name!r} in {suite}: {error}{meant(module_name, known)}") from None
        raise SuiteError(
            f"the benchmark {name!r} needs {error.name!r}, which this environment lacks: "
            "install the pin with `pip install --requirement requirements.txt`"
        ) from None
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, Workload)):
        known = [other.__name__ for other in workload.suite(top) if other.__module__ == module.__name__]
        what = "is not a workload" if found is not None else "is not there"
        raise SuiteError(
            f"no benchmark {name!r} in {suite}: it {what}; {module_name} has {', '.join(known) or 'none'}"
            f"{meant(class_name, known)}"
        )
    if inspect.isabstract(found):
        raise SuiteError(f"{name!r} is a base for other benchmarks and none itself")
    return found


def every(suite: Path) -> list[type[Workload]]:
    """Every workload of the package at `suite`, in asv's order."""
    sys.path.insert(0, str(suite.resolve().parent))
    name = suite.resolve().name
    for path in sorted(suite.glob("*.py")):
        importlib.import_module(f"{name}.{path.stem}" if path.stem != "__init__" else name)
    return workload.suite(name)


def choose(found: type[Workload], assignments: Sequence[str]) -> list[tuple[object, ...]]:
    """The choices of parameters that agree with every `name=value`, the value as its label or its `repr`."""
    names = list(found.param_names)
    wanted = assigned(assignments, names)
    allowed: list[set[int]] = []
    for name, labels, values in zip(names, found.labels(), found.parameters(), strict=True):
        value = wanted.get(name)
        places = set(range(len(labels)))
        if value is not None:
            places = {place for place in places if value in (labels[place], bare(repr(values[place])))}
        if not places:
            known = ", ".join(labels)
            raise SuiteError(
                f"{found.benchmark()} has no {name}={value}; its {name} is one of {known}{meant(value, labels)}"
            )
        allowed.append(places)
    choices = [
        params
        for params in found.choices()
        if all(place in places for place, places in zip(found.places(params), allowed, strict=True))
    ]
    if not choices:
        raise SuiteError(f"no case of {found.benchmark()} has {wanted}: these values do not go together")
    return choices


def meant(word: str | None, known: Iterable[str]) -> str:
    """A question whether the nearest of the known words was meant; nothing if none is near."""
    near = difflib.get_close_matches(word or "", list(known), 1, 0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def assigned(assignments: Sequence[str], names: Sequence[str] | None = None) -> dict[str, str]:
    """The values by name of several `name=value`; of these `names` only, if they are known."""
    wanted: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or (names is not None and name not in names):
            known = "" if names is None else f", with a name of {list(names)}{meant(name, names)}"
            raise SuiteError(f"--param {assignment!r}: expected name=value{known}")
        if wanted.setdefault(name, value) != value:
            raise SuiteError(f"--param {name!r} is given twice, as {wanted[name]!r} and as {value!r}: give one of them")
    return wanted
