"""What a supervisor is told at its start, and the names of what lies in its folder."""

from __future__ import annotations

import dataclasses
from typing import Any

from harness.engine.counters import COUNTER_KINDS
from harness.engine.settings import AHEAD_CHOICES, one_of
from harness.errors import SuiteError

#: In the supervisor's folder: where it listens, and what it has to say when it dies.
SOCKET = "harness.socket"
LOG = "harness.log"
#: What makes another memory layout and means nothing: modules that torch does not need.
_IMPORTED_FIRST = ("wave", "sqlite3")


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What a supervisor is told at its start.

    `directory` is where its socket lies and `owner` the pid whose end ends it. `counter` is a name in COUNTER_KINDS,
    `ahead` one of settings.AHEAD_CHOICES: how far idle cores run ahead. `progress` is a file that gets a line a
    case. `padding`, the length of a variable that nobody reads, and `import_first`, modules imported before the library
    under test, make another memory layout and mean nothing: for noise measurements. `overlay` is a folder that holds a
    tree as overlay.install.make makes it, whose packages take the place of the environment's. `remove_directory` says
    that the directory was made for this supervisor, which is to remove it. `native` says that what is not counted runs
    on the processor itself, where it can. `reused` says that one command comes after the other: where the suite was
    edited, it is copied once more instead of being refused, and nothing runs ahead while nobody asks.
    """

    directory: str
    owner: int
    suite: str
    rules: str
    counter: str = "callgrind"
    ahead: str = "benchmark"
    cores: int = 1
    progress: str | None = None
    padding: int = 0
    import_first: tuple[str, ...] = ()
    overlay: str | None = None
    remove_directory: bool = False
    native: bool = True
    reused: bool = False

    def __post_init__(self) -> None:
        one_of("the counter", self.counter, tuple(COUNTER_KINDS))
        one_of("`ahead`", self.ahead, AHEAD_CHOICES)
        if self.cores < 1:
            raise SuiteError(f"`cores` is {self.cores}; it takes a whole number from 1 up")


def memory_layout(number: int) -> dict[str, Any]:
    """The fields of a Configuration whose server has the memory layout of this number; everybody counts in 0."""
    return {"padding": 40 * number, "import_first": _IMPORTED_FIRST} if number else {}
