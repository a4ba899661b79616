"""The process that counts commits for a bisection, as the search sees it: start it, ask it for counts, end it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from harness import protocol
from harness.errors import CountError
from harness.system import processes

_START = "import sys; sys.path.insert(0, sys.argv[1]); from harness.bisect.probing_process import main; main()"


class ProbingProcess:
    """A probing process in the environment of `python`. Raises CountError, also while it is asked."""

    def __init__(self, python: str, wanted: protocol.Range) -> None:
        self._process = subprocess.Popen(
            [python, "-P", "-c", _START, str(Path(__file__).parent.parent.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # ctrl-C is for us, who then end it
            preexec_fn=processes.die_with_parent,
        )
        try:
            self._send(wanted)
            self.survey: protocol.Survey = self._receive()
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> ProbingProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def probe(self, probes: Sequence[protocol.Probe]) -> Iterator[protocol.Probed]:
        """Count them all at once; the answers as they come."""
        for probe in probes:
            self._send(probe)
        for _ in probes:
            yield self._receive()

    def _send(self, message: protocol.Message) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone, as its answer will tell
            self._process.stdin.write(protocol.encode(message))
            self._process.stdin.flush()

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise CountError(f"the process that counts commits ended by itself (status {status}): see above")
        answer = protocol.decode(line)
        if isinstance(answer, protocol.Failed):
            raise CountError(answer.sentence)
        return answer

    def end(self) -> None:
        """Kill it; its sessions see that and end."""
        self._process.kill()
        self._process.wait()
