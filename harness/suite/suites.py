"""Tell which suite counts a case: `quick`, `default` or `full`, each a part of the next."""

from __future__ import annotations

from harness.engine.settings import SUITE_CHOICES

#: From the smallest up. A case of one is in all that follow.
NAMES = SUITE_CHOICES


def holds(suite: str, case_suite: str) -> bool:
    """Whether a case that belongs to `case_suite` is counted in `suite`."""
    return NAMES.index(case_suite) <= NAMES.index(suite)
