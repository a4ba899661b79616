"""What the text of a suite tells of a benchmark without being run: importing a suite may import torch, which takes
seconds, and a misspelled name should be told at once. What the text does not tell plainly is left to the import.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any

from harness.engine import source
from harness.engine.source import Reader


@dataclasses.dataclass(frozen=True)
class Declared:
    """A class's `params` as a list of lists, and its `param_names`."""

    params: list[list[Any]]
    names: tuple[str, ...]


def classes(module: str, read: Reader) -> list[str]:
    """The classes that a module makes at its top, those left out that say that they are bases for others."""
    definitions, _ = source.definitions(read(module))
    made = {name: node for name, node in definitions.items() if isinstance(node, ast.ClassDef)}
    return [name for name, node in made.items() if not any(ast.unparse(base).endswith("ABC") for base in node.bases)]


def declared(module: str, name: str, read: Reader, known: Mapping[str, type]) -> Declared | None:
    """What the class `name` of `module` declares, itself or in a base of the same suite or in `known`, which holds
    classes by name; None where it is not written as plain values."""
    values = {attribute: _value(module, name, attribute, read, known) for attribute in ("params", "param_names")}
    params, names = values["params"], values["param_names"]
    if not isinstance(params, list | tuple) or not isinstance(names, list | tuple):
        return None
    lists = [list(choices) for choices in params] if params and isinstance(params[0], list | tuple) else [list(params)]
    return Declared(lists, tuple(map(str, names))) if len(lists) == len(names) else None


def _value(module: str, name: str, attribute: str, read: Reader, known: Mapping[str, type]) -> Any:
    """The value of a class's attribute; None if it is not to be told. Its first base that has it counts."""
    definitions, imports = source.definitions(read(module))
    node = definitions.get(name)
    if not isinstance(node, ast.ClassDef):
        if name in imports and imports[name][0] == "harness":
            return getattr(known.get(imports[name][1]), attribute, None)
        return _value(*imports[name], attribute, read, known) if name in imports and read(imports[name][0]) else None
    for statement in node.body:
        if isinstance(statement, ast.Assign) and any(ast.unparse(target) == attribute for target in statement.targets):
            try:
                return ast.literal_eval(statement.value)
            except (ValueError, SyntaxError):
                return None
        if attribute in _assigned(statement):
            return None
    for base in node.bases:
        if isinstance(base, ast.Name):
            inherited = _value(module, base.id, attribute, read, known)
            if inherited is not None:
                return inherited
    return None


def _assigned(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
