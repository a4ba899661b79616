"""A process of the harness in another environment, spoken with over pipes, a line a message."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import CountError
from harness.system import processes

_START = "import sys; sys.path.insert(0, sys.argv[1]); from {module} import main; main()"


class LineProcess:
    """`main` of one of our modules, run by another interpreter with this very harness. What it prints besides goes to
    standard error. It dies with this process."""

    def __init__(self, python: str, module: str) -> None:
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

    def send_line(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone, as its answer will tell
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def receive_line(self) -> bytes:
        """The next line. Raises CountError where there will be none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise CountError(f"the process that counts commits ended by itself (status {status}): see above")
        return line

    def end(self) -> None:
        """Kill it; its sessions see that and end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
