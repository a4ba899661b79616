"""asv's git, less submodules: PyTorch has gigabytes of them, and nothing here is built.

asv asks for them recursively whenever it checks a commit out. A configuration that names this module in `plugins`, and
`dvcs` as below, gets a repository that never does, whatever the user's own git configuration says; that one is neither
read nor changed for it.
"""

from __future__ import annotations

import os

from asv.plugins.git import Git
from asv.util import UserError

from harness.asv_plugin.private_parts import ChangedGitCommands


class GitWithoutSubmodules(ChangedGitCommands, Git):  # type: ignore[misc]
    """A local clone, or the mirror of a remote one that asv makes in a folder named by `project`."""

    dvcs = "git-without-submodules"

    def __init__(self, url: str, mirror_path: str) -> None:
        if not self.is_local_repo(url) and ":" not in url:
            raise UserError(
                f"there is no git clone at {url!r} (from {os.getcwd()}): clone PyTorch there, "
                "or set `repo` in the configuration to where your clone is"
            )
        super().__init__(url, mirror_path)

    @classmethod
    def url_match(cls, url: str) -> bool:
        return False  # only by its name, so that other configurations get asv's own

    def changed(self, arguments: list[str]) -> list[str] | None:
        if "submodule" in arguments:
            return None
        others = [argument for argument in arguments if argument != "--recursive"]
        return ["-c", "submodule.recurse=false", *others]
