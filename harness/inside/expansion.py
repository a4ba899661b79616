"""What a definition expands to: its cases, in the order and under the names of PyTorch's own suite. Pure."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import json
import textwrap
from collections.abc import Iterator, Mapping

from harness.errors import SuiteError
from harness.inside.definitions import Definition, Definitions, GroupedBenchmark, Label, Language, TimerArgs, call

#: The file in its own folder from which a case loads its saved TorchScript model.
MODEL_FILE = "jit_model.pt"


class RuntimeMode(enum.Enum):
    EAGER = "Eager"
    JIT = "TorchScript"
    EXPLICIT = ""


class AutogradMode(enum.Enum):
    FORWARD = "Forward"
    FORWARD_BACKWARD = "Forward + Backward"
    EXPLICIT = ""


@dataclasses.dataclass(frozen=True)
class AutoLabels:
    """What expansion adds to a label."""

    runtime: RuntimeMode
    autograd: AutogradMode
    language: Language


@dataclasses.dataclass(frozen=True)
class MaterializedCase:
    """What a definition expanded to. `model` is the Python source that defines the `model` to be scripted and saved,
    where the case loads one."""

    label: Label
    auto_labels: AutoLabels
    args: TimerArgs
    model: str | None = None

    @property
    def key(self) -> str:
        """The case as JSON, to the letter as PyTorch's suite writes it."""
        labels = self.auto_labels
        return json.dumps(
            {
                "label": list(self.label),
                "autolabels": {
                    "runtime": labels.runtime.value,
                    "autograd": labels.autograd.value,
                    "language": labels.language.value,
                },
                "num_threads": self.args.num_threads,
            }
        )


def flatten(definitions: Definitions) -> dict[Label, Definition]:
    """Nested dictionaries as one, by label. A key is a string, a tuple of them, or None, which adds nothing."""
    flat: dict[Label, Definition] = {}
    for label, definition in _walk(definitions, ()):
        if label in flat:
            raise SuiteError(f"two definitions have the label {' > '.join(label)!r}")
        flat[label] = definition
    return flat


def materialize(definitions: Definitions) -> tuple[MaterializedCase, ...]:
    """Every case of every definition, in order: runtime, then autograd, then language, then threads."""
    cases = []
    for label, definition in flatten(definitions).items():
        if isinstance(definition, TimerArgs):
            explicit = AutoLabels(RuntimeMode.EXPLICIT, AutogradMode.EXPLICIT, definition.language)
            cases.append(MaterializedCase(label, explicit, definition))
        else:
            cases += _expand(label, definition)
    return tuple(cases)


def _expand(label: Label, definition: GroupedBenchmark) -> Iterator[MaterializedCase]:
    runtimes = [RuntimeMode.EAGER, *([RuntimeMode.JIT] if definition.model else [])]
    autograds = [AutogradMode.FORWARD, *([AutogradMode.FORWARD_BACKWARD] if definition.autograd else [])]
    for runtime, autograd, language in itertools.product(runtimes, autograds, Language):
        scripted = runtime == RuntimeMode.JIT
        stmt = definition.eager[language]
        if scripted:
            stmt = call(language, "jit_model", definition.arguments, definition.output)
        if stmt is None:
            continue
        if autograd == AutogradMode.FORWARD_BACKWARD:
            if language == Language.PYTHON:
                stmt += f"\n{definition.output}.backward()"
            else:
                stmt += f"\n{definition.output}{'.toTensor()' if scripted else ''}.backward();"
        setup = definition.setup.py_setup if language == Language.PYTHON else definition.setup.cpp_setup
        further = _load(language, stmt) if scripted else definition.model_setup.get(language, "")
        includes = scripted and language == Language.CPP
        for threads in definition.num_threads:
            args = TimerArgs(
                stmt=stmt,
                setup="\n".join(part for part in (setup, further) if part),
                global_setup="#include <string>\n#include <vector>\n#include <torch/script.h>" if includes else "",
                num_threads=threads,
                language=language,
            )
            labels = AutoLabels(runtime, autograd, language)
            yield MaterializedCase(label, labels, args, definition.model if scripted else None)


def _load(language: Language, stmt: str) -> str:
    """Load the saved model, and run what is counted three times: TorchScript profiles, then optimises."""
    body = textwrap.indent(stmt, "    ")
    if language == Language.PYTHON:
        return f'jit_model = torch.jit.load("{MODEL_FILE}")\nfor _ in range(3):\n{body}'
    return f'auto jit_model = torch::jit::load("{MODEL_FILE}");\nfor (int i = 0; i < 3; i++) {{\n{body}\n}}'


def _walk(definitions: Definitions, label: Label) -> Iterator[tuple[Label, Definition]]:
    for key, value in definitions.items():
        levels: Label = () if key is None else (key,) if isinstance(key, str) else key
        if not isinstance(levels, tuple) or not all(isinstance(level, str) for level in levels):
            raise SuiteError(f"a label is a string, a tuple of strings or None, not {key!r}")
        if isinstance(value, Mapping):
            yield from _walk(value, label + levels)
        elif isinstance(value, GroupedBenchmark | TimerArgs):
            yield label + levels, value
        else:
            raise SuiteError(
                f"{' > '.join(label + levels)!r} holds neither a definition nor more labels, but {value!r}"
            )
