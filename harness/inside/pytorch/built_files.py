"""Where a worker finds what was built for a statement: C++ loops in a library, TorchScript models in files.

What builds them is pytorch/builds.py.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.errors import CaseSkipped, CountError

#: In the folder of what was built: the file of each statement, or why it has none.
OUTCOMES = "outcomes.json"
#: Calls of a statement before it counts; of a C++ statement, those after its allocator was made as if new.
WARM_UPS = 10
SETTLING = 3
EMPTY_SYMBOL = "empty_loop"


def symbol(number: int) -> str:
    """The name of a statement's loop in its library."""
    return f"loop_{number}"


def find(folder: Path, number: int) -> Path:
    """The file that was built for a statement. Raises CountError or CaseSkipped with the reason why there is none."""
    outcome: dict[str, str] = json.loads((folder / OUTCOMES).read_text())[str(number)]
    if "failed" in outcome:
        raise CountError(outcome["failed"])
    if "skipped" in outcome:
        raise CaseSkipped(outcome["skipped"])
    return folder / outcome["file"]
