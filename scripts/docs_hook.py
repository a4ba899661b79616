"""mkdocs calls this for each page: the reference of the command line is made of the parser, so it is never stale."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

from harness import cli

PLACE = "<!-- made of harness.cli.parser() -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    return markdown.replace(PLACE, command_line()) if PLACE in markdown else markdown


def command_line() -> str:
    """Markdown: a section for each command, in the groups of the help."""
    # argparse breaks lines at the width of the terminal.
    before = os.environ.pop("COLUMNS", None)
    os.environ["COLUMNS"] = "100"
    try:
        return "\n".join(_lines())
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _lines() -> Iterator[str]:
    commands = cli.parser().commands
    for heading, group in cli.GROUPS.items():
        yield from ("", f"## {heading}")
        for name in group:
            yield from _command(name, commands[name])


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    usage = parser.format_usage().removeprefix("usage: ").rstrip().replace("\n" + " " * len("usage: "), "\n")
    yield from ("", f"### harness {name}", "", (parser.description or "").strip(), "", "```text", usage, "```", "")
    yield from ("| argument | meaning |", "| --- | --- |")
    formatter = parser._get_formatter()
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            meaning = formatter._expand_help(action) if action.help else ""
            yield f"| {_words(action)} | {_cell(meaning)}{_choices(action)} |"
    examples = (parser.epilog or "").partition("\n")[2]
    yield from ("", "Examples:", "", "```sh", *(line.strip() for line in examples.splitlines()), "```")


def _words(action: argparse.Action) -> str:
    """What is typed: an option with the name of its value, or the name of a word."""
    name = action.metavar if isinstance(action.metavar, str) else action.dest
    value = "" if action.nargs == 0 else f" {name if action.metavar else name.upper()}"
    return " or ".join(f"`{option}{value}`" for option in action.option_strings) or f"`{name}`"


def _choices(action: argparse.Action) -> str:
    return "" if action.choices is None else f"; one of {', '.join(f'`{choice}`' for choice in action.choices)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
