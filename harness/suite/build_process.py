"""A process that builds natively what the cases of a workload need before they can be counted.

Started by the supervisor with the server's environment, so that it sees the same copy of the suite.
Arguments: the workload's module and class, the name of the need, the folder to fill, the cache folder.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from harness.errors import HarnessError
from harness.suite.workload import Workload


def main() -> None:
    module, name, need, folder, cached = sys.argv[1:]
    workload: type[Workload] = getattr(importlib.import_module(module), name)
    try:
        workload.build(need, Path(folder), Path(cached))
    except HarnessError as error:
        sys.exit(str(error))
