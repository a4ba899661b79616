"""The process of a supervisor.

Started by client.Starting in a session of its own, with its configuration as JSON on standard input. It answers one
line of JSON on standard output: that it is ready, or the sentence why not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from harness.engine.configuration import SOCKET, Configuration
from harness.engine.sandbox import Sandbox
from harness.engine.supervisor import Supervisor
from harness.errors import HarnessError
from harness.system import processes, sockets


def main() -> None:
    fields: dict[str, Any] = json.load(sys.stdin)
    configuration = Configuration(**{**fields, "import_first": tuple(fields["import_first"])})
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    processes.adopt_orphans()
    supervisor = None
    try:
        os.chdir(configuration.directory)
        listener = sockets.listen(Path(configuration.directory), SOCKET)
        with Sandbox.make() as sandbox:
            try:
                supervisor = Supervisor(configuration, sandbox, listener)
                supervisor.start()
                answer = {"error": None, "notes": supervisor.remarks(), "first": sandbox.is_first}
                print(json.dumps(answer), flush=True)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever started us reads to the end
                supervisor.run()
            finally:
                if supervisor is not None:
                    supervisor.end()
    except (HarnessError, OSError) as error:
        print(json.dumps({"error": str(error), "notes": []}), flush=True)
        sys.exit(1)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(SOCKET)
        if configuration.remove_directory:
            shutil.rmtree(configuration.directory, ignore_errors=True)
