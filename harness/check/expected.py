"""Expected counts: a file in a repository, against which a check holds what is counted now.

    {
     "schema": 1,
     "fingerprints": {
      "0a1b2c3d4e5f6071": {"compiler": "...", "counter": "readable", ...}
     },
     "counts": {
      "dtensor.Detach  device=cpu": {"0a1b2c3d4e5f6071": 52905.11}
     }
    }

One line a case and one a fingerprint, sorted, so that a difference between two versions of the file reads well. Counts
of several machines and builds stand side by side, each under its fingerprint. The commit whose Python was counted is no
part of that: it is what may change.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.check.messages import CaseCounted, CaseFacts
from harness.check.verdicts import OF_THE_COMMIT, Kind, Verdict
from harness.errors import StartError, SuiteError

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the file holds: the facts of each fingerprint, and the counts of each case by fingerprint."""

    fingerprints: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Expected:
        """Raises SuiteError for what is no such file."""
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["schema"] != SCHEMA:
                raise SuiteError(f"{path} has schema {facts['schema']!r}; this version of the harness reads {SCHEMA}")
            counts = {
                str(case): {str(key): _number(count) for key, count in by_key.items()}
                for case, by_key in facts["counts"].items()
            }
            known = {str(key): dict(value) for key, value in facts["fingerprints"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SuiteError(
                f"{path} holds no expected counts ({type(error).__name__}: {error}): --update makes such a file"
            ) from None
        lacking = {key for by_key in counts.values() for key in by_key} - known.keys()
        if lacking:
            raise SuiteError(
                f"{path} has counts of fingerprints that it does not describe: {', '.join(sorted(lacking))}"
            )
        return cls(known, counts)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises StartError."""
        try:
            number, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
            try:
                with open(number, "w", encoding="utf-8") as file:
                    file.write(self.text())
                os.chmod(name, 0o644)
                os.replace(name, path)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            raise StartError(f"the expected counts could not be written to {path}: {error}") from None

    def text(self) -> str:
        def lines(table: Mapping[str, Mapping[str, object]]) -> str:
            rows = (f"  {json.dumps(name)}: {json.dumps(table[name], sort_keys=True)}" for name in sorted(table))
            return "{\n" + ",\n".join(rows) + "\n }" if table else "{}"

        parts = [
            f' "schema": {SCHEMA}',
            f' "fingerprints": {lines(self.fingerprints)}',
            f' "counts": {lines(self.counts)}',
        ]
        return "{\n" + ",\n".join(parts) + "\n}\n"

    def base(self, case: CaseFacts, head: CaseCounted) -> CaseCounted | None:
        """What the file expects of a case that was counted as `head` was; None where it has no count of the case."""
        by_key = self.counts.get(str(case))
        if by_key is None:
            return None
        own = key(head.fingerprint)
        if own in by_key:
            return dataclasses.replace(head, instructions=by_key[own], metrics={}, notes=(), folder=None)
        nearest = min(by_key, key=lambda other: (len(_differing(self.fingerprints[other], head.fingerprint)), other))
        return dataclasses.replace(
            head, instructions=by_key[nearest], fingerprint=dict(self.fingerprints[nearest]), metrics={}, folder=None
        )

    def updated(
        self, verdicts: Iterable[Verdict], heads: Mapping[CaseFacts, CaseCounted]
    ) -> tuple[Expected, list[str]]:
        """The file with what was counted now, where that moved beyond its noise or was not there; and a sentence for
        each count that this changes."""
        fingerprints = {name: dict(facts) for name, facts in self.fingerprints.items()}
        counts = {case: dict(by_key) for case, by_key in self.counts.items()}
        done = []
        for verdict in verdicts:
            head = heads.get(verdict.case)
            if head is None or head.instructions is None or verdict.kind in (Kind.UNCHANGED, Kind.TOO_SMALL):
                continue
            own, name = key(head.fingerprint), str(verdict.case)
            before = counts.get(name, {}).get(own)
            if before == head.instructions:
                continue
            fingerprints.setdefault(own, _facts(head.fingerprint))
            counts.setdefault(name, {})[own] = head.instructions
            was = "new" if before is None else f"{before:,.2f} ->"
            done.append(f"{name}  {was} {head.instructions:,.2f}")
        used = {name for by_key in counts.values() for name in by_key}
        return Expected({name: facts for name, facts in fingerprints.items() if name in used}, counts), done


def key(fingerprint: Mapping[str, str]) -> str:
    """A short name for the way in which something was counted."""
    return hashlib.sha256(json.dumps(sorted(_facts(fingerprint).items())).encode()).hexdigest()[:16]


def _facts(fingerprint: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fingerprint.items() if name not in OF_THE_COMMIT}


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    before, after = _facts(one), _facts(other)
    return [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no count")
    return value
