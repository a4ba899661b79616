"""Messages between processes: what is encoded is decoded, whatever a dataclass holds; anything else is refused."""

from __future__ import annotations

import pytest

from harness.bisect import messages as bisecting
from harness.check import messages as checking

POINT = bisecting.Point("c0ffee", "/wheel", "torch 2 (commit abc)", "digest", own=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (bisecting.WORDS, bisecting.Range("/suite", "b.B", ("a=1",), "/clone", "good", "bad", None)),
        (
            bisecting.WORDS,
            bisecting.Survey("b.B", "1", "i", 0.1, ("a",), (("1", "2"),), {1: ("2",)}, (POINT, POINT), "3.11", "x"),
        ),
        (bisecting.WORDS, bisecting.Probe(3, "c", "/wheel", "readable", (0, 1), 0, None, "environment")),
        (bisecting.WORDS, bisecting.Probed(3, {0: 1.5, 7: 2.0}, {1: "no"}, None, ("a",), {"tree": 0.5})),
        (checking.WORDS, checking.Cases((checking.CaseFacts("b", ("a",), ("1",), 0.1),), True, ("other",))),
        (checking.WORDS, checking.CaseCounted(1, 0, 5.0, fingerprint={"python": "3.11"}, metrics={"total": 2.0})),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_encoded_is_decoded(words, message):
    line = words.encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert words.decode(line) == message


@pytest.mark.parametrize(
    "line", [b"", b"no json", b"[]", b'{"kind": "Nothing"}', b'{"kind": "Refused", "number": 1}', b'{"kind": "Chosen"}']
)
def test_anything_else_is_refused_by_name(line):
    with pytest.raises(ValueError, match="not a message of this harness"):
        bisecting.WORDS.decode(line)
