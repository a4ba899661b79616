"""What cases need built natively before they can be counted. A process of its own builds each need, once.

The supervisor holds a case back until its needs are built. Where a build fails, every case that needs it fails.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from pathlib import Path

from harness.engine.environment import interpreter
from harness.engine.sandbox import Sandbox
from harness.protocol import Case
from harness.system import cache, processes

_LIMIT_SECONDS = 1200.0
#: What builds is the harness that started the supervisor, not the part of it that a server sees; all else is found
#: where a server finds it. The first argument is the folder of the package.
_START = """\
import importlib.util, sys
folder = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location("harness", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["harness"] = harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)
from harness.suite.build_process import main
main()
"""

_HARNESS = Path(__file__).parent.parent

Need = tuple[str, str, str]  # module, workload, name


@dataclasses.dataclass
class BuildProcess:
    """One process that builds."""

    need: Need
    process: subprocess.Popen[bytes]
    pidfd: int
    output: Path
    began: float

    def __str__(self) -> str:
        module, workload, name = self.need
        return f"{module}.{workload}: {name}"


class Needs:
    """The needs of a supervisor's cases: which are built, which are being built, and which cases wait for that."""

    def __init__(self, sandbox: Sandbox, environment: dict[str, str]) -> None:
        self.running: list[BuildProcess] = []
        self._sandbox = sandbox
        self._environment = environment
        self._outcomes: dict[Need, str | None] = {}
        self._held: list[Case] = []

    def folder(self, case: Case) -> Path:
        """The folder that holds a folder for each of the case's needs."""
        return self._sandbox.built / f"{case.module}.{case.workload}"

    def outcome(self, case: Case) -> str | None:
        """Why the case cannot be counted, a need of it not having been built; None if nothing speaks against it yet."""
        return next((reason for need in _needs(case) if (reason := self._outcomes.get(need)) is not None), None)

    def hold(self, case: Case) -> bool:
        """Whether the case must wait for its needs; if so it is given back when one of them has ended."""
        waits = any(need not in self._outcomes for need in _needs(case))
        if waits:
            self._held.append(case)
        return waits

    def start(self, case: Case) -> list[BuildProcess]:
        """Begin what the case needs and nobody has begun. Raises OSError."""
        under_way = {build.need for build in self.running}
        new = [
            self._start(need, self.folder(case) / need[2])
            for need in _needs(case)
            if need not in self._outcomes and need not in under_way
        ]
        self.running += new
        return new

    def _start(self, need: Need, folder: Path) -> BuildProcess:
        folder.mkdir(parents=True)
        output = self._sandbox.log / f"build-{'-'.join(need)}"
        with open(output, "wb") as file:
            process = subprocess.Popen(
                [*interpreter(_START), str(_HARNESS), *need, str(folder), str(cache.usable(self._sandbox.cache))],
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                preexec_fn=processes.die_with_parent,
                start_new_session=True,
            )
        return BuildProcess(need, process, os.pidfd_open(process.pid), output, time.monotonic())

    def leaders(self) -> list[int]:
        """The process that leads the group of each build that is under way."""
        return [build.process.pid for build in self.running]

    def end_overdue(self) -> None:
        for build in self.running:
            if time.monotonic() > build.began + _LIMIT_SECONDS:
                processes.kill_group(build.process.pid)

    def ended(self, build: BuildProcess) -> list[Case]:
        """What was held for a build that has ended."""
        self.running.remove(build)
        os.close(build.pidfd)
        status = build.process.wait()
        processes.kill_group(build.process.pid)  # what it started and left behind
        self._outcomes[build.need] = None if status == 0 else _why_not_built(build, status)
        held, self._held = self._held, []
        return held


def _needs(case: Case) -> list[Need]:
    return [(case.module, case.workload, name) for name in case.needs]


def _why_not_built(build: BuildProcess, status: int) -> str:
    output = build.output.read_text(errors="replace")[-4000:].strip()
    if time.monotonic() > build.began + _LIMIT_SECONDS:
        ending = f"was still running after {_LIMIT_SECONDS:.0f} s and was ended"
    else:
        ending = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return f"building {build.need[2]!r} for {'.'.join(build.need[:2])} {ending}\n{output}"
