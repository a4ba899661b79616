"""The words between a check and the processes that count for it: frozen dataclasses, one JSON object a line each."""

from __future__ import annotations

import dataclasses

from harness.engine.messages import Words
from harness.suite.parameters import case_name


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Check to counting process, once: of the suite in this folder, the cases of the suite `name` (quick, default,
    full) whose asv name the regular expression `bench` finds. `trees`: the jobs will be of commits, each with a tree of
    its own."""

    suite: str
    name: str
    bench: str
    trees: bool = True


@dataclasses.dataclass(frozen=True)
class CaseFacts:
    """One case that was chosen. `noise` is what its class declares, as a part of the count."""

    benchmark: str
    names: tuple[str, ...]
    parameters: tuple[str, ...]
    noise: float

    def __str__(self) -> str:
        return case_name(self.benchmark, dict(zip(self.names, self.parameters, strict=True)))


@dataclasses.dataclass(frozen=True)
class Cases:
    """The answer to Chosen; later messages name a case by its place in this list. `frames`: whether the tool
    that counts by Python function is made for this machine. `others` are the suite's cases that were not chosen.
    """

    cases: tuple[CaseFacts, ...]
    frames: bool
    others: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Job:
    """Check to counting process: count these cases, with so many workers at once, of a commit's Python on a wheel's
    binaries, or of what the environment has installed (`repository` None). `wheels` tells where the wheels are of which
    the commit `wheel_for` takes the nearest older one, None stands for the one that pip installed. `memory_layout` 0 is
    the one that everybody counts in. What is counted in that is kept in asv's folder `keep` under asv's name of the
    `environment`, and what is kept there of a commit is given again unless it is to be counted `anew`."""

    serial: int
    repository: str | None
    commit: str
    wheels: str | None
    counter: str
    memory_layout: int
    cases: tuple[int, ...]
    cores: int
    keep: str
    environment: str
    anew: bool = False
    wheel_for: str = ""


@dataclasses.dataclass(frozen=True)
class CaseCounted:
    """Counting process to check, for each case of a job: exactly one of `instructions` (per call), `skipped` and
    `failed` (why) is there. `folder` is where it is kept; `earlier` says that it was there already."""

    serial: int
    case: int
    instructions: float | None = None
    skipped: str | None = None
    failed: str | None = None
    fingerprint: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    folder: str | None = None
    earlier: bool = False
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class JobDone:
    """Every case of a job was told. `binaries` are those that the commit's Python lay over, None if it came to nothing;
    `notes` is what holds for all of its counts."""

    serial: int
    binaries: str | None
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Refused:
    """The process cannot count at all."""

    sentence: str


Message = Chosen | Cases | Job | CaseCounted | JobDone | Refused
WORDS = Words((Chosen, Cases, Job, CaseCounted, JobDone, Refused), Refused)
