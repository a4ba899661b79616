"""An environment for each commit, or for each set of requirements that commits install: nothing is installed twice, and
two commits can be counted at the same time."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from asv.build_cache import BuildCache
from asv.config import Config
from asv.plugins.virtualenv import Virtualenv
from asv.repo import Repo
from asv.util import UserError

from harness.errors import RepositoryError
from harness.overlay.git import Repository

_COMMANDS = ("build_command", "install_command", "uninstall_command")
_FILE = re.compile(r"\{build_dir\}/([\w./-]+\w)")
#: What stands in a command for the whole of a commit.
_WHOLE = re.compile(r"\{build_dir\}|\{wheel_file\}|\{build_cache_dir\}")


def installed_by(commands: dict[str, list[str] | None], repository: Repository, commit: str) -> str:
    """A short name for what asv's commands install of a commit: equal names for equal environments. Where the commands
    read nothing of it but some files, such as its requirements.txt, the name is made of what these hold; otherwise each
    commit has its own. Raises RepositoryError."""
    texts = commands.values()
    lines = [line for text in texts if text is not None for line in text]
    files = sorted({name for line in lines for name in _FILE.findall(line)})
    if any(text is None for text in texts) or any(_WHOLE.search(_FILE.sub("", line)) for line in lines):
        return commit[:12]
    held = [repository.blob(commit, name) for name in files]
    return hashlib.sha256(json.dumps([commands, held]).encode()).hexdigest()[:12]


class EnvironmentPerCommit(Virtualenv):  # type: ignore[misc]
    """A virtualenv for each commit, beside each other under one name: one series of results."""

    tool_name = "virtualenv-per-commit"
    _path: str

    def __init__(self, conf: Config, python: str, requirements: dict[str, str], tagged_env_vars: Any) -> None:
        self._conf = conf
        super().__init__(conf, python, requirements, tagged_env_vars)
        self._all = Path(self._path)

    def create(self) -> None:
        """Nothing yet: there is one for each commit, made when it comes to it."""

    def install_project(self, conf: Config, repo: Repo, commit_hash: str) -> None:
        """Go to the commit's own environment; make it, and install the commit, where that was not done yet."""
        commands = {name: getattr(conf, name) for name in _COMMANDS}
        try:
            name = installed_by(commands, Repository(Path(repo._path).resolve()), commit_hash)
        except RepositoryError as error:
            raise UserError(str(error)) from None
        self._path = str(self._all / name)
        os.makedirs(self._all, exist_ok=True)
        self._cache = BuildCache(self._conf, self._path)
        self._build_root = os.path.join(self._path, "project")
        self._global_env_vars["ASV_ENV_DIR"] = self._path
        self._is_setup = False
        super().create()
        super().install_project(conf, repo, commit_hash)
