"""Which case to count next: what was asked for first, then, on idle cores, what will be asked for soon. Pure.

Running ahead stays within the benchmark that was asked for last, because the caller may have selected only that one.
Once the caller has gone on from one benchmark to the very next of the suite, it is taken to want the whole suite. Of
that one long case at a time comes first, so that no core is left with one of them when the others have nothing to do;
and not several, so that who asks for a short one need not wait for them.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.protocol import Case, Report


class Schedule:
    """The state of every case that was asked for or run ahead."""

    def __init__(self, whole_suite: bool = False) -> None:
        self._whole_suite = whole_suite
        self._order: tuple[Case, ...] = ()
        self._asked: list[Case] = []
        self._last_asked: Case | None = None
        self._started: set[Case] = set()
        self._reports: dict[Case, Report] = {}

    def ask(self, case: Case, order: tuple[Case, ...]) -> None:
        """Somebody waits for `case`; `order` is the suite, as it is going to be asked for."""
        self._order = order or self._order
        if self._last_asked is not None and self._next_benchmark(self._last_asked) == case.benchmark:
            self._whole_suite = True
        self._last_asked = case
        self._asked.append(case)

    def answered(self, case: Case) -> None:
        """Nobody waits for `case` any more; what is known of it may be asked for again."""
        if case in self._asked:
            self._asked.remove(case)

    def forget(self, case: Case) -> None:
        """Nobody waits for `case` any more, and what is known of it is used up."""
        self.answered(case)
        self._started.discard(case)
        self._reports.pop(case, None)

    def next(self, can_begin: Callable[[Case], bool] = lambda case: True) -> Case | None:
        """The case to start now, which is then taken as started; None if there is nothing worth starting."""
        for case in [*self._asked, *self._ahead()]:
            if case not in self._started and can_begin(case):
                self._started.add(case)
                return case
        return None

    def put_back(self, case: Case) -> None:
        """The case could not be started, or not be finished; `next` may offer it again."""
        self._started.discard(case)

    def finish(self, case: Case, report: Report) -> None:
        if case in self._started:
            self._reports[case] = report

    def report(self, case: Case) -> Report | None:
        """What came of `case`, None while it is not known."""
        return self._reports.get(case)

    def _ahead(self) -> list[Case]:
        if self._last_asked not in self._order:
            return []
        later = self._order[self._order.index(self._last_asked) + 1 :]
        if not self._whole_suite:
            return [case for case in later if case.benchmark == self._last_asked.benchmark]
        ahead = self._started - self._reports.keys() - set(self._asked)
        long_one_runs = any(case.long for case in ahead)
        return sorted(later, key=lambda case: case.long == long_one_runs)

    def _next_benchmark(self, case: Case) -> tuple[str, str] | None:
        benchmarks = list(dict.fromkeys(other.benchmark for other in self._order))
        if case.benchmark not in benchmarks or case.benchmark == benchmarks[-1]:
            return None
        return benchmarks[benchmarks.index(case.benchmark) + 1]
