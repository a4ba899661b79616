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
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.cli.parser import BENCHMARKS, add_benchmarks, add_json, add_sides, asv_needed, sides_of
from harness.errors import StartError
from harness.system import whole

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
    add_benchmarks(parser, default=None, help=f"with --environment: the package of benchmarks (default: {BENCHMARKS})")
    add_sides(parser)
    parser.add_argument("--expected", metavar="FILE", help="compare with the counts in this file instead of a BASE")
    parser.add_argument("--update", action="store_true", help="write what moved into the file of expected counts")
    add_json(parser, "one object")
    for option, what in _FILES.items():
        parser.add_argument(f"--{option}", metavar="FILE", help=f"write {what} too")


def wrong(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the arguments together, None if nothing is."""
    files = _files_named(arguments, [*_FILES, "expected"])
    if len(set(files.values())) < len(files):
        return "two options name the same file: each writes a file of its own"
    if arguments.environment:
        if len(arguments.environment) != 2:
            return (
                f"--environment is given {len(arguments.environment)} times: name the interpreter before and that after"
            )
        others = ("base", "expected", "repo", "wheels", "again", "update")
        given = [name for name in others if getattr(arguments, name) not in (None, False)]
        return f"--environment and {given[0]} do not go together" if given else None
    if arguments.benchmarks is not None:
        return "--benchmarks goes with --environment; else the suite is the one that the configuration names"
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


def _files_named(arguments: argparse.Namespace, options: Iterable[str]) -> dict[str, Path]:
    """The files that these options name, by option."""
    named = {option: getattr(arguments, option.replace("-", "_")) for option in options}
    return {option: Path(name).absolute() for option, name in named.items() if name is not None}


def _refuse_unwritable(files: Mapping[str, Path], update: bool) -> None:
    """Raises StartError where a file cannot be written, before anything is counted for it."""
    for option, file in files.items():
        reason = whole.refused(file) if option != "expected" or update else None
        if reason is not None:
            raise StartError(f"--{option}: {reason}")


def run(arguments: argparse.Namespace) -> int:
    """The status is the answer (see verdicts.py)."""
    with asv_needed("a check"):
        from harness.check import exports, formats, verdicts
        from harness.check.run import Options, check
    writers = {
        "markdown": formats.as_markdown,
        "junit": exports.as_junit,
        "pytorch-records": exports.as_pytorch_records,
        "bencher": exports.as_bencher,
        "github-benchmark": exports.as_github_benchmark,
        "pytorch-csv": exports.as_pytorch_csv,
    }
    files = _files_named(arguments, [*_FILES, "expected"])  # before asv goes to another folder
    _refuse_unwritable(files, arguments.update)
    expected = files.pop("expected", None)
    checked = check(
        Options(
            **sides_of(arguments),
            base=None if expected else arguments.base,
            head=arguments.base if expected else arguments.head,
            expected=expected,
            environments=tuple(arguments.environment),
            benchmarks=Path(arguments.benchmarks or BENCHMARKS),
            update=arguments.update,
        )
    )
    print(formats.as_json(checked) if arguments.json else "\n".join(formats.as_text(checked)))
    status = checked.status
    for option, file in files.items():
        try:
            file.write_text(writers[option](checked) + "\n", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            print(f"harness: {file} could not be written: {error}", file=sys.stderr)
            status = verdicts.with_failure(status)
    return status
