"""The words between asker, supervisor, server and worker: frozen dataclasses, one JSON object each, no pickle.

Asker and supervisor speak over a Unix stream socket, one Ask and one Reply a connection. Supervisor and worker speak
over inherited packet sockets: an Order down, one Report up. A value that is absent is None, never 0.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

#: The file numbers at which a server finds its two packet sockets: requests to fork and their answers, and reports.
CONTROL = 3
REPORTS = 4
#: The number that a workload is about, among those that one run of it gives.
HEADLINE = "instructions"
#: The file in its folder that tells a server what to import.
SERVER_CONFIGURATION = "server.json"


@dataclasses.dataclass(frozen=True)
class Case:
    """A workload with one choice of parameters.

    `index` counts the choices in the order of itertools.product over the workload's `params`, as asv does;
    `parameters` are their texts. `needs` names what must be built before the case can be counted.
    """

    module: str
    workload: str
    index: int
    parameters: tuple[str, ...]
    limit_seconds: float
    needs: tuple[str, ...] = ()

    @property
    def benchmark(self) -> tuple[str, str]:
        return (self.module, self.workload)

    def __str__(self) -> str:
        return f"{self.module}.{self.workload}({', '.join(self.parameters)})"


@dataclasses.dataclass(frozen=True)
class Ask:
    """Asker to supervisor: count this case; `order` lists the whole suite's cases as asv will ask for them.

    `number` is the one of the case's numbers that is wanted. Numbers that were not asked for yet come from the run that
    was made for the others; a number that was asked for before is counted anew.
    """

    case: Case
    order: tuple[Case, ...] = ()
    number: str = HEADLINE


@dataclasses.dataclass(frozen=True)
class Order:
    """Supervisor to worker: count this case in this folder, which is empty and the worker's own.

    `built` is the folder of what was built for it."""

    number: int
    module: str
    workload: str
    index: int
    folder: str
    built: str


@dataclasses.dataclass(frozen=True)
class Ready:
    """Server to supervisor, once: everything is imported. `versions` names what was found inside."""

    versions: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Counted:
    """A count, in instructions, of `calls` calls together.

    `total` is as the counter gave it, with `overhead` (an empty body, called as often) in it. `profile` is the
    counter's own output file in the scratch folder, None for a counter that has none. `seconds` splits the worker's
    wall time by phase. `layouts` are the totals that `total` is the median of. `numbers` is what else the same run
    tells, by name, without overhead. The supervisor adds the fingerprint.
    """

    number: int
    total: int
    overhead: int
    calls: int
    profile: str | None
    seconds: dict[str, float]
    layouts: tuple[int, ...] = ()
    numbers: dict[str, int] = dataclasses.field(default_factory=dict)
    fingerprint: dict[str, str] | None = None

    @property
    def instructions_per_call(self) -> float:
        return self._per_call(self.total - self.overhead)

    def per_call(self, number: str) -> float | None:
        """The headline number or a further one; None if this run did not tell it."""
        if number == HEADLINE:
            return self.instructions_per_call
        return self._per_call(self.numbers[number]) if number in self.numbers else None

    def _per_call(self, net: int) -> float:
        return net // self.calls if net % self.calls == 0 else net / self.calls


@dataclasses.dataclass(frozen=True)
class Skipped:
    """The workload says it cannot run here."""

    number: int
    reason: str


@dataclasses.dataclass(frozen=True)
class Failed:
    """No count. `sentence` is for people; `details` is the worker's traceback or its last output; `folder` holds the
    evidence until the connection closes."""

    number: int
    sentence: str
    details: str = ""
    folder: str | None = None


Report = Counted | Skipped | Failed
Message = Case | Ask | Order | Ready | Report

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Case, Ask, Order, Ready, Counted, Skipped, Failed)}


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
        if kind is Case:
            return _case(fields)
        if kind is Counted:
            fields["layouts"] = tuple(fields["layouts"])
        return kind(**fields)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a message of this harness: {data[:200]!r} ({error!r})") from None


def _case(fields: dict[str, Any]) -> Case:
    return Case(**{**fields, "parameters": tuple(fields["parameters"]), "needs": tuple(fields["needs"])})
