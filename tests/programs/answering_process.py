"""A process that is spoken with, a line a message: it answers a name with itself, and refuses "nobody"."""

from __future__ import annotations

import dataclasses
import os
import sys

from harness.engine import line_process
from harness.engine.messages import Words


@dataclasses.dataclass(frozen=True)
class Name:
    text: str


@dataclasses.dataclass(frozen=True)
class Refusal:
    sentence: str


WORDS = Words((Name, Refusal), Refusal)


def main() -> None:
    send = line_process.sender(WORDS)
    for line in sys.stdin.buffer:
        name = WORDS.decode(line)
        print("printed", flush=True)
        os.write(1, b"written\n")
        send(Refusal("nobody is here") if name == Name("nobody") else name)
