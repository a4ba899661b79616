"""The one folder that asv and this harness write to, beside asv's configuration, and what else has a fixed name."""

from __future__ import annotations

from pathlib import Path

from harness.errors import StartError

NAME = ".asv"
#: The file that tells how noisy each case is: in that folder, and in a suite's, where it is no part of what is counted.
NOISE = "noise.json"


def check(configuration: Path) -> None:
    """Raises StartError where there is no such configuration."""
    if not configuration.exists():
        raise StartError(f"no asv configuration {configuration}: name one with --config")
