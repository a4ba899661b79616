"""The door as a server sees it: what a suite imports from `harness`, each in its half that runs under valgrind.

The scratch folder has this text as its `harness/__init__.py`. A suite's text is the same on both sides.
"""

from typing import Any, NoReturn

from harness.errors import CaseSkipped, CountError, HarnessError, StartError, SuiteError
from harness.inside.definitions import (
    GroupedModules,
    GroupedSetup,
    GroupedStmts,
    GroupedVariants,
    TimerArgs,
    parse_stmts,
)
from harness.inside.expansion import materialize
from harness.inside.pytorch.compiling import Compiling
from harness.inside.pytorch.statements import Statements
from harness.inside.workload import Workload

__all__ = [
    "CaseSkipped",
    "Compiling",
    "CountError",
    "GroupedModules",
    "GroupedSetup",
    "GroupedStmts",
    "GroupedVariants",
    "HarnessError",
    "StartError",
    "Statements",
    "SuiteError",
    "TimerArgs",
    "Workload",
    "count",
    "materialize",
    "parse_stmts",
]


def count(*arguments: Any, **keywords: Any) -> NoReturn:
    """Stands for the count that starts a server, of which there is one already."""
    raise CountError("harness.count is called outside of what is counted, not in a workload that is being counted")
