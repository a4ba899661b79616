"""An environment for each commit, or for each set of requirements that commits install: nothing is installed twice, and
two commits can be counted at the same time."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from asv.config import Config
from asv.plugins.virtualenv import Virtualenv
from asv.repo import Repo
from asv.util import UserError

from harness.asv_plugin import private_parts
from harness.errors import RepositoryError
from harness.overlay.git import Repository

_COMMANDS = ("build_command", "install_command", "uninstall_command")
_FILE = re.compile(r"\{build_dir\}/([\w./-]+\.txt)(?![\w./-])")
#: What stands in a command for the whole of a commit, or for its name.
_WHOLE = re.compile(r"\{build_dir\}|\{wheel_file\}|\{build_cache_dir\}|\{commit\}|ASV_")
#: A line of a file of requirements that leads to another file: -r, -c, -e, a path, an address of a file.
_LEADS_ON = re.compile(r"^\s*(-r|-c|-e|--requirement|--constraint|--editable|[./~])|file:", re.MULTILINE)


def installed_by(commands: Mapping[str, list[str] | None], repository: Repository, commit: str) -> str:
    """A short name for what asv's commands, for building, installing and uninstalling, install of a commit: equal names
    for equal environments. Where they build nothing and read nothing of it but files of requirements that lead to no
    other file, the name is made of what these hold; otherwise each commit has its own. Raises RepositoryError."""
    lines = [line for text in commands.values() if text is not None for line in text]
    reads_more = any(_WHOLE.search(_FILE.sub("", line)) for line in lines)
    if commands["build_command"] != [] or None in commands.values() or reads_more:
        return commit[:12]
    files = sorted({name for line in lines for name in _FILE.findall(line)})
    held = repository.contents([repository.blob(commit, name) for name in files])
    if any(_LEADS_ON.search(text.decode(errors="replace")) for text in held):
        return commit[:12]
    key = json.dumps([commands, [text.decode(errors="backslashreplace") for text in held]], sort_keys=True)
    return hashlib.sha256(key.encode()).hexdigest()[:12]


class EnvironmentPerCommit(Virtualenv):  # type: ignore[misc]
    """A virtualenv for each commit, beside each other under one name: one series of results."""

    tool_name = "virtualenv-per-commit"

    def __init__(self, conf: Config, python: str, requirements: dict[str, str], tagged_env_vars: Any) -> None:
        self._conf = conf
        super().__init__(conf, python, requirements, tagged_env_vars)
        self._all = private_parts.folder_of_environment(self)

    def create(self) -> None:
        """Nothing yet: there is one for each commit, made when it comes to it."""

    def install_project(self, conf: Config, repo: Repo, commit_hash: str) -> None:
        """Go to the commit's own environment; make it, and install the commit, where that was not done yet."""
        commands = {name: getattr(conf, name) for name in _COMMANDS}
        try:
            name = installed_by(commands, Repository(private_parts.folder_of_repository(repo)), commit_hash)
        except RepositoryError as error:
            raise UserError(str(error)) from None
        os.makedirs(self._all, exist_ok=True)
        private_parts.move_environment(self, self._conf, self._all / name)
        super().create()
        super().install_project(conf, repo, commit_hash)
