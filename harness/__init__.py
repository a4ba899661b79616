"""Counts instructions: the same number every time.

Packages, from those that ask down to what is asked; each imports only from below, and those of one floor not from each
other. tests/test_layering.py holds it.

    cli                     the command line: a module a command, one place that prints errors and chooses the status
    check, waiting          whether a change cost anything, case by case; a server that waits for the next count
    bisect, report          which commit changed a count; where a count's instructions went, and where two differ
    pytorch, asv_plugin     workloads of PyTorch, outside of valgrind; all that knows asv: results, git, releases, pages
    suite                   what authors write and how it is named: workloads, declarations, versions, selection
    store                   counts that are kept beside asv's results, what they cost, and asking for a new one
    engine                  take a count: the supervisor beside a fork server, what starts that, its client
    profile, overlay        instructions by function, and drawn; a commit's Python over a wheel's binaries
    system                  what the operating system and this interpreter give
    inside                  what runs under valgrind: server, worker, regions, the counting half of counters
    errors, protocol        what all of these share: the sentences; the words between processes
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from harness.pytorch.compiling import Compiling
    from harness.pytorch.statements import Statements
    from harness.suite.counting import count
    from harness.suite.workload import Workload

#: Where each name of the door lies; imported when it is asked for.
_LIES_IN = {
    **dict.fromkeys(("CaseSkipped", "CountError", "HarnessError", "StartError", "SuiteError"), "errors"),
    **dict.fromkeys(
        ("GroupedModules", "GroupedSetup", "GroupedStmts", "GroupedVariants", "TimerArgs", "parse_stmts"),
        "inside.definitions",
    ),
    "Compiling": "pytorch.compiling",
    "Statements": "pytorch.statements",
    "Workload": "suite.workload",
    "count": "suite.counting",
    "materialize": "inside.expansion",
}

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


def __getattr__(name: str) -> Any:
    if name not in _LIES_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LIES_IN[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
