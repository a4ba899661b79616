"""Tells what of the harness a worker sees, as the reason why it cannot be counted."""

import sys
from pathlib import Path

import harness
from harness import CountError, Workload


class Imports(Workload):
    params = ["modules", "files"]
    param_names = ["what"]

    def setup(self, what):
        folder = Path(harness.__file__).parent
        found = {
            "modules": [name for name in sys.modules if name.partition(".")[0] == "harness"],
            "files": [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()],
        }
        raise CountError(" ".join(["it sees:", *sorted(found[what])]))

    def work(self):
        pass
