"""Which point of a range to count next, and what the counts say: where a case's number changed. Pure.

A point is a place in a range, from 0 to the last; counts are of one case each. Between two counted points that differ
by more than noise lies a step. It is narrowed down wherever parts of it do; where a change is spread so thin that no
part does, the part that changed most is followed.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping


@dataclasses.dataclass(frozen=True)
class Step:
    """A change between two counted points. Those between could not be counted, or there are none."""

    before: int
    after: int
    count_before: float
    count_after: float

    @property
    def relative(self) -> float:
        return change(self.count_before, self.count_after)

    @property
    def exact(self) -> bool:
        return self.after == self.before + 1


def change(before: float, after: float) -> float:
    """Relative to the smaller one, so that up and down are alike."""
    return (after - before) / min(before, after)


class Bisection:
    """The search for the steps of several cases in one range of `points` points. `noise` is by case, a relative
    change."""

    def __init__(self, points: int, noise: Mapping[int, float]) -> None:
        self.noise = noise
        self.cases = tuple(noise)
        self._points = points
        self._counts: dict[int, Mapping[int, float]] = {}
        self._asked: dict[int, set[int]] = {}

    def tell(self, point: int, cases: Iterable[int], counts: Mapping[int, float]) -> None:
        """What came of counting these cases at a point; those that are not in `counts` cannot be counted there."""
        self._asked.setdefault(point, set()).update(cases)
        self._counts[point] = {**self._counts.get(point, {}), **counts}

    def ends(self, case: int) -> tuple[int, int] | None:
        """The outermost points that can be counted, as far as is known; None if there are no two."""
        candidates = [point for point in range(self._points) if not self._fails(point, case)]
        return (candidates[0], candidates[-1]) if len(candidates) > 1 else None

    def count(self, point: int, case: int) -> float:
        """What `tell` was told."""
        return self._counts[point][case]

    def wanted(self, limit: int) -> dict[int, set[int]]:
        """Up to `limit` points to count next, with the cases to count there; none when everything is known."""
        chosen: dict[int, set[int]] = {}
        open_intervals: dict[tuple[int, int], set[int]] = {}
        for case in self.cases:
            ends = self.ends(case)
            missing = [point for point in ends or () if self._count(point, case) is None]
            for point in missing:
                if point in chosen or len(chosen) < limit:
                    chosen.setdefault(point, set()).add(case)
            if ends and not missing:
                for interval in self._open(case, *ends):
                    open_intervals.setdefault(interval, set()).add(case)
        free = limit - len(chosen)
        intervals = sorted(open_intervals, key=lambda interval: interval[0] - interval[1])[: max(free, 0)]
        for number, interval in enumerate(intervals):
            share = free // len(intervals) + (number < free % len(intervals))
            cases = open_intervals[interval]
            untried = [
                point
                for point in range(interval[0] + 1, interval[1])
                if not all(self._tried(point, case) for case in cases)
            ]
            for part in range(share):
                point = untried[(part + 1) * len(untried) // (share + 1)]
                chosen.setdefault(point, set()).update(cases)
        return chosen

    def steps(self, case: int) -> list[Step]:
        """Where the case's number changed, as narrowly as is known; empty if its ends differ by noise only."""
        ends = self.ends(case)
        if ends is None or any(self._count(point, case) is None for point in ends):
            return []
        return self._narrowed(case, *ends)

    def _open(self, case: int, first: int, last: int) -> list[tuple[int, int]]:
        return [
            (step.before, step.after)
            for step in self._narrowed(case, first, last)
            if not all(self._tried(point, case) for point in range(step.before + 1, step.after))
        ]

    def _narrowed(self, case: int, first: int, last: int) -> list[Step]:
        whole = self._step(case, first, last)
        if abs(whole.relative) <= self.noise[case]:
            return []
        steps = []
        waiting = [whole]
        while waiting:
            step = waiting.pop()
            known = [point for point in range(step.before, step.after + 1) if self._count(point, case) is not None]
            parts = [self._step(case, *pair) for pair in itertools.pairwise(known)]
            if len(parts) == 1:
                steps.append(step)
                continue
            moved = [part for part in parts if abs(part.relative) > self.noise[case]]
            waiting += moved or [max(parts, key=lambda part: abs(part.relative))]
        return sorted(steps, key=lambda step: step.before)

    def _step(self, case: int, before: int, after: int) -> Step:
        counts = self._counts
        return Step(before, after, counts[before][case], counts[after][case])

    def _count(self, point: int, case: int) -> float | None:
        return self._counts.get(point, {}).get(case)

    def _tried(self, point: int, case: int) -> bool:
        return case in self._asked.get(point, ())

    def _fails(self, point: int, case: int) -> bool:
        return self._tried(point, case) and self._count(point, case) is None
