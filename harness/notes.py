"""What stands beside a number: what it does not hold, what it hangs on, what makes it doubtful. Pure.

All this is legitimate for a workload to do. Whoever reads the number must know of it.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence

#: What a run may be seen to do, and a counter may count how often.
CHILDREN, THREADS, TIMERS, CLOCK, ENTROPY = "child processes", "threads", "timers", "clock", "entropy"

#: By how much of itself a count may differ between memory layouts, other things equal. The layouts of one case are told
#: apart by how attributes fall into Python's cache, which was seen to make up to 3 % of a small operator.
LAYOUT_NOISE = 0.05


def sentences(seen: Mapping[str, int]) -> tuple[str, ...]:
    """One for everything that was seen, by how often."""
    told = {
        CHILDREN: ("{} child process, not counted", "{} child processes, not counted"),
        THREADS: (
            "{} other thread was there when counting began: what it executes is in the number",
            "{} other threads were there when counting began: what they execute is in the number",
        ),
        TIMERS: (
            "a timer was set {} time: when it goes off depends on the clock, and the number with it",
            "a timer was set {} times: when it goes off depends on the clock, and the number with it",
        ),
        CLOCK: (
            "the clock was read {} time: the number may depend on it",
            "the clock was read {} times: the number may depend on it",
        ),
        ENTROPY: (
            "the system was asked {} time for random bytes: the number may depend on them",
            "the system was asked {} times for random bytes: the number may depend on them",
        ),
    }
    return tuple(told[what][seen[what] != 1].format(f"{seen[what]:,}") for what in told if seen.get(what, 0) > 0)


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
