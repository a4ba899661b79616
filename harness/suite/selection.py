"""Which benchmark, and which of its cases, somebody means who names them as asv does."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from harness import protocol
from harness.engine import source
from harness.errors import SuiteError
from harness.inside.values import bare
from harness.suite import cases, static_declarations
from harness.suite.cases import DeclaredWorkload
from harness.suite.parameters import labels
from harness.suite.workload import Workload


def find(suite: Path, name: str, assignments: Sequence[str] = ()) -> type[Workload]:
    """The workload that asv lists as `name` in the package at `suite`; `.track_instructions` may be left out. Raises
    SuiteError."""
    foresee(suite, name, assignments)
    return foreseen(suite, name)


def foreseen(suite: Path, name: str) -> type[Workload]:
    """The same of a name that `foresee` has let pass."""
    top = package(suite).__name__
    module_name, _, class_name = name.removesuffix(protocol.TRACK).rpartition(".")
    try:
        module = importlib.import_module(f"{top}.{module_name}")
    except ModuleNotFoundError as error:
        raise _lacks(f"the benchmark {name!r}", error) from None
    workload_class = getattr(module, class_name, None)
    if not (isinstance(workload_class, type) and issubclass(workload_class, Workload)):
        known = [other.__name__ for other in cases.workloads_of(top) if other.__module__ == module.__name__]
        raise SuiteError(
            f"no benchmark {name!r} in {suite}: {class_name!r} is not a workload; "
            f"{module_name} has {', '.join(known) or 'none'}"
        )
    if inspect.isabstract(workload_class):
        raise SuiteError(f"{name!r} is a base for other benchmarks and none itself")
    return workload_class


def package(suite: Path) -> ModuleType:
    """The package of the suite itself, without its modules, which import what is counted. Raises SuiteError."""
    sys.path.insert(0, str(suite.resolve().parent))
    try:
        return importlib.import_module(suite.resolve().name)
    except ModuleNotFoundError as error:
        raise _lacks(f"the suite {suite}", error) from None


def foresee(suite: Path, name: str, assignments: Sequence[str]) -> None:
    """Refuse a name or an assignment (`name=value`) that the suite's text shows to be wrong, before anything is
    imported or started. Raises SuiteError."""
    module_name, _, class_name = name.removesuffix(protocol.TRACK).rpartition(".")
    if not (suite / "__init__.py").exists():
        raise SuiteError(f"no suite of benchmarks in {suite}: it has no __init__.py; name its folder with --benchmarks")
    modules = [".".join(path.relative_to(suite).with_suffix("").parts) for path in suite.rglob("[!_.]*.py")]
    if not module_name:
        raise SuiteError(
            f"no benchmark {name!r} in {suite}: name it as asv does, <module>.<class>{suggestion(name, modules)}"
        )
    if module_name not in modules:
        raise SuiteError(
            f"no benchmark {name!r} in {suite}: it has no {module_name!r}{suggestion(module_name, modules)}"
        )
    whole = suite.resolve()
    _foresee(whole.parent, f"{whole.name}.{module_name}", class_name, name, assignments)


def _foresee(folder: Path, module: str, class_name: str, name: str, assignments: Sequence[str]) -> None:
    """Raises SuiteError for what is wrong as far as the text tells; what it does not tell, the import will."""
    read = source.of_files_in(folder)
    try:
        known = static_declarations.classes(module, read)
        bases = {base.__name__: base for base in cases.base_classes()}
        declared = static_declarations.declared(module, class_name, read, bases)
    except SyntaxError:
        return
    # A class may be made without being written down, so only what looks misspelled is refused.
    if (
        class_name not in known
        and suggestion(class_name, known)
        and not re.search(rf"\b{re.escape(class_name)}\b", read(module))
    ):
        raise SuiteError(f"no benchmark {name!r}: {module} has {', '.join(known)}{suggestion(class_name, known)}")
    if declared is not None:
        _places(name, declared.names, declared.params, assignments)


def all_workloads(suite: Path) -> list[type[DeclaredWorkload]]:
    """Every workload of the package at `suite`, in asv's order. Raises SuiteError where a module of it needs a package
    that is not installed."""
    sys.path.insert(0, str(suite.resolve().parent))
    name = suite.resolve().name
    for path in sorted(suite.glob("[!.]*.py")):
        try:
            importlib.import_module(f"{name}.{path.stem}" if path.stem != "__init__" else name)
        except ModuleNotFoundError as error:
            raise _lacks(f"the suite's {path.name}", error) from None
    return cases.workloads_of(name)


def _lacks(what: str, error: ModuleNotFoundError) -> SuiteError:
    return SuiteError(
        f"{what} needs {error.name!r}, which this environment lacks: install the pin into it, "
        f"`{sys.executable} -m pip install --requirement requirements.txt`"
    )


def choose(workload_class: type[DeclaredWorkload], assignments: Sequence[str]) -> list[tuple[object, ...]]:
    """The choices of parameters that agree with every `name=value`, the value as its label or its `repr`."""
    allowed = _places(workload_class.benchmark(), workload_class.param_names, workload_class.parameters(), assignments)
    choices = [
        params
        for params in workload_class.choices()
        if all(place in places for place, places in zip(workload_class.places(params), allowed, strict=True))
    ]
    if not choices:
        raise SuiteError(
            f"no case of {workload_class.benchmark()} has {' and '.join(assignments)}: these do not go together"
        )
    return choices


def _places(
    benchmark: str, names: Sequence[str], params: Sequence[Sequence[object]], assignments: Sequence[str]
) -> list[set[int]]:
    """For each parameter the places of the values that the assignments allow. Raises SuiteError where there is none."""
    wanted = parse_assignments(assignments, names)
    allowed = []
    for name, values in zip(names, params, strict=True):
        known = labels(values)
        value = wanted.get(name)
        places = {
            place
            for place, (label, other) in enumerate(zip(known, values, strict=True))
            if value in (None, label, bare(repr(other)))
        }
        if not places:
            shown = ", ".join(known)
            raise SuiteError(
                f"{benchmark} has no {name}={value}; its {name} is one of {shown}{suggestion(value, known)}"
            )
        allowed.append(places)
    return allowed


def suggestion(word: str | None, known: Iterable[str]) -> str:
    """A question whether the nearest of the known words was meant; nothing if none is near."""
    near = difflib.get_close_matches(word or "", list(known), 1, 0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def parse_assignments(assignments: Sequence[str], names: Sequence[str] | None = None) -> dict[str, str]:
    """The values by name of several `name=value`; of these `names` only, if they are known."""
    wanted: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or (names is not None and name not in names):
            known = "" if names is None else f", with a name of {list(names)}{suggestion(name, names)}"
            raise SuiteError(f"--param {assignment!r}: expected name=value{known}")
        if wanted.setdefault(name, value) != value:
            raise SuiteError(f"--param {name!r} is given twice, as {wanted[name]!r} and as {value!r}: give one of them")
    return wanted
