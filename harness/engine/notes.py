"""Word the notes that stand beside a number: what it does not contain, and what it depends on. Pure.

A worker and a server count what they see (child processes, threads, reads of the clock); here this becomes sentences.
A workload may do all of it, so a note is no fault: it says how far the number can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness import protocol
from harness.inside.notes import CHILDREN, CLOCK, ENTROPY, THREADS, TIMERS

#: So begins the sentence about the clock, which most cases that compile read.
ABOUT_THE_CLOCK = "the clock was read"


def sentences(seen: Mapping[str, int]) -> tuple[str, ...]:
    """One for everything that was seen, by how often."""
    wordings = {
        CHILDREN: ("{} child process, not counted", "{} child processes, not counted"),
        THREADS: (
            "{} other thread was there when counting began: what it executes is in the number",
            "{} other threads were there when counting began: what they execute is in the number",
        ),
        TIMERS: (
            "a timer was set {} time: when it goes off depends on the clock, and the number with it",
            "a timer was set {} times: when it goes off depends on the clock, and the number with it",
        ),
        CLOCK: (
            f"{ABOUT_THE_CLOCK} {{}} time: the number may depend on it",
            f"{ABOUT_THE_CLOCK} {{}} times: the number may depend on it",
        ),
        ENTROPY: (
            "the system was asked {} time for random bytes: the number may depend on them",
            "the system was asked {} times for random bytes: the number may depend on them",
        ),
    }
    return tuple(
        wordings[kind][seen[kind] != 1].format(f"{seen[kind]:,}") for kind in wordings if seen.get(kind, 0) > 0
    )


class ServerNotes:
    """What servers say of their start: each sentence is told a reader once, with the start of the session, or, if it is
    of the rehearsal, with the first count that needs that."""

    def __init__(self) -> None:
        self.of_start: tuple[str, ...] = ()
        self._late: tuple[str, ...] = ()
        self._told: set[str] = set()

    def learn(self, ready: protocol.Ready) -> None:
        if ready.stage == protocol.IMPORTED:
            self.of_start = ready.notes
        elif ready.stage == protocol.REHEARSED:
            self._late = ready.notes

    def begin_anew(self) -> None:
        """Who reads from now on has been told nothing yet of the rehearsal."""
        self._told.clear()

    def take(self, case: protocol.Case) -> tuple[str, ...]:
        """What goes with a count of this case."""
        if case.stage != protocol.REHEARSED:
            return ()
        taken = tuple(note for note in self._late if note not in self._told)
        self._told.update(taken)
        return taken
