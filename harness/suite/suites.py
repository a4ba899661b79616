"""The suites that a case may belong to, each a part of the next: `quick`, `default`, `full`."""

from __future__ import annotations

import os
import re

from harness.errors import SuiteError

#: From the smallest up. A case of one is in all that follow.
NAMES = ("quick", "default", "full")


def asked() -> str:
    """The suite that HARNESS_SUITE names. Raises SuiteError."""
    return known(os.environ.get("HARNESS_SUITE", "default"), "HARNESS_SUITE")


def known(name: str, said_by: str) -> str:
    """`name`, if it is a suite's. Raises SuiteError."""
    if name not in NAMES:
        raise SuiteError(f"{said_by} is {name!r}; known are {', '.join(NAMES[:-1])} and {NAMES[-1]}")
    return name


def holds(suite: str, case_suite: str) -> bool:
    """Whether a case that belongs to `case_suite` is counted in `suite`."""
    return NAMES.index(case_suite) <= NAMES.index(suite)


def selected(name: str) -> bool:
    """Whether the pattern in HARNESS_BENCH, if there is one, finds a case by asv's name, as asv's --bench does."""
    return re.search(os.environ.get("HARNESS_BENCH", ""), name) is not None
