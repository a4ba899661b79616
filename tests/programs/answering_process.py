"""A process that is spoken with, a line a message: it answers a name with itself, and refuses "nobody"."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from harness.engine import line_process


class Refusal:
    def __init__(self, sentence: str) -> None:
        self.sentence = sentence


def encode(message: Any) -> bytes:
    return json.dumps({"refused": message.sentence} if isinstance(message, Refusal) else message).encode() + b"\n"


def decode(line: bytes) -> Any:
    message = json.loads(line)
    return Refusal(message["refused"]) if isinstance(message, dict) else message


WORDS = line_process.Words(encode, decode, Refusal)


def main() -> None:
    send = line_process.sender(WORDS)
    for line in sys.stdin.buffer:
        name = decode(line)
        print("printed", flush=True)
        os.write(1, b"written\n")
        send(Refusal("nobody is here") if name == "nobody" else name)
