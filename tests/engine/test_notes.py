"""What servers say of their start is told once to each who reads counts."""

from __future__ import annotations

from harness import protocol
from harness.engine.notes import ServerNotes

REHEARSED, IMPORTED = (protocol.Case("m", "W", 0, (), 1.0, stage=stage) for stage in ("rehearsed", "imported"))


def notes_of(*late: str) -> ServerNotes:
    notes = ServerNotes()
    notes.learn(protocol.Ready(protocol.IMPORTED, 1, {}, ("imported",)))
    notes.learn(protocol.Ready(protocol.REHEARSED, 0, {}, late))
    return notes


def test_what_the_rehearsal_showed_goes_with_the_first_count_that_needs_it():
    notes = notes_of("one", "two")
    assert notes.of_start == ("imported",)
    assert [notes.take(case) for case in (IMPORTED, REHEARSED, REHEARSED)] == [(), ("one", "two"), ()]


def test_another_server_tells_only_what_is_new():
    notes = notes_of("one")
    notes.take(REHEARSED)
    notes.learn(protocol.Ready(protocol.REHEARSED, 0, {}, ("one", "three")))
    assert notes.take(REHEARSED) == ("three",)


def test_another_reader_is_told_it_too():
    notes = notes_of("one")
    notes.take(REHEARSED)
    notes.begin_anew()
    assert [notes.take(case) for case in (IMPORTED, REHEARSED, REHEARSED)] == [(), ("one",), ()]
