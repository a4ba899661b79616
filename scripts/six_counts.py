"""Six cases with the Python and the torch that run this: the table of docs/reference/platforms.md, a column of it.

    python scripts/six_counts.py

Eager dispatch, a call of a compiled function, two of compiling, a statement in both languages.
Counted by the readable counter, on one server.
"""

from __future__ import annotations

import os
import platform
import re
import sys

import torch
from versus_callgrind import one_round

from harness.engine.settings import SUITE

CASES = (
    "dtensor.Detach(cpu)",
    "runtime_overhead.Add1(plain, False, cpu)",
    "aotdispatcher.AOTDispatcher(False, False, cpu)",
    "dynamo_inline.InlineChain(cpu)",
    "indexing.Indexing(Tensor-Scalar/0, Python, Eager, Forward, 1)",
    "indexing.Indexing(Tensor-Scalar/0, C++, Eager, Forward, 1)",
)


def main() -> int:
    os.environ[SUITE] = "default"
    ready, found = one_round("readable", f"^({'|'.join(map(re.escape, CASES))})$")
    print(f"CPython {platform.python_version()}, torch {torch.__version__}: the server was ready after {ready:.0f} s")
    for case in CASES:
        print(f"| `{case}` | {found[case].instructions_per_call:,.2f} |" if case in found else f"| `{case}` | none |")
    return 0 if len(found) == len(CASES) else 1


if __name__ == "__main__":
    sys.exit(main())
