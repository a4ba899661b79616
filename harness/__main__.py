"""`python -m harness COMMAND`: asv's numbers without asv (`count`), what they cost (`costs`), where they come from
(`explain`), why they changed (`diff`), a commit's Python over a wheel (`overlay`), and the commit that changed a number
(`bisect`)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from harness import costs, messages, overlay, printable, reasons, session, workload
from harness.counter import KINDS
from harness.errors import CaseSkipped, HarnessError, StartError
from harness.git import Repository
from harness.lookup import Wanted
from harness.selection import choose, find


def main() -> int:
    with printable.streams():
        return _run()


def _run() -> int:
    arguments = _arguments()
    try:
        return COMMANDS[arguments.command](arguments)
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return 130


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


def tell_costs(arguments: argparse.Namespace) -> int:
    """Print what each benchmark took when it was last counted."""
    root = Path(arguments.config).resolve().parent / ".asv"
    print("\n".join(costs.lines(costs.costs(costs.newest(root, arguments.counter, arguments.bench)))))
    return 0


def explain(arguments: argparse.Namespace) -> int:
    """Print where a benchmark's instructions go."""
    return reasons.explain(_options(arguments, inclusive=arguments.by == "inclusive"), arguments.commit or "HEAD")


def diff(arguments: argparse.Namespace) -> int:
    """Print what moved between two commits."""
    return reasons.diff(_options(arguments), arguments.base, arguments.head)


def _options(arguments: argparse.Namespace, **more: bool) -> reasons.Options:
    wanted = Wanted(
        config=Path(arguments.config),
        benchmark=arguments.benchmark and arguments.benchmark.removesuffix(messages.TRACK),
        assignments=tuple(arguments.param),
        environment=arguments.environment,
        python=arguments.python,
        again=arguments.again,
    )
    picture = Path(arguments.flame).absolute() if arguments.flame else None
    return reasons.Options(wanted, rows=arguments.rows, json=arguments.json, flame=picture, **more)


def lay_over(arguments: argparse.Namespace) -> int:
    """Lay a commit's Python over the wheel in this environment, or put the wheel back."""
    if arguments.remove:
        if arguments.unless_pinned and overlay.suits(Path(arguments.unless_pinned)):
            print("the overlay stays: it lies on the wheel that is pinned")
            return 0
        print("the wheel lies in site-packages again" if overlay.remove() else "no overlay is installed here")
        return 0
    repository = Repository(Path(arguments.checkout))
    record = overlay.lay(repository, repository.commit(arguments.commit), _wheels(arguments))
    print("\n    ".join([str(record), *(record.native or ())]))
    return 0


def search_range(arguments: argparse.Namespace) -> int:
    """Name the commit between two that changed a benchmark; the status tells what came of it (see finding.py)."""
    try:
        from harness import finding, search  # not above: the environments under test lack asv
    except ModuleNotFoundError as error:
        raise StartError(
            f"bisecting needs asv, which {sys.executable} lacks ({error}): use the environment asv is run from"
        ) from None
    wheels = _wheels(arguments)
    wanted = messages.Range(
        suite="",
        benchmark=arguments.benchmark,
        assignments=tuple(arguments.param),
        repository="",
        good=arguments.good,
        bad=arguments.bad,
        wheels=str(wheels.resolve()) if wheels else None,
    )
    options = search.Options(
        probing=arguments.counter,
        confirming=arguments.confirm,
        noise=None if arguments.noise is None else arguments.noise / 100,
        cores=workload.cores(),
    )
    findings, how = search.bisect(Path(arguments.config), wanted, options)
    outcome = finding.outcome(findings)
    if arguments.json:
        print(json.dumps({"outcome": outcome, "cases": [each.facts() for each in findings], **how}, indent=1))
    else:
        print("\n".join(finding.lines(findings)))
    return finding.STATUS[outcome]


def _wheels(arguments: argparse.Namespace) -> Path | None:
    return Path(arguments.wheels) if arguments.wheels else None


COMMANDS = {
    "count": count,
    "costs": tell_costs,
    "explain": explain,
    "diff": diff,
    "overlay": lay_over,
    "bisect": search_range,
}


