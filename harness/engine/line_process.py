"""A process of the harness in another environment, spoken with over pipes, a line a message: both ends of that."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.engine.messages import Words
from harness.errors import CountError
from harness.system import processes

_START = "import sys; sys.path.insert(0, sys.argv[1]); from {module} import main; main()"


class LineProcess:
    """`main` of one of our modules, run by another interpreter with this very harness. What it prints besides goes to
    standard error. It dies with this process."""

    def __init__(self, python: str, module: str, words: Words) -> None:
        self._words = words
        self._process = subprocess.Popen(
            [python, "-P", "-c", _START.format(module=module), str(Path(__file__).parent.parent.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # ctrl-C is for us, who then end it
            preexec_fn=processes.die_with_parent,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def begin(self, message: object, kind: type[Any]) -> Any:
        """Send the first message and receive its answer, which is of this kind. The process ends where that fails.
        Raises CountError."""
        try:
            self.send(message)
            return self.receive(kind)
        except BaseException:
            self.end()
            raise

    def send(self, message: object) -> None:
        """Send a message, and do not wait for an answer."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone, as its answer will tell
            self._process.stdin.write(self._words.encode(message))
            self._process.stdin.flush()

    def receive(self, *kinds: type[Any]) -> Any:
        """The next message, of one of these kinds. Raises CountError where it is another, a refusal or no message, and
        where there will be none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):  # it ended, maybe in the middle of one
            status = self._process.wait()
            raise CountError(f"the process that counts commits ended by itself (status {status}): see above")
        try:
            answer = self._words.decode(line)
        except ValueError as error:
            raise CountError(f"the process that counts commits answered a line which is no message: {error}") from None
        if isinstance(answer, self._words.refusal):
            raise CountError(answer.sentence)
        if not isinstance(answer, kinds):
            raise CountError(
                f"the process that counts commits answered {type(answer).__name__}, which was not asked for"
            )
        return answer

    def end(self) -> None:
        """Kill it; its sessions see that and end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def sender(words: Words) -> Callable[[Any], None]:
    """In such a process: what sends a message to whoever started it, from any thread. From here on, what is printed
    besides goes to standard error, since nobody must take it for a message."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    one_at_a_time = threading.Lock()

    def send(message: Any) -> None:
        with one_at_a_time:
            output.write(words.encode(message))
            output.flush()

    return send
