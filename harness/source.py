"""What a workload's count depends on in its suite's own text: its class and every definition it uses, transitively.

asv's default would hash `track_instructions`, which all workloads inherit. Here the text of the class is taken, with
the top-level definitions of its module that it names, and so on, also through `from suite.module import name`.
Comments, docstrings and blank lines do not count: reformatting a sentence must not end a series.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import io
import tokenize

from harness.environment import COUNTING_RULES
from harness.errors import SuiteError

Definition = ast.stmt


def text(workload: type) -> str:
    """The workload's own source, for people: what it uses first, the class last."""
    return "\n\n\n".join(_pieces(workload))


def version(workload: type, generated: str = "") -> str:
    """Equal for equal counting: a hash of the source without comments, code generated, and the counting rules."""
    bare = "\n".join(strip(piece) for piece in _pieces(workload))
    return hashlib.sha256(f"{COUNTING_RULES}\n{bare}{generated}".encode()).hexdigest()


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


def _pieces(workload: type) -> list[str]:
    found: dict[tuple[str, str], str] = {}
    for ancestor in reversed(workload.__mro__):
        if ancestor.__module__.partition(".")[0] == workload.__module__.partition(".")[0]:
            _collect(ancestor.__module__, ancestor.__name__, found)
    if not found:
        raise SuiteError(f"the source of {workload.__module__}.{workload.__qualname__} cannot be read from a file")
    return list(found.values())


def _collect(module: str, name: str, found: dict[tuple[str, str], str]) -> None:
    """Add the definition of `name` in `module` to `found`, after what it uses."""
    source, definitions, imports = _read(module)
    if name in imports and imports[name][0].partition(".")[0] == module.partition(".")[0]:
        _collect(*imports[name], found)
        return
    definition = definitions.get(name)
    if definition is None or (module, name) in found:
        return
    found[module, name] = ""  # taken, so that two definitions may use each other
    for node in ast.walk(definition):
        if isinstance(node, ast.Name) and node.id != name:
            _collect(module, node.id, found)
    found[module, name] = _segment(source, definition)
    found[module, name] = found.pop((module, name))  # last in order


def _read(module: str) -> tuple[str, dict[str, Definition], dict[str, tuple[str, str]]]:
    try:
        source = inspect.getsource(importlib.import_module(module))
    except (OSError, TypeError):
        return "", {}, {}
    definitions: dict[str, Definition] = {}
    imports: dict[str, tuple[str, str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name):
                        definitions[part.id] = node
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                imports[alias.asname or alias.name] = (node.module, alias.name)
    return source, definitions, imports


def _segment(source: str, node: Definition) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
