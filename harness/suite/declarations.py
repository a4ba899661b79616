"""What can be wrong with a workload as it is declared, found when its class is made: natively, before anything starts.

asv makes every class when it looks for benchmarks, and so does whoever asks for a count. Each fault is a SuiteError
with the class's file and line.
"""

from __future__ import annotations

import abc
import ast
import difflib
import inspect
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator
from types import FrameType
from typing import Any

from harness import protocol
from harness.errors import SuiteError
from harness.inside.values import lists
from harness.suite import suites

#: The line of each class that was made, by module and name.
_made: dict[tuple[str, str], int] = {}


def check(cls: type, base: type, regions: Collection[str]) -> None:
    """Look at `cls`, a subclass of `base` (Workload) that is just being made. Raises SuiteError with all its faults."""
    line = _line(cls)
    faults = list(_name(cls, line))
    if _is_for_others(cls):
        _raise(cls, line, faults)
        return
    faults += _methods(cls, base)
    faults += _parameters(cls)
    faults += _whole_numbers(cls)
    if cls.region not in regions:  # type: ignore[attr-defined]
        known = ", ".join(sorted(regions))
        faults.append(f"its region is {cls.region!r}; the suite's rules know {known}")  # type: ignore[attr-defined]
    if cls.suite not in suites.NAMES:  # type: ignore[attr-defined]
        faults.append(f"its suite is {cls.suite!r}; known are {', '.join(suites.NAMES)}")  # type: ignore[attr-defined]
    if cls.stage not in protocol.STAGES:  # type: ignore[attr-defined]
        faults.append(f"its stage is {cls.stage!r}; known are {', '.join(protocol.STAGES)}")  # type: ignore[attr-defined]
    faults += _small(cls, base)
    _raise(cls, line, faults)


def _raise(cls: type, line: int, faults: list[str]) -> None:
    if faults:
        file = getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__
        raise SuiteError(f"{file}:{line}: {cls.__name__}: {'; '.join(faults)}")


def _line(cls: type) -> int:
    """The line of the class statement that is being executed; 0 for a class that is made in another way."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != cls.__module__:
        frame = frame.f_back
    return 0 if frame is None else frame.f_lineno


def _is_for_others(cls: type) -> bool:
    """Whether the class says that it is a base for others: it is abstract on purpose."""
    return abc.ABC in cls.__bases__ or any(
        getattr(value, "__isabstractmethod__", False) for value in vars(cls).values()
    )


def _name(cls: type, line: int) -> Iterator[str]:
    """asv would list only the last of two classes of one name, and their cases could not be told apart."""
    before = _made.setdefault((cls.__module__, cls.__qualname__), line)
    if before != line:
        yield f"a class of the same name is made in line {before}"


def _methods(cls: type, base: type) -> Iterator[str]:
    # Looked at as they lie there: asking the class for its version would read its source.
    attributes = {name: inspect.getattr_static(cls, name) for name in dir(cls)}
    for name in (name for name, value in attributes.items() if getattr(value, "__isabstractmethod__", False)):
        meant = _nearest(name, (other for other, value in vars(cls).items() if callable(value)), base)
        yield (
            f"it has no `{name}`"
            + (f" (is `{meant}` misspelled?)" if meant else "")
            + "; a class that is a base for others says so: class "
            + f"{cls.__name__}({', '.join(b.__name__ for b in cls.__bases__)}, abc.ABC)"
        )
    for name in ("setup", "prepare", "warm_up", "nothing"):
        public = (other for other, value in vars(cls).items() if inspect.isfunction(value) and other[0] != "_")
        meant = _nearest(name, public, base)
        if meant and getattr(cls, name) is getattr(base, name):
            yield f"it has no `{name}`, but `{meant}`: is that misspelled?"


def _nearest(name: str, defined: Iterable[str], base: type) -> str | None:
    """Which of the names that are defined, and mean nothing to `base`, looks like `name`."""
    strange = [other for other in defined if not hasattr(base, other)]
    return next(iter(difflib.get_close_matches(name, strange, 1, 0.75)), None)


def _parameters(cls: Any) -> Iterator[str]:
    params, names = cls.params, cls.param_names
    for values in [params, *(params if isinstance(params, list | tuple) else ())]:
        if isinstance(values, set | frozenset):
            yield f"its params hold a {type(values).__name__}, whose order is another in every process: sort it"
            return
    if not (hasattr(params, "__len__") and hasattr(params, "__getitem__")) or isinstance(params, dict | str):
        yield f"its params are of type {type(params).__name__}; they are a list of values, or a list of lists"
        return
    every = lists(params)
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
        yield f"its param_names are {names!r}; they are a list of names"
    elif len(names) != len(every):
        yield f"it has {len(every)} lists of params and {len(names)} param_names: {', '.join(names) or 'none'}"
    elif len(set(names)) < len(names):
        yield f"two of its param_names are the same: {', '.join(names)}"
    for name, values in zip(names, every, strict=False):
        if not values:
            yield f"its parameter {name!r} has no values"


def _whole_numbers(cls: Any) -> Iterator[str]:
    for name in ("calls", "layouts"):
        value = getattr(cls, name)
        if type(value) is not int or value < 1:
            yield f"its `{name}` is {value!r}; it takes a whole number from 1 up"
    seconds = cls.limit_seconds
    if type(seconds) not in (int, float) or not seconds > 0:
        yield f"its `limit_seconds` is {seconds!r}; it takes a number of seconds above 0"


def _small(cls: Any, base: type) -> Iterator[str]:
    for name in cls.small:
        if not hasattr(cls, name) and name not in _assigned(cls, base):
            yield f"its `small` names {name!r}, an attribute that neither the class nor a method of it sets"


def _assigned(cls: type, base: type) -> set[str]:
    """Attributes of `self` that the methods of the class, and of its bases below `base`, assign to."""
    names: set[str] = set()
    for ancestor in cls.__mro__:
        if ancestor is base or not issubclass(ancestor, base):
            continue
        for value in vars(ancestor).values():
            if inspect.isfunction(value):
                names |= _assigned_in(value)
    return names


def _assigned_in(function: Callable[..., object]) -> set[str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):
        return set()
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name)
    }
