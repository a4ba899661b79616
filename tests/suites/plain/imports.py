"""Tells what a worker sees of the harness and of chance, as the reason why it cannot be counted."""

import os
import random
import secrets
import sys
import tempfile
import uuid
from pathlib import Path

import asv_runner

import harness
from harness import CountError, Workload


class Imports(Workload):
    params = ["modules", "files", "bytecode", "chance"]
    param_names = ["what"]

    def setup(self, what):
        folder = Path(harness.__file__).parent
        found = {
            "modules": [name for name in sys.modules if name.partition(".")[0] == "harness"],
            "files": [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()],
            "bytecode": [asv_runner.__spec__.cached, str(os.path.isfile(asv_runner.__spec__.cached))],
            "chance": [
                f"bytes={os.urandom(8).hex()}",
                f"secret={secrets.randbits(128)}",
                f"number={random.Random().random()}",
                f"shared={random.random()}",
                f"temporary={os.path.basename(tempfile.mkdtemp())}",
                f"uuid={uuid.uuid4()}",
            ],
        }
        raise CountError(" ".join(["it sees:", *sorted(found[what])]))

    def work(self):
        pass
