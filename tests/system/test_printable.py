"""What a terminal obeys is shown to it as an escape; what people write stays."""

from __future__ import annotations

import io
import sys

import pytest
from asv_runner import console

from harness.asv_plugin import terminal
from harness.system import printable
from harness.system.printable import Stream, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b2J\x00\x7f\r\x0b", r"\x9b2J\x00\x7f\r\x0b"),
        ("\u202eturned\u202c \u2066 \u200f \u061c", r"\u202eturned\u202c \u2066 \u200f \u061c"),
        ("\u200b\ufeff\xad\u2028\U000e0041", r"\u200b\ufeff\xad\u2028\U000e0041"),
        ("\udcff\uffff", r"\udcff\uffff"),
    ],
)
def test_what_a_terminal_obeys_is_shown(text, expected):
    assert shown(text) == expected and shown(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Traceback:\n\tline 1\n",
        "M\xfcller \u2026 \xb7 \u2502",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f4bb",
        r"a\x1b",
    ],
)
def test_what_people_write_stays(text):
    assert shown(text) == text


def test_all_that_is_printed_in_the_block_is_shown_and_the_streams_come_back(capsys):
    before = sys.stdout, sys.stderr
    with printable.streams():
        print("\x1b[31mout")
        print("\x1b[31merror\udc80", file=sys.stderr)
        sys.stdout.writelines(["\x07\n"])
        with printable.streams():
            print("once: \x1b")
    assert (sys.stdout, sys.stderr) == before
    told = capsys.readouterr()
    assert told.out == "\\x1b[31mout\n\\x07\nonce: \\x1b\n" and told.err == "\\x1b[31merror\\udc80\n"


def test_a_stream_without_the_letters_gets_escapes_only_beside_what_was_shown():
    """asv writes what raises UnicodeError once more, past the stream: only text with nothing to be shown may."""
    raw = io.BytesIO()
    stream = Stream(io.TextIOWrapper(raw, encoding="ascii"))
    assert stream.write("\xb7\x1b") == 2
    stream.flush()
    assert raw.getvalue() == rb"\xb7\x1b"
    with pytest.raises(UnicodeEncodeError):
        stream.write("\xb7")


def test_asv_keeps_its_colours_and_no_others(capsys, monkeypatch):
    monkeypatch.setattr(console, "isatty", lambda file: True)
    monkeypatch.setattr(console, "_color_text", console._color_text)
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    terminal.guard()
    terminal.guard()
    console.color_print("name \x1b[31m", "green", " and \x1b[0m")
    assert capsys.readouterr().out == "\x1b[0;32mname \\x1b[31m\x1b[0m and \\x1b[0m\n"
