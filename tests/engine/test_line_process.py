"""A process that is spoken with over pipes: its messages arrive, and what it prints is none of them."""

from __future__ import annotations

import sys

import pytest

from harness.engine.line_process import LineProcess
from harness.errors import CountError
from tests.programs.answering_process import WORDS, Name


def started():
    return LineProcess(sys.executable, "tests.programs.answering_process", WORDS)


def test_messages_arrive_and_what_is_printed_goes_to_standard_error(capfd):
    with started() as process:
        assert process.begin(Name("first"), Name) == Name("first")
        for text in ("second", "third"):
            process.send(Name(text))
        assert [process.receive(Name), process.receive(Name)] == [Name("second"), Name("third")]
    out, error = capfd.readouterr()
    assert out == "" and error.count("written\n") == 3 and error.count("printed\n") == 3


def test_a_refusal_is_an_error_and_ends_what_has_only_begun():
    process = started()
    with pytest.raises(CountError, match="nobody is here"):
        process.begin(Name("nobody"), Name)
    assert process._process.poll() is not None


def test_a_process_that_ends_by_itself_is_an_error():
    with LineProcess(sys.executable, "tests.programs.nothing_there", WORDS) as process:
        with pytest.raises(CountError, match=r"ended by itself \(status 1\): see above"):
            process.receive(Name)
