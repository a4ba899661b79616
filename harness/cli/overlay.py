"""Lay the Python of a PyTorch commit over the wheel in this environment, or put the wheel back."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from harness.cli.parser import add_json, add_wheels, wheels_of
from harness.overlay import install
from harness.overlay.git import Repository

HELP = "lay a PyTorch commit's Python over the wheel in this environment"
EXAMPLES = ("harness overlay ../pytorch --commit main", "harness overlay --remove")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkout", nargs="?", default=".", help="a git repository of PyTorch (default: this folder)")
    parser.add_argument("--commit", default="HEAD", help="the commit (default: what the checkout has checked out)")
    parser.add_argument("--remove", action="store_true", help="put the wheel back as pip installed it")
    parser.add_argument(
        "--unless-pinned", metavar="FILE", help="with --remove: not if these requirements pin the wheel that lies there"
    )
    add_wheels(parser)
    add_json(parser, "one object, what lies there now")


def run(arguments: argparse.Namespace) -> int:
    if arguments.remove:
        if arguments.unless_pinned and install.suits(Path(arguments.unless_pinned)):
            return _say(arguments.json, "the overlay stays: it lies on the wheel that is pinned")
        removed = install.remove()
        return _say(
            arguments.json, "the wheel lies in site-packages again" if removed else "no overlay is installed here"
        )
    repository = Repository(Path(arguments.checkout))
    record = install.lay(repository, repository.commit(arguments.commit), wheels_of(arguments))
    if arguments.json:
        print(json.dumps(dataclasses.asdict(record)))
    else:
        print("\n    ".join([str(record), *(record.native or ())]))
    return 0


def _say(as_json: bool, sentence: str) -> int:
    print(json.dumps({"state": sentence}) if as_json else sentence)
    return 0
