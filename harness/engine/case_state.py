"""What a case is going through at a supervisor."""

from __future__ import annotations

import dataclasses
import shutil
import socket
from pathlib import Path


@dataclasses.dataclass
class CaseState:
    """`asker` waits for the number `wanted` of it. `told` are the numbers of its run that were told, `leftovers` what
    that run left in the scratch folder. `suspect`: a server died while it was counted, so it is counted alone. `twice`:
    its worker is to count a second time."""

    asker: socket.socket | None = None
    wanted: str = ""
    told: set[str] = dataclasses.field(default_factory=set)
    leftovers: list[Path] = dataclasses.field(default_factory=list)
    suspect: bool = False
    twice: bool = False

    def take_leftovers(self) -> list[Path]:
        """They are somebody else's to remove from now on."""
        taken, self.leftovers = self.leftovers, []
        return taken

    def forget_run(self) -> None:
        """What came of its run is used up."""
        self.told.clear()
        self.twice = False
        remove(self.take_leftovers())


def remove(paths: list[Path]) -> None:
    for path in paths:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
