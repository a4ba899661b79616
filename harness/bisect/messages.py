"""The words between a bisection and the process that probes for it: frozen dataclasses, one JSON object a line each."""

from __future__ import annotations

import dataclasses

from harness.engine.messages import Words


@dataclasses.dataclass(frozen=True)
class Range:
    """Bisecting process to probing one, once: look at this range of commits of `repository`, of a suite's benchmark and
    the cases that `assignments` choose. `wheels` tells where wheels are named, None for the one that is installed."""

    suite: str
    benchmark: str
    assignments: tuple[str, ...]
    repository: str
    good: str
    bad: str
    wheels: str | None


@dataclasses.dataclass(frozen=True)
class Point:
    """One place in a range: a commit's Python on a wheel's binaries. `digest` is equal for equal trees. `own` says that
    this is the wheel which the commit takes; where wheels change, the older one is a point too."""

    commit: str
    wheel: str
    wheel_name: str
    digest: str
    own: bool


@dataclasses.dataclass(frozen=True)
class Survey:
    """Probing process to bisecting one, once: the benchmark as asv would describe it, with the noise that its class
    declares; the parameters' texts of the chosen cases by index; the range's points in order; and what is known of the
    fingerprints that counts will have."""

    name: str
    version: str
    unit: str
    declared_noise: float
    param_names: tuple[str, ...]
    params: tuple[tuple[str, ...], ...]
    cases: dict[int, tuple[str, ...]]
    points: tuple[Point, ...]
    python: str
    machine: str


@dataclasses.dataclass(frozen=True)
class Probe:
    """Bisecting process to probing one: count these cases (by index) of a commit's Python on a wheel's binaries.

    `memory_layout` 0 is the one that everybody counts in, others are different ones. `keep` is asv's folder, and
    `environment` asv's name of the environment, under which what was counted is kept; None keeps nothing.
    """

    serial: int
    commit: str
    wheel: str
    counter: str
    cases: tuple[int, ...]
    memory_layout: int
    keep: str | None
    environment: str


@dataclasses.dataclass(frozen=True)
class Probed:
    """The answer: instructions per call by index of the case, and for those that cannot be counted why. `binaries` are
    those that the commit's Python lay over, None if it came to nothing; `notes` is what else whoever reads the counts
    should know; `seconds` splits the time."""

    serial: int
    counts: dict[int, float]
    failures: dict[int, str]
    binaries: str | None
    notes: tuple[str, ...]
    seconds: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Refused:
    """The probing process cannot count at all."""

    sentence: str


WORDS = Words((Range, Survey, Probe, Probed, Refused), Refused)
