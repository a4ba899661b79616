"""Workload: the abstract asv class. A subclass says what to set up and what to call; this class gets it counted.

What an author declares, and the cases of that, are in suite/cases.py; what runs under valgrind is inside/workload.py.
Here is what asv looks for in a class. What asv's processes then do is in suite/benchmark_process.py.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

from harness import protocol
from harness.engine import source
from harness.inside import rules
from harness.suite import benchmark_process, declarations, parameters
from harness.suite.cases import DeclaredWorkload, rules_name


class _Track:
    """What asv finds as `track_<metric>`, where a metric is the name of one of the numbers that a run gives.

    On an instance it is a function of that workload's own, because asv shows the function's `pretty_source` on the
    benchmark's page and all workloads inherit this attribute.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric

    def __get__(self, workload: Workload | None, owner: type[Workload]) -> Callable[..., float]:
        def track(*params: object) -> float:
            if workload is None:
                raise TypeError(f"track_{self._metric} is called on an instance of the workload")
            return benchmark_process.count_metric(owner, self._metric, params)

        track.__name__ = f"track_{self._metric}"
        if workload is not None:  # asv puts what else a function has into its list of benchmarks
            track.pretty_source, track.noise = source.text(owner), owner.noise  # type: ignore[attr-defined]
        return track


class Workload(DeclaredWorkload, abc.ABC):
    """One benchmark: asv lists it as `<module>.<class>.track_instructions`, in instructions per call.

    asv calls `track_instructions`; `setup`, `prepare` and `work` run in a worker under valgrind, never in asv itself.
    What else a run tells in its region (the phases of a compile) asv lists as benchmarks `track_<metric>`; they are
    skipped under a counter that cannot tell, and cost no run of their own under one that can.
    """

    track_instructions = _Track(protocol.HEADLINE)

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        regions = rules.load(rules_name(cls)).regions
        declarations.check(cls, Workload, regions)
        cls.skip_params = parameters.Choices(cls.skip_params)  # so that asv does not take 1 for True either
        region = regions.get(cls.region)
        for metric in region.metrics if region else ():
            setattr(cls, f"track_{metric}", _Track(metric))

    @property
    def timeout(self) -> float:
        """asv's limit, in seconds: twice ours and some, since a case may wait for one that was run ahead of it."""
        return 60 + 2 * self.limit_seconds

    def __dir__(self) -> list[str]:
        """Without `setup`: asv would find it and run it natively, for nothing."""
        return [name for name in super().__dir__() if name != "setup"]

    @classmethod
    def setup_cache(cls) -> None:
        """asv calls this once per environment and commit, in the folder that every benchmark process will stand in.

        All workloads inherit it, so asv takes it as one, and one fork server serves them all until asv deletes the
        folder. It returns None, so nothing is added to the parameters.
        """
        benchmark_process.start_server(cls)


# asv reads these off the function: its limit in seconds, and what to show of it on a benchmark's page, which is nothing
# (a name without a class keeps asv from adding an empty `class Workload:`).
_setup_cache: Any = Workload.setup_cache.__func__  # type: ignore[attr-defined]
_setup_cache.timeout = 1200.0
_setup_cache.pretty_source = ""
_setup_cache.__qualname__ = "setup_cache"
