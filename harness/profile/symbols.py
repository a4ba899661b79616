"""Names as they are written in profiles -> names that two installs of the same thing share. Pure.

What goes: where something was installed or built, versions and digests in file names, addresses, and what a compiler
adds to a function that it has split or specialised. What stays is what a person calls the thing.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

#: Of functions whose library has no symbols for them.
NAMELESS = "(no name)"
#: The library of code that no file was loaded for, and of kernels that were compiled while counting.
UNMAPPED, GENERATED = "(no file)", "generated code"


class Function(NamedTuple):
    """`place` is a library for a function of machine code, a file for one of Python."""

    name: str
    place: str


#: How Callgrind marks a function's calls from below itself.
RECURSION = re.compile(r"'\d+$")
_ADDRESS = re.compile(r"(\?\?\?:)?0x[0-9a-fA-F]+|\?\?\?")
_CLONE = re.compile(r"( \[clone [^]]*\])+$|(\.(isra|part|constprop|cold|lto_priv|localalias)(\.\d+)*)+$")
_UUID = re.compile(r"_?[0-9a-f]{8}([_-][0-9a-f]{4}){3}[_-][0-9a-f]{12}")
#: The folders of a scratch folder (sandbox.py) that hold what was made for one run.
_SCRATCH = re.compile(r".*/harness-\d+-\d\d(?:-X*)?/(site|work|built)/(.*)")
_INSTALLED = re.compile(r".*/(?:site|dist)-packages/(.*)")
_STANDARD_LIBRARY = re.compile(r".*/lib/python3\.\d+/(.*)")


@functools.cache
def native(name: str) -> str:
    """A function of machine code, as valgrind names it."""
    name = RECURSION.sub("", name)
    if _ADDRESS.fullmatch(name):
        return NAMELESS
    return _CLONE.sub("", name)


@functools.cache
def library(path: str) -> str:
    """The file that a function of machine code lies in: `/usr/lib/libc.so.6` -> `libc`."""
    if path in ("???", ""):
        return UNMAPPED
    inside = _SCRATCH.fullmatch(path)
    if inside is not None and inside[1] in ("work", "built"):
        return GENERATED
    name = path.rpartition("/")[2]
    if re.fullmatch(r"cpp-[0-9a-f]{16}\.so", name):
        return GENERATED  # statements compiled once and cached
    name = re.sub(r"\.(so|cpython-).*$", "", name)
    name = re.sub(r"-[0-9a-f]{8}$", "", name)  # what wheels put into the names of libraries they bring along
    return "libpython" if re.fullmatch(r"(lib)?python3?[\d.]*", name) else re.sub(r"-[\d.]+$", "", name)


@functools.cache
def file(path: str) -> str:
    """A Python file, from where it is importable: `torch/_ops.py`, `python/functools.py`, `<string>`."""
    inside = _SCRATCH.fullmatch(path)
    if inside is not None:
        return inside[2] if inside[1] == "site" else f"<{GENERATED}>"
    for pattern, prefix in ((_INSTALLED, ""), (_STANDARD_LIBRARY, "python/")):
        match = pattern.fullmatch(path)
        if match is not None:
            return prefix + match[1]
    if path.startswith("<frozen "):
        return f"python/{path[8:].rstrip('>').replace('.', '/')}.py"
    return re.sub(r"^(<[^>]*>).*", r"\1", path)


@functools.cache
def python(name: str) -> str:
    """A Python function's qualified name, without what is drawn anew for every compile."""
    return _UUID.sub("", name)
