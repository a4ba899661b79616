"""Read the user's settings: the environment variables HARNESS_..., all of them here and nowhere else.

asv hands its own environment on to every process of a run, so these variables are the way by which whoever starts a run
reaches the process that counts. A value that means nothing is refused as soon as the settings are read, in one sentence
with the value that was found and the cure: a misspelled value that fell back to the default would count something else.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.engine.counters import COUNTER_KINDS
from harness.errors import SuiteError

#: The variables' names, for whoever sets them for a process that it starts.
COUNTER = "HARNESS_COUNTER"
CORES = "HARNESS_CORES"
AHEAD = "HARNESS_AHEAD"
SUITE = "HARNESS_SUITE"
BENCH = "HARNESS_BENCH"
RESUME = "HARNESS_RESUME"
PROGRESS = "HARNESS_PROGRESS"
WHEELS = "HARNESS_WHEELS"
NATIVE = "HARNESS_NATIVE"

#: How far idle cores may run ahead of what was asked for.
AHEAD_CHOICES = ("nothing", "benchmark", "suite")
#: The suites that a case may belong to, from the smallest up; each is a part of the next.
SUITE_CHOICES = ("quick", "default", "full")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the user's environment says about counting. Beside each field: its default, and what is said of a value that
    is refused."""

    #: The kind of counter, a name in engine/counters.py's COUNTER_KINDS.
    #: "HARNESS_COUNTER is 'x'; known are callgrind, readable, frames and opcodes"
    counter: str = "callgrind"
    #: How many processors count at once; by default all that this process may use.
    #: "HARNESS_CORES is '0'; it takes a whole number from 1 up"
    cores: int = dataclasses.field(default_factory=lambda: len(os.sched_getaffinity(0)))
    #: How far idle cores run ahead: one of AHEAD_CHOICES.
    #: "HARNESS_AHEAD is 'x'; known are nothing, benchmark and suite"
    ahead: str = "benchmark"
    #: The suite that asv counts, one of SUITE_CHOICES; cases of larger suites are skipped.
    #: "HARNESS_SUITE is 'x'; known are quick, default and full"
    suite: str = "default"
    #: Finds the names of the cases that idle cores may run ahead to, as asv's --bench does; by default it finds all.
    #: "HARNESS_BENCH is '('; it takes a regular expression, and this is none: ..."
    bench: re.Pattern[str] = dataclasses.field(default_factory=lambda: re.compile(""))
    #: Whether what is kept of a commit is given again instead of being counted anew; by default it is counted.
    #: "HARNESS_RESUME is 'yes'; it takes 1, or 0 as if it were not set"
    resume: bool = False
    #: The file that gets a line for each event of a run, None for none. Any name will do: a file that cannot be written
    #: must not stop a count.
    progress: Path | None = None
    #: A folder of wheels, or a text file that lists some; None for the wheel that pip installed. Whoever looks there
    #: refuses what is neither (overlay/wheels.py): a relative name means something in the folder of that process only.
    wheels: Path | None = None
    #: Whether what is not counted runs on the processor itself, where it can.
    #: "HARNESS_NATIVE is 'no'; it takes 0, or 1 as if it were not set"
    native: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings in `environment`; a variable that is not there leaves its field's default. Raises SuiteError."""
        present = ((field, variable, read) for field, (variable, read) in _READERS.items() if variable in environment)
        return cls(**{field: read(variable, environment[variable]) for field, variable, read in present})


def one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    """`value`, if it is one of those that are known. Raises SuiteError, which says that it is the value of `name`."""
    if value not in known:
        raise SuiteError(f"{name} is {value!r}; known are {', '.join(known[:-1])} and {known[-1]}")
    return value


def _whole_number(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise SuiteError(f"{name} is {text!r}; it takes a whole number from 1 up")
    return int(text)


def _pattern(name: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise SuiteError(f"{name} is {text!r}; it takes a regular expression, and this is none: {error}") from None


def _switch(name: str, text: str) -> bool:
    if text not in ("", "0", "1"):
        raise SuiteError(f"{name} is {text!r}; it takes 1, or 0 as if it were not set")
    return text == "1"


def _switch_off(name: str, text: str) -> bool:
    if text not in ("", "0", "1"):
        raise SuiteError(f"{name} is {text!r}; it takes 0, or 1 as if it were not set")
    return text != "0"


def _path(name: str, text: str) -> Path | None:
    return Path(text) if text else None


#: For each field of Settings: its variable, and what makes a value of that variable's name and text.
_READERS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "counter": (COUNTER, lambda name, text: one_of(name, text, tuple(COUNTER_KINDS))),
    "cores": (CORES, _whole_number),
    "ahead": (AHEAD, lambda name, text: one_of(name, text, AHEAD_CHOICES)),
    "suite": (SUITE, lambda name, text: one_of(name, text, SUITE_CHOICES)),
    "bench": (BENCH, _pattern),
    "resume": (RESUME, _switch),
    "progress": (PROGRESS, _path),
    "wheels": (WHEELS, _path),
    "native": (NATIVE, _switch_off),
}
#: All of these variables.
VARIABLES = tuple(variable for variable, _ in _READERS.values())
