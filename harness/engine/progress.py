"""What a run is doing: events that a supervisor writes to a file, a JSON object a line, and what they add up to.

{"event": "server", "state": "starting" or "ready"}
{"event": "order", "cases": [name, ...], "cores": 2}      what is going to be counted
{"event": "begin", "case": name}
{"event": "end", "case": name, "state": "counted" or "skipped" or "failed", "seconds": 1.5,
                 "instructions": 53021.12, "notes": [...], "why": sentence}
{"event": "built", "what": name, "seconds": 40.1}
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
from collections.abc import Mapping
from typing import Any

from harness.engine.notes import ABOUT_THE_CLOCK
from harness.protocol import Case, Counted, Failed, Report, Skipped


def encode(event: str, **fields: object) -> str:
    return json.dumps({"event": event, **fields}) + "\n"


def decode(line: str) -> dict[str, Any] | None:
    """An event; None for a line that is none, as one is that is still being written."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "event" in fields else None


def ended(case: Case, report: Report, seconds: float) -> str:
    """The event of a case that has come to its end."""
    fields: dict[str, object] = {"case": name(case), "seconds": round(seconds, 1)}
    if isinstance(report, Counted):
        fields |= {"state": "counted", "instructions": report.instructions_per_call, "notes": report.notes}
    elif isinstance(report, Skipped):
        fields |= {"state": "skipped", "why": report.reason}
    elif isinstance(report, Failed):
        fields |= {"state": "failed", "why": report.sentence}
    return encode("end", **fields)


class Journal:
    """The file that gets a line an event, None for none. One that cannot be written stops nothing."""

    def __init__(self, path: str | None) -> None:
        self._path = path

    def write(self, event: str) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError), open(self._path, "a") as file:
                file.write(event)


def name(case: Case) -> str:
    """A case as people name it: `dtensor.Detach(cpu)`."""
    module = case.module.partition(".")[2] or case.module
    return f"{module}.{case.workload}({', '.join(case.parameters)})"


@dataclasses.dataclass
class Progress:
    """What the events so far add up to. Times are readings of one clock, in seconds; `expected` is what cases took
    earlier, by name; `clocked` are the cases that read the clock while they were counted."""

    expected: Mapping[str, float] = dataclasses.field(default_factory=dict)
    cases: dict[str, None] = dataclasses.field(default_factory=dict)
    running: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    states: dict[str, str] = dataclasses.field(default_factory=dict)
    clocked: set[str] = dataclasses.field(default_factory=set)
    server: str | None = None
    cores: int = 1

    def take(self, event: Mapping[str, Any], now: float) -> None:
        match event["event"]:
            case "server":
                self.server = event["state"]
            case "order":
                self.cases.update(dict.fromkeys(event["cases"]))
                self.cores = event["cores"]
            case "begin":
                self.running[event["case"]] = now
            case "end":
                self.running.pop(event["case"], None)
                self.cases.setdefault(event["case"])
                self.seconds[event["case"]] = event["seconds"]
                self.states[event["case"]] = event["state"]
                if any(note.startswith(ABOUT_THE_CLOCK) for note in event.get("notes", ())):
                    self.clocked.add(event["case"])

    @property
    def done(self) -> int:
        return len(self.states)

    def seconds_left(self, now: float) -> float | None:
        """How long what is left takes on all cores, as far as earlier counts or this run's tell; else None."""
        known = [seconds for name, seconds in self.seconds.items() if self.states[name] == "counted"]
        usual = statistics.mean(known) if known else None
        left = 0.0
        for name in self.cases:
            if name in self.states:
                continue
            whole = self.expected.get(name, usual)
            if whole is None:
                return None
            left += max(0.0, whole - (now - self.running[name] if name in self.running else 0.0))
        return left / max(1, self.cores)


def line(event: Mapping[str, Any]) -> str | None:
    """What is printed of an event where nobody watches; None for one that is not worth a line. That a case read the
    clock is left for the end, since most cases that compile do."""
    if event["event"] == "built":
        return f"    {event['what']}  built  {event['seconds']:.0f} s"
    if event["event"] != "end":
        return None
    outcome = event["state"]
    if outcome == "counted":
        outcome = f"{event['instructions']:>18,.0f} instructions"
    notes = [note for note in event.get("notes", ()) if not note.startswith(ABOUT_THE_CLOCK)]
    beside = [*notes, *([event["why"]] if event.get("why") else [])]
    return f"    {event['case']}  {outcome}  {event['seconds']:.0f} s" + "".join(f"  ({text})" for text in beside)
