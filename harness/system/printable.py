"""Text of others, fit to be shown. Pure but for `streams`, which sees to all that is printed.

Names, subjects of commits and texts of exceptions come from whoever wrote the suite, the program or the commit. A
terminal obeys some characters: they move its cursor, set its title, turn the order of letters or hide them. These are
shown as Python writes them, `\\x1b` or `\\u202e`. Newlines and tabs stay, so that tracebacks keep their shape; and so
do the joiners of which emoji and some scripts are made.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

_OBEYED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, ESC and carriage return among them
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # marks that turn or hide
    "\u2028\u2029"  # separators that some take for the end of a line
    "\ud800-\udfff\ufffe\uffff"  # what no encoding and no XML has: bytes of a file name that are no UTF-8
    "\U000e0000-\U000e0fff"  # letters that nobody sees
    "]"
)


def shown(text: str) -> str:
    """`text` with everything that a terminal would obey as an escape."""
    return _OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Coloured(str):
    """Text that was made fit to be shown and has its own colours since."""


class Stream:
    """A text stream that shows what is written to it (Coloured as it is), and is `stream` in everything else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        fit = text if isinstance(text, Coloured) else shown(text)
        if fit is not text and fit != text:
            # Here nobody may fall back to writing the text itself, as asv does where a character has no encoding.
            encoding = self._stream.encoding or "utf-8"
            fit = fit.encode(encoding, "backslashreplace").decode(encoding)
        self._stream.write(fit)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guarded(stream: TextIO) -> TextIO:
    """`stream`, showing what is written to it."""
    return stream if isinstance(stream, Stream) else cast(TextIO, Stream(stream))


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Within the block, what is printed is shown, and what is printed as an error."""
    with contextlib.redirect_stdout(guarded(sys.stdout)), contextlib.redirect_stderr(guarded(sys.stderr)):
        yield
