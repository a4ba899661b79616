"""The parser that all commands share: words that are not known are answered with the nearest that are, and what several
commands take is spelled and described once."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from harness.engine import settings
from harness.engine.counters import COUNTER_KINDS
from harness.engine.settings import Settings
from harness.errors import StartError

#: The package of benchmarks.
BENCHMARKS = "benchmarks"


class Parser(argparse.ArgumentParser):
    """argparse's, with suggestions."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        keywords.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        keywords.setdefault("allow_abbrev", False)
        super().__init__(*arguments, **keywords)
        self.commands: dict[str, argparse.ArgumentParser] = {}

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        super().error(message + suggestion(message, self._words()))

    def _words(self) -> Iterable[str]:
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action.choices, dict | list | tuple):
                yield from map(str, action.choices)


def suggestion(message: str, words: Iterable[str]) -> str:
    """Which known word was meant by the one that argparse complains of; nothing if none is near."""
    wrong = re.search(r"(?:unrecognized arguments: |invalid choice: ')([^\s'=]+)", message)
    near = difflib.get_close_matches(wrong[1], list(words), 1, 0.6) if wrong else []
    return f"; did you mean {near[0]}?" if near else ""


def add_benchmark(parser: argparse.ArgumentParser, **keywords: Any) -> None:
    parser.add_argument("benchmark", **{"help": "as asv names it, e.g. dtensor.Detach", **keywords})


def add_params(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only these cases; may be given several times",
    )


def add_benchmarks(parser: argparse.ArgumentParser, **keywords: Any) -> None:
    keywords = {"default": BENCHMARKS, "help": "the package of benchmarks (default: %(default)s)", **keywords}
    parser.add_argument("--benchmarks", metavar="FOLDER", **keywords)


def add_counter(parser: argparse.ArgumentParser, default: str | None = None, **keywords: Any) -> None:
    shown = "%(default)s" if default else f"{settings.COUNTER}'s value, else callgrind"
    parser.add_argument(
        "--counter",
        choices=list(COUNTER_KINDS),
        default=default,
        **{"help": f"what counts (default: {shown})", **keywords},
    )


def add_config(parser: argparse.ArgumentParser, default: str = "asv.conf.json") -> None:
    parser.add_argument("--config", default=default, metavar="FILE", help="asv's configuration (default: %(default)s)")


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--json", action="store_true", help=f"tell it as JSON: {what}")


def add_wheels(parser: argparse.ArgumentParser, takes: str = "each commit takes the nearest older one") -> None:
    parser.add_argument(
        "--wheels",
        metavar="WHERE",
        help=f"a folder of wheels, or a file that lists some; {takes} "
        f"(default: {settings.WHEELS}'s value, else the wheel that pip installed)",
    )


def wheels_of(arguments: argparse.Namespace) -> Path | None:
    """Where the wheels are that `--wheels` names, or else the user's settings; None for the one that pip installed."""
    return Path(arguments.wheels) if arguments.wheels else Settings.from_environment().wheels


def add_sides(parser: argparse.ArgumentParser) -> None:
    """What check and noise take alike: which cases of which clone, and how they are counted."""
    parser.add_argument("--repo", metavar="FOLDER", help="the clone of PyTorch (default: the configuration's)")
    parser.add_argument("--bench", default="", metavar="REGEX", help="only cases whose name this finds")
    parser.add_argument(
        "--suite", choices=settings.SUITE_CHOICES, default="quick", help="which suite (default: %(default)s)"
    )
    add_config(parser, "asv.pytorch.conf.json")
    add_counter(parser, "readable", help="what counts (default: %(default)s)")
    add_wheels(parser, "both sides of a check take the same, the nearest older one")
    parser.add_argument("--again", action="store_true", help="count anew, also where a count is kept")


def sides_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of check/run.py's Options that `add_sides` asks for."""
    wheels = wheels_of(arguments)
    return {
        "config": Path(arguments.config),
        "clone": None if arguments.repo is None else Path(arguments.repo),
        "bench": arguments.bench,
        "suite": arguments.suite,
        "counter": arguments.counter,
        "cores": Settings.from_environment().cores,
        "wheels": None if wheels is None else wheels.resolve(),
        "anew": arguments.again,
    }


@contextlib.contextmanager
def asv_needed(what: str) -> Iterator[None]:
    """For an import that needs asv, which the environments under test lack. Raises StartError, which says that `what`
    needs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StartError(
            f"{what} needs asv, which {sys.executable} lacks ({error}): use the environment asv is run from"
        ) from None


def add_reasons(parser: argparse.ArgumentParser) -> None:
    """What explain and diff take alike."""
    add_params(parser)
    parser.add_argument("--python", action="store_true", help="by Python function, with the machine code under each")
    parser.add_argument("--rows", type=int, default=20, help="how many functions (default: %(default)s)")
    parser.add_argument("--flame", metavar="FILE.svg", help="write a flame graph too; of one case")
    add_json(parser, "everything, a list with an object a case")
    parser.add_argument("--again", action="store_true", help="count anew, also where a count is kept")
    add_config(parser)
    parser.add_argument(
        "--environment", metavar="NAME", help="only counts of this asv environment (default: the newest)"
    )
