"""What `harness check` says of a change of 0.3 %, on a repository made of the installed torch's own Python.

    python scripts/check_change.py

It measures the noise of one benchmark, adds a call of `len` to `OpDispatcher.wrap` in the working tree, and checks
that; then it takes the call back, adds a comment instead, and checks the quick suite: both sides, and after another
comment once more, when the base is kept. Minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.histories import History, torch_history  # noqa: E402 - the tests' repositories serve here too

_DISPATCH = "torch/distributed/tensor/_dispatch.py"
_WRAP = "    def wrap(res: object, spec: OutputSpecType) -> object:\n"
_BENCH = "dtensor.Detach"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="check-change-") as folder:
        history = torch_history(Path(folder, "pytorch"), Path(sysconfig.get_path("purelib")), length=6)
        history.git("checkout", "--quiet", history.commits["base"])
        harness(history, "noise", "--bench", _BENCH)
        history.edit(_DISPATCH, lambda text: text.replace(_WRAP, f"{_WRAP}        len(())\n"))
        harness(history, "check", "HEAD", "--bench", _BENCH)
        history.git("checkout", "--quiet", _DISPATCH)
        history.edit(_DISPATCH, lambda text: f"# a comment\n{text}")
        harness(history, "check", "HEAD", "--again")
        history.edit(_DISPATCH, lambda text: f"# another comment\n{text}")
        harness(history, "check", "HEAD")


def harness(history: History, *words: str) -> None:
    """Run one of the commands, and say what it ended with."""
    command = [sys.executable, "-m", "harness", *words, "--repo", str(history.folder)]
    print(f"$ harness {' '.join(words)} --repo ../pytorch", flush=True)
    status = subprocess.run(command).returncode
    print(f"exit status {status}\n", flush=True)


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
