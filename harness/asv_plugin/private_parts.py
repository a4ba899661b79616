"""What the harness uses of asv's private parts, whose names begin with an underscore: all of it is here.

A release of asv may change these without notice. tests/asv_plugin/test_private_parts.py holds each of them against the
asv that is installed, and tests/test_layering.py sees that no other module uses one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asv.build_cache import BuildCache
from asv.config import Config
from asv.environment import Environment
from asv.repo import Repo
from asv_runner import console


def folder_of_repository(repository: Repo) -> Path:
    """Where git's objects of a repository lie: in the user's clone, or in asv's mirror. asv's public methods answer
    questions about commits one by one; the harness asks git itself for thousands at once, and needs the folder."""
    return Path(repository._path).resolve()


def folder_of_environment(environment: Environment) -> Path:
    """The folder of one environment. asv's public `dir_name` is its name alone, which several environments may share;
    where it lies below is known to the environment only."""
    return Path(environment._path)


def forget_installation(environment: Environment) -> None:
    """Make asv install the next commit anew, also the one that is installed. asv compares the commit and its commands.
    What else may have changed, such as the files that the commands read, it has no public way to be told."""
    environment._set_installed_commit_hash(None)


def move_environment(environment: Environment, configuration: Config, folder: Path) -> None:
    """Let an environment lie in another folder from here on: what asv makes of it is made there, and asv looks there
    whether it was made. asv decides on the folder once, in the constructor, and has no public way to name another."""
    environment._path = str(folder)
    environment._cache = BuildCache(configuration, environment._path)
    environment._build_root = os.path.join(environment._path, "project")
    environment._global_env_vars["ASV_ENV_DIR"] = environment._path
    environment._is_setup = False


class ChangedGitCommands:
    """Beside asv's Git, as the first base of a class: every git command of it is what `changed` makes of it. asv's
    public methods run several commands each, and let nobody choose their options."""

    def changed(self, arguments: list[str]) -> list[str] | None:
        """What git is to be run with instead of these arguments; None where it is not to be run."""
        raise NotImplementedError

    def _run_git(self, args: list[str], *positional: Any, **keywords: Any) -> str:
        arguments = self.changed(args)
        if arguments is None:
            return ""
        return str(super()._run_git(arguments, *positional, **keywords))  # type: ignore[misc]


def coloured(text: str, colour: str) -> str:
    """A text with asv's escapes for a colour around it, whatever asv itself colours by."""
    return str(_COLOURED(text, colour))


def colour_with(function: Callable[[str, str], str]) -> None:
    """Let asv colour what it prints by this function of a text and the name of a colour. asv's public functions print
    text and colours at once, so nothing outside of them can tell colours from what a text brings along."""
    console._color_text = function


_COLOURED = console._color_text
