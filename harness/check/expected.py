"""Expected counts: a file in a repository, against which a check holds what is counted now (see by_fingerprint.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.check.messages import CaseCounted, CaseFacts
from harness.check.verdicts import Kind, Verdict
from harness.store.by_fingerprint import Table
from harness.store.noise import Noise

_NAME = "counts"


@dataclasses.dataclass(frozen=True)
class Expected:
    table: Table = dataclasses.field(default_factory=lambda: Table(_NAME))

    @classmethod
    def read(cls, path: Path) -> Expected:
        """Raises SuiteError for what is no such file."""
        return cls(Table.read(path, _NAME, "--update makes such a file"))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises StartError."""
        self.table.write(path)

    def base(self, case: CaseFacts, head: CaseCounted) -> CaseCounted | None:
        """What the file expects of a case that was counted as `head` was; None where it has no count of the case. Where
        it has none of that fingerprint, the count is that of the nearest one, under which it is not comparable. Of what
        `head` could not count, it expects nothing: other machines, which can, may share the file."""
        if head.instructions is None:
            return None
        count = self.table.get(str(case), head.fingerprint)
        if count is not None:
            return dataclasses.replace(head, instructions=count, metrics={}, notes=(), folder=None, earlier=False)
        nearest = self.table.nearest(str(case), head.fingerprint)
        return nearest and CaseCounted(0, head.case, nearest[0], fingerprint=dict(nearest[1]))

    def lost(self, known: Iterable[str]) -> list[Verdict]:
        """Verdicts on the cases of the file that the suite, which has the cases `known`, has no longer."""
        return [
            Verdict(CaseFacts(name, (), (), 0.0), Kind.GONE, Noise(0.0), why="the suite has no such case any more")
            for name in sorted(self.table.figures.keys() - set(known))
        ]

    def updated(
        self, verdicts: Iterable[Verdict], heads: Mapping[CaseFacts, CaseCounted], known: Iterable[str]
    ) -> tuple[Expected, list[str]]:
        """The file with what was counted now, where that moved beyond its noise or was not there, and without the cases
        that are not `known`; and a sentence for each count that this changes."""
        table, done = self.table, []
        for gone in self.lost(known):
            table = table.without(str(gone.case))
            done.append(f"{gone.case}  removed: {gone.why}")
        for verdict in verdicts:
            head, name = heads.get(verdict.case), str(verdict.case)
            if head is None or head.instructions is None or verdict.kind in (Kind.UNCHANGED, Kind.TOO_SMALL):
                continue
            before = table.get(name, head.fingerprint)
            if before != head.instructions:
                table = table.with_figure(name, head.fingerprint, head.instructions)
                was = "new" if before is None else f"{before:,.2f} ->"
                done.append(f"{name}  {was} {head.instructions:,.2f}")
        return Expected(table), done
