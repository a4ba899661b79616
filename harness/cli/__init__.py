"""The command line, `harness` or `python -m harness`: a module a command, and here the one place that prints errors and
chooses the exit status.

    0    done; of check: nothing regressed; of bisect: found
    1    could not be done, or some of it: a sentence says why
    2    wrong arguments
    3    check: something regressed; bisect: no change
    4    check, bisect: cannot tell
    130  interrupted
    141  whoever read the output had read enough
    143  ended by SIGTERM
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib.metadata
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

from harness.cli import bench, bisect, check, costs, count, diff, doctor, explain, listing, noise, overlay, servers
from harness.cli.parser import Parser
from harness.errors import HarnessError
from harness.system import interpreter, printable

#: What the help groups: a heading, and its commands by name.
GROUPS: dict[str, dict[str, ModuleType]] = {
    "Count": {"bench": bench, "count": count, "list": listing, "costs": costs, "servers": servers},
    "Ask why": {"explain": explain, "diff": diff},
    "Changes of PyTorch": {"check": check, "noise": noise, "bisect": bisect, "overlay": overlay},
    "This machine": {"doctor": doctor},
}
COMMANDS = {name: module for group in GROUPS.values() for name, module in group.items()}
#: What runs where counting is refused.
_ANYWHERE = (doctor, servers)


def main(words: Sequence[str] | None = None) -> int:
    def run() -> int:
        arguments = parsed(sys.argv[1:] if words is None else words)
        command = COMMANDS[arguments.command]
        if command not in _ANYWHERE:
            interpreter.check()
        return int(command.run(arguments))

    return carry_out(run)


def carry_out(run: Callable[[], int]) -> int:
    """Run what returns an exit status. What it raises is printed, and decides the status instead."""
    with printable.streams(), _ending_in_order():
        return _status_of(run)


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM ends a command as ctrl-C does, so that what it has started ends too: an installer that lives on would
    write into an environment that the next command counts in."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _status_of(run: Callable[[], int]) -> int:
    try:
        status = run()
        sys.stdout.flush()
        return status
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        _print_no_more()
        return 141
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _print_no_more()
        print(f"harness: there is no room for what is written ({error}): make room, and try again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return 130


def _print_no_more() -> None:
    """What waits to be printed goes nowhere, so that Python's own end does not fail with it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def wait_for_counts() -> None:
    """Be the process of a server that waits: what is asked of it is carried out here."""
    from harness.waiting import process  # no other command needs it

    process.main(lambda arguments, beginning: carry_out(lambda: count.counted(arguments, beginning)))


def parser() -> Parser:
    """The whole parser, of which docs/reference is made too."""
    made = Parser(prog="harness", description=_overview(), usage="harness [--version] COMMAND ...")
    made.add_argument("--version", action="version", version=f"harness {version()}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND", help=argparse.SUPPRESS)
    for name, module in COMMANDS.items():
        examples = "\n".join(f"  {line}" for line in module.EXAMPLES)
        added = commands.add_parser(
            name, prog=f"harness {name}", help=module.HELP, description=module.__doc__, epilog=f"examples:\n{examples}"
        )
        module.add_arguments(added)
        made.commands[name] = added
    return made


def version() -> str:
    try:
        return importlib.metadata.version("torch-instruction-suite")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _overview() -> str:
    lines = ["Count what PyTorch executes, find which commit made it more, and why.", ""]
    for heading, commands in GROUPS.items():
        lines += [f"{heading}:", *(f"  {name:<9} {module.HELP}" for name, module in commands.items()), ""]
    return "\n".join([*lines, "`harness COMMAND --help` tells the rest, with examples."])


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """What the words of a command line say. Exits with status 2 where they are wrong."""
    made = parser()
    arguments, left = made.parse_known_args(words)
    # What argparse does not do: take a last, optional word after the options.
    last = getattr(COMMANDS[arguments.command], "LAST", None)
    if last is not None and len(left) == 1 and not left[0].startswith("-") and getattr(arguments, last) is None:
        setattr(arguments, last, left.pop())
    if left:
        made.commands[arguments.command].error(f"unrecognized arguments: {' '.join(left)}")
    together = getattr(COMMANDS[arguments.command], "wrong", None)
    sentence = None if together is None else together(arguments)
    if sentence is not None:
        made.commands[arguments.command].error(sentence)
    return arguments
