"""Messages between our processes as lines of JSON: frozen dataclasses, which may hold tuples, dicts and each other.

Those that are spoken under valgrind are in protocol.py, which stands for itself: what is imported there moves counts.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any


@dataclasses.dataclass(frozen=True)
class Words:
    """The kinds of messages that two processes have for each other. A `refusal` is the kind that has a `sentence` on
    why the process cannot do what it is asked for."""

    kinds: tuple[type[Any], ...]
    refusal: type[Any]

    def encode(self, message: Any) -> bytes:
        """One line of JSON, with the message's kind."""
        return json.dumps({"kind": type(message).__name__, **dataclasses.asdict(message)}).encode() + b"\n"

    def decode(self, line: bytes) -> Any:
        """The message that `encode` made the line of. Raises ValueError for anything else."""
        try:
            fields = json.loads(line)
            name = fields.pop("kind")
            return _made(next(kind for kind in self.kinds if kind.__name__ == name), fields)
        except (KeyError, TypeError, AttributeError, ValueError, StopIteration) as error:
            raise ValueError(f"not a message of this harness: {line[:200]!r} ({error!r})") from None


def _made(hint: Any, value: Any) -> Any:
    """The value of this type that became `value` in JSON, which has no tuples, no dataclasses, no numbers as keys."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        return hint(**{name: _made(hints[name], held) for name, held in value.items()})
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return tuple(_made(inner[0], held) for held in value)
    if typing.get_origin(hint) is dict:
        return {inner[0](key): _made(inner[1], held) for key, held in value.items()}
    return value
