"""Tell whether a change of PyTorch cost anything: count both sides, case by case, and say what moved and why.

HEAD is a commit, or the working tree with its uncommitted edits where it is left out. Each side's Python is laid over a
wheel's binaries, so nothing is built; native sources that differ from the wheel's are named. A change counts when it is
larger than the noise of its case. One of up to three times the noise is counted again in other memory layouts, and has
to show in all of them.

Exit status: 0 nothing regressed, 1 something could not be counted, 2 wrong arguments, 3 something regressed, 4 cannot
tell: a change is too small, two counts are not comparable, or nothing was measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.cli.parser import add_benchmarks, add_config, add_counter, add_wheels, wheels_of
from harness.engine import settings
from harness.engine.settings import Settings
from harness.errors import StartError

HELP = "tell whether a change of PyTorch cost anything, and why"
EXAMPLES = (
    "harness check main --repo ../pytorch",
    "harness check HEAD~1 HEAD --bench dtensor --suite default --markdown comment.md",
    "harness check --expected expected.json --update",
    "harness check --environment before/bin/python --environment after/bin/python",
)


#: What can be written into a file: the option, and what it is.
_FILES = {
    "markdown": "a comment for a pull request",
    "junit": "JUnit XML",
    "pytorch-records": "records for PyTorch's benchmark database (v3)",
    "bencher": "Bencher Metric Format",
    "github-benchmark": "what github-action-benchmark reads as customSmallerIsBetter",
    "pytorch-csv": "the counts in the form of PyTorch's expected_results.csv",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", nargs="?", help="the commit before; not with --expected")
    parser.add_argument("head", nargs="?", help="the commit after (default: the working tree, with its edits)")
    parser.add_argument(
        "--environment",
        action="append",
        default=[],
        metavar="PYTHON",
        help="given twice: compare what two interpreters have installed, with any torch each, instead of commits",
    )
    add_benchmarks(parser)
    parser.add_argument("--repo", metavar="FOLDER", help="the clone of PyTorch (default: the configuration's)")
    parser.add_argument("--bench", default="", metavar="REGEX", help="only cases whose name this finds")
    parser.add_argument(
        "--suite", choices=settings.SUITE_CHOICES, default="quick", help="which suite (default: %(default)s)"
    )
    add_config(parser, "asv.pytorch.conf.json")
    add_counter(parser, "readable", help="what counts (default: %(default)s)")
    add_wheels(parser)
    parser.add_argument("--again", action="store_true", help="count anew, also where a count is kept")
    parser.add_argument("--expected", metavar="FILE", help="compare with the counts in this file instead of a BASE")
    parser.add_argument("--update", action="store_true", help="write what moved into the file of expected counts")
    parser.add_argument("--json", action="store_true", help="tell it as JSON: one object")
    for option, what in _FILES.items():
        parser.add_argument(f"--{option}", metavar="FILE", help=f"write {what} too")


def wrong(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the arguments together, None if nothing is."""
    named = [getattr(arguments, option.replace("-", "_")) for option in [*_FILES, "expected"]]
    files = [Path(name).absolute() for name in named if name is not None]
    if len(set(files)) < len(files):
        return "two options name the same file: each writes a file of its own"
    if arguments.environment:
        if len(arguments.environment) != 2:
            return (
                f"--environment is given {len(arguments.environment)} times: name the interpreter before and that after"
            )
        given = [name for name in ("base", "expected", "repo", "wheels") if getattr(arguments, name) is not None]
        return f"--environment and {given[0]} do not go together" if given else None
    if arguments.expected is None:
        if arguments.update:
            return "--update writes the file that --expected names"
        lacking = "name a commit before, or --expected FILE, or --environment PYTHON twice"
        return lacking if arguments.base is None else None
    if arguments.head is not None:
        return (
            f"--expected stands for the commit before: name one commit, and not {arguments.base} and {arguments.head}"
        )
    return None


def run(arguments: argparse.Namespace) -> int:
    """The status is the answer (see verdicts.py)."""
    try:
        from harness.check import exports, formats  # not above: the environments under test lack asv
        from harness.check.run import Options, check
    except ModuleNotFoundError as error:
        raise StartError(
            f"a check needs asv, which {sys.executable} lacks ({error}): use the environment asv is run from"
        ) from None
    writers = {
        "markdown": formats.as_markdown,
        "junit": exports.as_junit,
        "pytorch-records": exports.as_pytorch_records,
        "bencher": exports.as_bencher,
        "github-benchmark": exports.as_github_benchmark,
        "pytorch-csv": exports.as_pytorch_csv,
    }
    named = {option: getattr(arguments, option.replace("-", "_")) for option in _FILES}
    # Absolute: asv goes to another folder.
    files = {Path(name).absolute(): writers[option] for option, name in named.items() if name is not None}
    wheels = wheels_of(arguments)
    expected = None if arguments.expected is None else Path(arguments.expected).absolute()
    checked = check(
        Options(
            config=Path(arguments.config),
            base=None if expected else arguments.base,
            head=arguments.base if expected else arguments.head,
            clone=None if arguments.repo is None else Path(arguments.repo),
            bench=arguments.bench,
            suite=arguments.suite,
            counter=arguments.counter,
            cores=Settings.from_environment().cores,
            wheels=None if wheels is None else wheels.resolve(),
            anew=arguments.again,
            expected=expected,
            environments=tuple(arguments.environment),
            benchmarks=Path(arguments.benchmarks),
            update=arguments.update,
        )
    )
    print(formats.as_json(checked) if arguments.json else "\n".join(formats.as_text(checked)))
    unwritten = False
    for file, made in files.items():
        try:
            file.write_text(made(checked) + "\n", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            print(f"harness: {file} could not be written: {error}", file=sys.stderr)
            unwritten = True
    return 1 if unwritten else checked.status
