"""The one folder that asv and this harness write to, beside asv's configuration."""

from __future__ import annotations

from pathlib import Path

from harness.errors import StartError

NAME = ".asv"


def check(configuration: Path) -> None:
    """Raises StartError where there is no such configuration."""
    if not configuration.exists():
        raise StartError(f"no asv configuration {configuration}: name one with --config")
