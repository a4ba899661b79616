"""What a workload's count depends on in its suite's own text: its class and every definition it uses, transitively.

asv's default would hash `track_instructions`, which all workloads inherit. Here the text of the class is taken, with
the top-level definitions of its module that it names, and so on, also through `from suite.module import name`.
Comments, docstrings and blank lines do not count: reformatting a sentence must not end a series.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import inspect
import io
import tokenize
from collections.abc import Callable
from pathlib import Path

from harness.engine.environment import COUNTING_RULES
from harness.errors import SuiteError

Definition = ast.stmt
#: The classes whose text a workload is counted from, its bases first: module and name of each.
Roots = tuple[tuple[str, str], ...]
#: Gives the text of a module, by name; "" where there is none.
Reader = Callable[[str], str]


def text(workload: type) -> str:
    """The workload's own source, for people: what it uses first, the class last."""
    return "\n\n\n".join(_pieces(roots(workload), of_imported))


def version(workload: type, generated: str = "") -> str:
    """Equal for equal counting: a hash of the source without comments, code generated, and the counting rules."""
    bare = _bare(roots(workload), of_imported)
    return hashlib.sha256(f"{COUNTING_RULES}\n{bare}{generated}".encode()).hexdigest()


def digest(roots: Roots, read: Reader) -> str:
    """Equal for equal source without comments, as `read` finds it."""
    return hashlib.sha256(_bare(roots, read).encode()).hexdigest()


def roots(workload: type) -> Roots:
    top = _top(workload.__module__)
    return tuple(
        (ancestor.__module__, ancestor.__name__)
        for ancestor in reversed(workload.__mro__)
        if _top(ancestor.__module__) == top
    )


def of_imported(module: str) -> str:
    """The text of a module's file as it is now, imported first if need be."""
    try:
        return inspect.getsource(importlib.import_module(module))
    except (OSError, TypeError):
        return ""


def of_files_in(folder: Path) -> Reader:
    """Reads modules from a folder of packages, and imports nothing."""

    def read(module: str) -> str:
        path = folder.joinpath(*module.split("."))
        for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
            if file.is_file():
                return file.read_text("utf-8")
        return ""

    return read


class SuiteCopy:
    """A copy of a suite, which nobody edits: the digests of its text, each computed once."""

    def __init__(self, folder: Path) -> None:
        self._read = of_files_in(folder)
        self._digests: dict[Roots, str | None] = {}

    def digest(self, roots: Roots) -> str | None:
        """None where the copy holds no such text."""
        if roots not in self._digests:
            try:
                self._digests[roots] = digest(roots, self._read)
            except (SuiteError, SyntaxError, ValueError):
                self._digests[roots] = None
        return self._digests[roots]


def _top(module: str) -> str:
    return module.partition(".")[0]


def _bare(roots: Roots, read: Reader) -> str:
    return "\n".join(strip(piece) for piece in _pieces(roots, read))


def strip(source: str) -> str:
    """`source` without comments, docstrings, blank lines and trailing blanks."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node, False):
            docstring = node.body[0]
            assert docstring.end_lineno is not None
            for row in range(docstring.lineno, docstring.end_lineno + 1):
                lines[row - 1] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _pieces(roots: Roots, read: Reader) -> list[str]:
    segments: dict[tuple[str, str], str] = {}
    for module, name in roots:
        _collect(module, name, segments, read)
    if not segments:
        raise SuiteError(f"the source of {'.'.join(roots[-1])} cannot be read from a file")
    return list(segments.values())


def _collect(module: str, name: str, segments: dict[tuple[str, str], str], read: Reader) -> None:
    """Add the definition of `name` in `module` to `found`, after what it uses."""
    source = read(module)
    defined, imports = definitions(source)
    if name in imports and _top(imports[name][0]) == _top(module):
        _collect(*imports[name], segments, read)
        return
    definition = defined.get(name)
    if definition is None or (module, name) in segments:
        return
    segments[module, name] = ""  # taken, so that two definitions may use each other
    for node in ast.walk(definition):
        if isinstance(node, ast.Name) and node.id != name:
            _collect(module, node.id, segments, read)
    segments[module, name] = _segment(source, definition)
    segments[module, name] = segments.pop((module, name))  # last in order


@functools.lru_cache(maxsize=8)
def definitions(source: str) -> tuple[dict[str, Definition], dict[str, tuple[str, str]]]:
    """What a module's text defines at its top, and what it imports by name from where."""
    defined: dict[str, Definition] = {}
    imports: dict[str, tuple[str, str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name):
                        defined[part.id] = node
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                imports[alias.asname or alias.name] = (node.module, alias.name)
    return defined, imports


def _segment(source: str, node: Definition) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
