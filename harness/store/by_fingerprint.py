"""A file of figures by case and fingerprint: what a check expects, and how noisy each case is.

    {
     "schema": 1,
     "fingerprints": {
      "0a1b2c3d4e5f6071": {"compiler": "...", "counter": "readable", ...}
     },
     "counts": {
      "dtensor.Detach  device=cpu": {"0a1b2c3d4e5f6071": 52905.11}
     }
    }

One line a case and one a fingerprint, sorted, so that a difference between two versions of the file reads well. Figures
of several machines and builds stand side by side, each under its fingerprint. The commit whose Python was counted is no
part of that: it is what may change.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import StartError, SuiteError
from harness.system import whole

SCHEMA = 1
#: Facts of a fingerprint that tell which commit was counted, and not how.
OF_THE_COMMIT = ("python of commit", "binaries")


@dataclasses.dataclass(frozen=True)
class Table:
    """What a file holds: the facts of each fingerprint, and the figures of each case by fingerprint. `name` is what the
    figures are called there."""

    name: str
    fingerprints: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    figures: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, name: str, cure: str) -> Table:
        """Raises SuiteError for what is no such file, with the cure."""
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["schema"] != SCHEMA:
                raise SuiteError(f"{path} has schema {facts['schema']!r}; this version of the harness reads {SCHEMA}")
            figures = {
                str(case): {str(key): _figure(figure) for key, figure in by_key.items()}
                for case, by_key in facts[name].items()
            }
            known = {
                str(key): {str(fact): str(text) for fact, text in value.items()}
                for key, value in facts["fingerprints"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SuiteError(f"{path} holds no {name} ({type(error).__name__}: {error}): {cure}") from None
        lacking = {key for by_key in figures.values() for key in by_key} - known.keys()
        if lacking:
            raise SuiteError(f"{path} has {name} of fingerprints that it lacks: {', '.join(sorted(lacking))}")
        return cls(name, known, figures)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all; where it is a link, what that leads to. Raises StartError."""
        path = path.resolve()
        try:
            whole.write(path, self.text().encode())
        except OSError as error:
            raise StartError(f"the {self.name} could not be written to {path}: {error}") from None

    def text(self) -> str:
        def lines(table: Mapping[str, Mapping[str, object]]) -> str:
            rows = (f"  {json.dumps(name)}: {json.dumps(table[name], sort_keys=True)}" for name in sorted(table))
            return "{\n" + ",\n".join(rows) + "\n }" if table else "{}"

        parts = [
            f' "schema": {SCHEMA}',
            f' "fingerprints": {lines(self.fingerprints)}',
            f' "{self.name}": {lines(self.figures)}',
        ]
        return "{\n" + ",\n".join(parts) + "\n}\n"

    def get(self, case: str, fingerprint: Mapping[str, str]) -> float | None:
        return self.figures.get(case, {}).get(key(fingerprint))

    def under(self, case: str) -> list[tuple[Mapping[str, str], float]]:
        """The figures of a case, each with the facts of its fingerprint."""
        return [(self.fingerprints[name], figure) for name, figure in self.figures.get(case, {}).items()]

    def nearest(self, case: str, fingerprint: Mapping[str, str]) -> tuple[float, Mapping[str, str]] | None:
        """The figure of a case under the fingerprint that differs in the fewest facts, and that fingerprint; None where
        the case has none."""
        by_key = self.figures.get(case)
        if not by_key:
            return None
        wanted = _facts(fingerprint).items()
        name = min(by_key, key=lambda other: (len(dict(self.fingerprints[other]).items() ^ wanted), other))
        return by_key[name], self.fingerprints[name]

    def without(self, case: str) -> Table:
        return dataclasses.replace(self, figures={name: held for name, held in self.figures.items() if name != case})

    def under_fingerprints(self, wanted: Callable[[Mapping[str, str]], bool]) -> Table:
        """Only the figures whose fingerprint is wanted."""
        known = {name: facts for name, facts in self.fingerprints.items() if wanted(facts)}
        figures = {case: {name: held[name] for name in held if name in known} for case, held in self.figures.items()}
        return Table(self.name, known, {case: held for case, held in figures.items() if held})

    def with_figure(self, case: str, fingerprint: Mapping[str, str], figure: float) -> Table:
        own = key(fingerprint)
        figures = {**self.figures, case: {**self.figures.get(case, {}), own: figure}}
        return dataclasses.replace(self, fingerprints={**self.fingerprints, own: _facts(fingerprint)}, figures=figures)


def key(fingerprint: Mapping[str, str]) -> str:
    """A short name for the way in which something was counted."""
    return hashlib.sha256(json.dumps(sorted(_facts(fingerprint).items())).encode()).hexdigest()[:16]


def _facts(fingerprint: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fingerprint.items() if name not in OF_THE_COMMIT}


def _figure(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no figure")
    return value
