"""Where one part of a program ends and the next begins, as its developers see it: functions -> parts. Pure.

Every function belongs to the first part whose pattern is found in it. A suite's rules bring the parts of what it counts
(PyTorch's are in pytorch/components.py); these here are of every Python program.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import re

from harness.profile.symbols import GENERATED, NAMELESS, UNMAPPED, Function

#: A part's name, and what is looked for in `place: name` of a function.
Pattern = tuple[str, str]

NATIVE: tuple[Pattern, ...] = (
    (
        "allocation",
        r": (_int_)?(malloc|free|calloc|realloc|memalign|posix_memalign)\b|: (_int_|sys|tcache_)\w*(alloc|free)"
        r"|: malloc_consolidate|: unlink_chunk|: operator (new|delete)"
        r"|^libpython: (_?Py(Object|Mem)_|pymalloc_)\w*(Malloc|Free|Alloc|Calloc|Realloc|alloc|free)\b",
    ),
    ("interpreter", r"^libpython:"),
    ("dynamic linking", r"^ld-linux|: _dl_|: __tls_get_addr"),
    ("generated code", rf"^{re.escape(GENERATED)}:"),
    ("C library", r"^(libc|libm|libpthread|libcrypto)[:-]"),
    ("C++ library", r"^libstdc\+\+:"),
    ("the harness", r"^_client_requests:"),
    ("machine code without a name", rf"^{re.escape(UNMAPPED)}:|: {re.escape(NAMELESS)}$"),
    ("Python's own extensions", r"^_[a-z]+:"),
)

PYTHON: tuple[Pattern, ...] = (
    ("the workload", r"^benchmarks/"),
    ("the harness", r"^harness/"),
    ("outside of the workload's Python", r"^: "),
    ("Python's library", r"^python/"),
    ("generated code", r"^<"),
)


@dataclasses.dataclass(frozen=True)
class Components:
    """Parts of a program: of its machine code, and of its Python."""

    native: tuple[Pattern, ...] = NATIVE
    python: tuple[Pattern, ...] = PYTHON

    def of(self, function: Function, python: bool) -> str:
        """The part that a function belongs to; one that no pattern fits is named by where it lies."""
        known = _known(self.python if python else self.native)
        part = known.parts.get(function)
        if part is None:
            part = known.parts[function] = _python(known, function) if python else _native(known, function)
        return part


@dataclasses.dataclass
class _Known:
    """Patterns, and the functions that were asked for already: there are few, and they are asked for often."""

    patterns: list[tuple[str, re.Pattern[str]]]
    parts: dict[Function, str]

    def first(self, text: str) -> str | None:
        return next((part for part, pattern in self.patterns if pattern.search(text)), None)


@functools.cache
def _known(patterns: tuple[Pattern, ...]) -> _Known:
    return _Known([(part, re.compile(pattern)) for part, pattern in patterns], {})


def _native(known: _Known, function: Function) -> str:
    # What a function is given does not make it part of that.
    name = function.name.replace("(anonymous namespace)", "").partition("(")[0]
    return known.first(f"{function.place}: {name}") or f"other of {function.place}"


def _python(known: _Known, function: Function) -> str:
    return known.first(f"{function.place}: {function.name}") or function.place.partition("/")[0]


#: Modules that hold a library's components, by the name of its rules (inside/rules.py).
_LIBRARIES = {"torch": "harness.pytorch.components"}


def load(rules: str) -> Components:
    """The components of what a suite with these rules counts."""
    if rules not in _LIBRARIES:
        return Components()
    components: Components = importlib.import_module(_LIBRARIES[rules]).COMPONENTS
    return components
