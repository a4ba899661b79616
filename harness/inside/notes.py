"""What a worker may see beside a count, and what the counts of its memory layouts tell of `work`. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence

#: What a run may be seen to do, and a counter may count how often.
CHILDREN, THREADS, TIMERS, CLOCK, ENTROPY = "child processes", "threads", "timers", "clock", "entropy"

#: By how much of itself a count may differ between memory layouts, other things equal. The layouts of one case are told
#: apart by how attributes fall into Python's cache, which was seen to make up to 3 % of a small operator.
LAYOUT_NOISE = 0.05


def trend(layouts: Sequence[int]) -> str | None:
    """That the counts of one case's layouts rise or fall one after the other, as chance hardly makes them: by even
    steps, or five times or more. A memory layout has no order, so `work` is another one each time."""
    steps = [after - before for before, after in itertools.pairwise(layouts)]
    if len(steps) < 2 or not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        return None
    mean = statistics.mean(map(abs, steps))
    if len(steps) < 5 and min(map(abs, steps)) < mean / 2:
        return None
    verb = "rise" if steps[0] > 0 else "fall"
    return f"counts {verb} from layout to layout by {mean:,.0f}: does `work` leave something behind?"


def spread(layouts: Sequence[int]) -> str | None:
    """That the counts of one case's layouts differ by more than memory layouts make them."""
    if len(layouts) < 2 or not is_wide(layouts):
        return None
    part = (max(layouts) - min(layouts)) / statistics.median(layouts)
    return (
        f"the counts of {len(layouts)} memory layouts differ by {part:.1%}, where layouts make at most "
        f"{LAYOUT_NOISE:.0%}: does `work` depend on chance, the clock, or what it left behind?"
    )


def is_wide(layouts: Sequence[int]) -> bool:
    return max(layouts) - min(layouts) > LAYOUT_NOISE * statistics.median(layouts)
