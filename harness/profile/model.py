"""Instructions by function, whatever tool told them: the total and its parts, and the call paths. Pure."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from harness.profile.symbols import Function

#: Changes with what is told of a profile, and with how names are made.
FORM = 2


@dataclasses.dataclass(slots=True)
class FunctionCost:
    """Instructions that a function executed itself, those with everything it called, and how often it was called."""

    own: int = 0
    inclusive: int = 0
    calls: int = 0

    @property
    def seen(self) -> bool:
        """Whether it did anything while counting was on; else it had been called before, and what it called did."""
        return bool(self.own or self.calls)


@dataclasses.dataclass(slots=True)
class CallPath:
    """One place in a tree of calls: instructions executed there itself, and what was called from there."""

    own: int = 0
    called: dict[Function, CallPath] = dataclasses.field(default_factory=dict)

    def at(self, function: Function) -> CallPath:
        below = self.called.get(function)
        if below is None:
            below = self.called[function] = CallPath()
        return below

    @property
    def inclusive(self) -> int:
        return self.own + sum(below.inclusive for below in self.called.values())


@dataclasses.dataclass(frozen=True)
class Profile:
    """What a run of `total` instructions consisted of. The `own` instructions of all functions add up to it.

    `paths` begins where counting began. `exact` says whether its paths were seen (or are estimated from who called
    whom). A profile by Python function has `lines`, where each function begins, and `native`: the machine code in which
    its own instructions were executed.
    """

    total: int
    functions: dict[Function, FunctionCost]
    paths: CallPath
    exact: bool
    lines: dict[Function, int] = dataclasses.field(default_factory=dict)
    native: dict[Function, dict[Function, int]] = dataclasses.field(default_factory=dict)

    def encode(self) -> bytes:
        """One line of JSON; `decode` reads it back."""
        indices: dict[Function, int] = {}

        def index(function: Function) -> int:
            return indices.setdefault(function, len(indices))

        def branch(path: CallPath) -> list[Any]:
            return [path.own, [[index(function), *branch(below)] for function, below in path.called.items()]]

        fields = {
            "form": FORM,
            "total": self.total,
            "exact": self.exact,
            "functions": [index(name) for name in self.functions],
            "own": [spent.own for spent in self.functions.values()],
            "inclusive": [spent.inclusive for spent in self.functions.values()],
            "calls": [spent.calls for spent in self.functions.values()],
            "lines": [[index(name), line] for name, line in self.lines.items()],
            "native": [
                [index(name), [[index(below), own] for below, own in below_functions.items()]]
                for name, below_functions in self.native.items()
            ],
            "paths": branch(self.paths),
        }
        named = {"names": [name.name for name in indices], "places": [name.place for name in indices]}
        return json.dumps({**fields, **named}, separators=(",", ":")).encode() + b"\n"


def decode(data: bytes) -> Profile:
    """Raises ValueError for what `encode` of this form has not written."""
    try:
        fields = json.loads(data)
        if fields["form"] != FORM:
            raise ValueError(f"a profile of form {fields['form']}, this is {FORM}")
        names = list(map(Function, fields["names"], fields["places"]))
        # Figures of a kind lie side by side: they are read in half the time.
        spent = map(FunctionCost, fields["own"], fields["inclusive"], fields["calls"])

        def branch(own: int, called: list[Any]) -> CallPath:
            return CallPath(own, {names[below[0]]: branch(*below[1:]) for below in called})

        return Profile(
            fields["total"],
            dict(zip(map(names.__getitem__, fields["functions"]), spent, strict=True)),
            branch(*fields["paths"]),
            fields["exact"],
            {names[index]: line for index, line in fields["lines"]},
            {
                names[index]: {names[below]: own for below, own in machine_code}
                for index, machine_code in fields["native"]
            },
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not a profile: {data[:100]!r} ({error!r})") from None
