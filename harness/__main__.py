"""`python -m harness count BENCHMARK [--param name=value] ...`: asv's numbers without asv."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from harness import messages, session, workload
from harness.counter import KINDS
from harness.errors import CaseSkipped, HarnessError, SuiteError
from harness.workload import Workload


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return count(arguments)
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return 1


def count(arguments: argparse.Namespace) -> int:
    """Count the chosen cases of one benchmark and print a line each; 1 if one of them could not be counted."""
    found = find(Path(arguments.suite), arguments.benchmark)
    wanted = choose(found, arguments.param)
    status = 0
    chosen = {} if arguments.counter is None else {"counter": arguments.counter}
    with session.session(workload.configuration_for(found, **chosen)) as directory:
        for params in wanted:
            names = dict(zip(found.param_names, map(str, params), strict=True))
            label = " ".join(f"{name}={value}" for name, value in names.items())
            try:
                counted = workload.ask(found, params, directory)
            except CaseSkipped as reason:
                print(json.dumps({**names, "skipped": str(reason)}) if arguments.json else f"n/a  {label}  ({reason})")
                continue
            except HarnessError as error:
                print(f"harness: {found.benchmark()} {label}: {error}", file=sys.stderr)
                status = 1
                continue
            if arguments.json:
                told = {number: counted.per_call(number) for number in [messages.HEADLINE, *counted.numbers]}
                print(json.dumps({**names, **told, "seconds": counted.seconds}), flush=True)
            else:
                print(f"{counted.instructions_per_call:>18,.2f}  {label}", flush=True)
                for number in counted.numbers:
                    print(f"{counted.per_call(number):>22,.2f}  {number}", flush=True)
    return status


def find(suite: Path, name: str) -> type[Workload]:
    """The workload that asv lists as `name` in the package at `suite`; `.track_instructions` may be left out."""
    module_name, _, class_name = name.removesuffix(".track_instructions").rpartition(".")
    if not module_name or not (suite / "__init__.py").exists():
        raise SuiteError(f"no benchmark {name!r} in {suite}: name it as asv does, <module>.<class>")
    sys.path.insert(0, str(suite.resolve().parent))
    try:
        module = importlib.import_module(f"{suite.resolve().name}.{module_name}")
        found = getattr(module, class_name)
    except AttributeError as error:
        raise SuiteError(f"no benchmark {name!r} in {suite}: {error}") from None
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith(suite.resolve().name):
            raise SuiteError(f"no benchmark {name!r} in {suite}: {error}") from None
        raise SuiteError(
            f"the benchmark {name!r} needs {error.name!r}, which this environment lacks: "
            "install the pin with `pip install --requirement requirements.txt`"
        ) from None
    if not (isinstance(found, type) and issubclass(found, Workload)):
        raise SuiteError(f"{name!r} is not a workload")
    return found


def choose(found: type[Workload], assignments: list[str]) -> list[tuple[object, ...]]:
    """The choices of parameters that agree with every `name=value`."""
    wanted = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or name not in found.param_names:
            raise SuiteError(f"--param {assignment!r}: expected name=value, with a name of {list(found.param_names)}")
        wanted[name] = value
    choices = [
        params
        for params in found.choices()
        if all(
            str(value) == wanted.get(name, str(value)) for name, value in zip(found.param_names, params, strict=True)
        )
    ]
    if not choices:
        raise SuiteError(f"no case of {found.benchmark()} has {wanted}; its parameters are {found.parameters()}")
    return choices


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m harness", description="Count instructions without asv.")
    commands = parser.add_subparsers(dest="command", required=True)
    counting = commands.add_parser("count", help="count the cases of one benchmark")
    counting.add_argument("benchmark", help="as asv names it, e.g. dtensor.Detach")
    counting.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="only these cases")
    counting.add_argument("--suite", default="benchmarks", help="the package of benchmarks (default: %(default)s)")
    counting.add_argument(
        "--counter", choices=KINDS, help="what counts (default: HARNESS_COUNTER's value, else callgrind)"
    )
    counting.add_argument("--json", action="store_true", help="one JSON object a case")
    return parser


if __name__ == "__main__":
    sys.exit(main())