def _arguments() -> argparse.Namespace:
    parser = _parser()
    arguments, left = parser.parse_known_args()
    # What argparse does not do: take a last, optional word after the options.
    last = {"explain": "commit", "diff": "benchmark"}.get(arguments.command)
    if last is not None and len(left) == 1 and not left[0].startswith("-") and getattr(arguments, last) is None:
        setattr(arguments, last, left.pop())
    if left:
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    return arguments


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

    telling = commands.add_parser("costs", help="tell what each benchmark took when it was last counted")
    telling.add_argument("--bench", default="", metavar="REGEX", help="only benchmarks with this in their names")
    telling.add_argument("--counter", choices=KINDS, default="callgrind", help="counted with it (default: %(default)s)")
    telling.add_argument("--config", default="asv.conf.json", help="asv's configuration (default: %(default)s)")

    explaining = commands.add_parser("explain", help="tell where a benchmark's instructions go")
    explaining.add_argument("benchmark", help="as asv names it, e.g. dtensor.Detach")
    explaining.add_argument("commit", nargs="?", help="the commit (default: HEAD)")
    explaining.add_argument(
        "--by", choices=("self", "inclusive"), default="self", help="which functions come first (default: %(default)s)"
    )
    _add_reasons(explaining)

    differing = commands.add_parser("diff", help="tell which functions moved between two commits")
    differing.add_argument("base", help="the commit before")
    differing.add_argument("head", help="the commit after")
    differing.add_argument("benchmark", nargs="?", help="as asv names it (default: all that are kept of both commits)")
    _add_reasons(differing)

    laying = commands.add_parser("overlay", help="lay a PyTorch commit's Python over the wheel in this environment")
    laying.add_argument("checkout", nargs="?", default=".", help="a git repository of PyTorch (default: this folder)")
    laying.add_argument("--commit", default="HEAD", help="the commit (default: what the checkout has checked out)")
    laying.add_argument("--remove", action="store_true", help="put the wheel back as pip installed it")
    laying.add_argument(
        "--unless-pinned", metavar="FILE", help="with --remove: not if these requirements pin the wheel that lies there"
    )
    _add_wheels(laying)

    searching = commands.add_parser(
        "bisect",
        help="name the PyTorch commit that changed a benchmark",
        description="Exit status: 0 found, 1 broken, 2 wrong arguments, 3 no change, 4 cannot tell.",
    )
    searching.add_argument("good", help="the older end of the range")
    searching.add_argument("bad", help="the newer end")
    searching.add_argument("benchmark", help="as asv names it, e.g. dtensor.Detach")
    searching.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="only these cases")
    searching.add_argument(
        "--config", default="asv.pytorch.conf.json", help="asv's configuration (default: %(default)s)"
    )
    searching.add_argument("--counter", choices=KINDS, default="readable", help="what probes (default: %(default)s)")
    searching.add_argument(
        "--confirm",
        choices=KINDS,
        default="callgrind",
        help="what counts the ends and what is found (default: %(default)s)",
    )
    searching.add_argument(
        "--noise", type=float, metavar="PERCENT", help="changes up to this are none (default: the benchmark's own)"
    )
    searching.add_argument("--json", action="store_true", help="one JSON object")
    _add_wheels(searching)
    return parser


def _add_reasons(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="only these cases")
    parser.add_argument("--python", action="store_true", help="by Python function, with the machine code under each")
    parser.add_argument("--rows", type=int, default=20, help="how many functions (default: %(default)s)")
    parser.add_argument("--flame", metavar="FILE.svg", help="write a flame graph too; of one case")
    parser.add_argument("--json", action="store_true", help="everything, as one JSON list with an object a case")
    parser.add_argument("--again", action="store_true", help="count anew, also where a count is kept")
    parser.add_argument("--config", default="asv.conf.json", help="asv's configuration (default: %(default)s)")
    parser.add_argument(
        "--environment", metavar="NAME", help="only counts of this asv environment (default: the newest)"
    )


def _add_wheels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wheels",
        default=os.environ.get("HARNESS_WHEELS"),
        metavar="WHERE",
        help="a folder of wheels, or a file that lists some; each commit takes the nearest older one "
        "(default: HARNESS_WHEELS's value, else the wheel that pip installed)",
    )


if __name__ == "__main__":
    sys.exit(main())
