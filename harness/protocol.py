"""The words between asker, supervisor, server and worker: frozen dataclasses, one JSON object each, no pickle.

Asker and supervisor speak over a Unix stream socket, one Ask and one Reply a connection. Supervisor and worker speak
over inherited packet sockets: an Order down, one Report up. A value that is absent is None, never 0.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

#: The stages of a server, each forked from the one before: nothing of the library under test is imported; it is; and
#: what only happens the first time has happened, which for torch is compiling.
BARE, IMPORTED, REHEARSED = STAGES = ("bare", "imported", "rehearsed")
#: The file numbers at which a server finds its packet sockets: for reports, and for each stage requests to fork and
#: their answers.
REPORTS = 3
CONTROLS = {stage: REPORTS + 1 + number for number, stage in enumerate(STAGES)}
#: The metric that a workload is about, among those that one run of it gives.
HEADLINE = "instructions"
#: What asv adds to a benchmark's name for it.
TRACK = f".track_{HEADLINE}"
#: The file in its folder that tells a server what to import.
SERVER_CONFIGURATION = "server.json"
#: The variable of a server's environment that is 1 if what is not counted is to run natively.
GO_NATIVE = "GO_NATIVE"


@dataclasses.dataclass(frozen=True)
class Case:
    """A workload with one choice of parameters.

    `index` counts the choices in the order of itertools.product over the workload's `params`, as asv does;
    `parameters` are their labels, `values` their representations (parameters.py), which the worker holds against its
    own. `needs` names what must be built before the case can be counted. `stage`, one of STAGES, is the server's that
    its worker is forked from. `long` says that its one call takes seconds or minutes, so that an idle core does well to
    begin with it.
    """

    module: str
    workload: str
    index: int
    parameters: tuple[str, ...]
    limit_seconds: float
    needs: tuple[str, ...] = ()
    stage: str = REHEARSED
    values: tuple[str, ...] = ()
    long: bool = False

    @property
    def benchmark(self) -> tuple[str, str]:
        return (self.module, self.workload)

    def __str__(self) -> str:
        return f"{self.module}.{self.workload}({', '.join(self.parameters)})"


@dataclasses.dataclass(frozen=True)
class Source:
    """The text that a case is counted from, as the asker reads it: the classes (module and name) whose text it is, and
    the digest of that (source.py)."""

    roots: tuple[tuple[str, str], ...]
    digest: str


@dataclasses.dataclass(frozen=True)
class Ask:
    """Asker to supervisor: count this case; `order` lists the whole suite's cases as asv will ask for them.

    `metric` is the one that is wanted. Metrics that were not asked for yet come from the run that was made for the
    others; one that was asked for before is counted anew. The supervisor refuses a case whose
    `source` is not the one that its server has. `twice` asks for a second count in the same worker.
    """

    case: Case
    order: tuple[Case, ...] = ()
    metric: str = HEADLINE
    source: Source | None = None
    twice: bool = False


@dataclasses.dataclass(frozen=True)
class Order:
    """Supervisor to worker: count this case in this folder, which is empty and the worker's own.

    `serial` stands in the report that answers. `values` are what the case's parameters must be there, `built` is the
    folder of what was built for it; `twice` asks for a second count after the first."""

    serial: int
    module: str
    workload: str
    index: int
    folder: str
    built: str
    values: tuple[str, ...] = ()
    twice: bool = False


@dataclasses.dataclass(frozen=True)
class Ready:
    """Server to supervisor, once for each stage: workers can be forked. `next_pid` is the process that goes on to the
    next one, 0 after the last. `versions` names what was found inside, nothing at the bare stage; `notes` is what
    whoever reads the counts should know of it, in sentences."""

    stage: str
    next_pid: int
    versions: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Counted:
    """A count, in instructions, of `calls` calls together.

    `total` is as the counter gave it, with `overhead` (an empty body, called as often) in it. `profile` is the
    counter's own output file in the scratch folder, None for a counter that has none. `seconds` splits the worker's
    wall time by phase. `layouts` are the totals that `total` is the median of. `metrics` is what else the same run
    tells, by name, without overhead. `seen` is how often the run did what its count does not hold, or hangs on, and
    `notes` are the sentences about that and about the layouts (notes.py). `again` is a second count in the same worker,
    where that was asked for. The supervisor adds the fingerprint.
    """

    serial: int
    total: int
    overhead: int
    calls: int
    profile: str | None
    seconds: dict[str, float]
    layouts: tuple[int, ...] = ()
    metrics: dict[str, int] = dataclasses.field(default_factory=dict)
    seen: dict[str, int] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    again: int | None = None
    fingerprint: dict[str, str] | None = None

    @property
    def again_per_call(self) -> float | None:
        """The second count, None if there was none."""
        return None if self.again is None else self._per_call(self.again - self.overhead)

    @property
    def instructions_per_call(self) -> float:
        return self._per_call(self.total - self.overhead)

    def per_call(self, metric: str) -> float | None:
        """The headline or a further metric; None if this run did not tell it."""
        if metric == HEADLINE:
            return self.instructions_per_call
        return self._per_call(self.metrics[metric]) if metric in self.metrics else None

    def _per_call(self, net: int) -> float:
        return net // self.calls if net % self.calls == 0 else net / self.calls


@dataclasses.dataclass(frozen=True)
class Skipped:
    """The workload says it cannot run here."""

    serial: int
    reason: str


@dataclasses.dataclass(frozen=True)
class Failed:
    """No count. `sentence` is for people; `details` is the worker's traceback or its last output; `folder` holds the
    evidence until the connection closes."""

    serial: int
    sentence: str
    details: str = ""
    folder: str | None = None


Report = Counted | Skipped | Failed
Message = Case | Ask | Order | Ready | Report

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Case, Ask, Order, Ready, Counted, Skipped, Failed)}
#: Fields that are tuples, which JSON does not know.
_TUPLES = {
    Ready: ("notes",),
    Counted: ("layouts", "notes"),
    Order: ("values",),
}


def encode(message: Message) -> bytes:
    """One line of JSON, with the message's kind."""
    return json.dumps({"kind": type(message).__name__, **dataclasses.asdict(message)}).encode() + b"\n"


def decode(data: bytes) -> Any:
    """The message that `encode` wrote. Raises ValueError for anything else."""
    try:
        fields = json.loads(data)
        kind = _KINDS[fields.pop("kind")]
        if kind is Ask:
            fields["case"] = _case(fields["case"])
            fields["order"] = tuple(_case(case) for case in fields["order"])
            if fields["source"] is not None:
                fields["source"] = Source(tuple(map(tuple, fields["source"]["roots"])), fields["source"]["digest"])
        if kind is Case:
            return _case(fields)
        for name in _TUPLES.get(kind, ()):
            fields[name] = tuple(fields[name])
        return kind(**fields)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a message of this harness: {data[:200]!r} ({error!r})") from None


def _case(fields: dict[str, Any]) -> Case:
    return Case(**{**fields, **{name: tuple(fields[name]) for name in ("parameters", "values", "needs")}})
