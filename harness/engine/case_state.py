"""What the supervisor knows of a case, from the first ask to the last answer."""

from __future__ import annotations

import dataclasses
import shutil
import socket
from pathlib import Path


@dataclasses.dataclass
class CaseState:
    """All that the supervisor knows of one case between the first ask for it and the last answer.

    `asker` is the connection of who waits for it, None if nobody does, and `metric` is the one that is waited for.
    `answered` are the metrics of its run that were given to askers, `leftovers` what that run left in the scratch
    folder. `suspect`: a server died while the case was counted, so it is counted alone. `twice`: its worker is to count
    a second time."""

    asker: socket.socket | None = None
    metric: str = ""
    answered: set[str] = dataclasses.field(default_factory=set)
    leftovers: list[Path] = dataclasses.field(default_factory=list)
    suspect: bool = False
    twice: bool = False

    def take_leftovers(self) -> list[Path]:
        """They are somebody else's to remove from now on."""
        taken, self.leftovers = self.leftovers, []
        return taken

    def forget_run(self) -> None:
        """What came of its run is used up."""
        self.answered.clear()
        self.twice = False
        remove(self.take_leftovers())


def remove(paths: list[Path]) -> None:
    for path in paths:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
