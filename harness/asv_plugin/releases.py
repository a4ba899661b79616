"""Releases as asv's commits: a repository that holds one commit a release, and an environment for each of them.

A configuration that names this module in `plugins`, a file of releases as its `repo`, and `dvcs` and `environment_type`
as below, runs any of asv's commands over releases: v2.14.0 is a tag, `asv compare v2.13.0 v2.14.0` works, and graphs go
from release to release. The repository is made of the file alone: the same hashes everywhere, so that results can be
put together. An environment stays as pip left it, so going back to a release installs nothing.
"""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from asv.plugins.git import Git
from asv.util import UserError
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from harness.system import asv_folder

#: Beside the file of releases.
_FOLDER = Path(asv_folder.NAME, "releases", "repository.git")


def read(file: Path) -> list[tuple[str, datetime]]:
    """The releases in `file`, oldest first: version and day. Raises UserError."""
    releases: list[tuple[str, datetime]] = []
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise UserError(f"the file of releases {file} cannot be read ({error.strerror}): `repo` names it") from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            version, day = line.split()
            Version(version)
            date = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise UserError(
                f"{file}, line {number} is {line!r}: expected a version and a day, as 2.13.0 2026-07-08"
            ) from None
        if releases and date <= releases[-1][1]:
            raise UserError(f"{file}, line {number}: {version} is not later than {releases[-1][0]}: oldest first")
        releases.append((version, date))
    if not releases:
        raise UserError(f"the file of releases {file} names none: expected lines as 2.13.0 2026-07-08")
    return releases


def make(file: Path, folder: Path) -> None:
    """Make the bare repository `folder` of the releases in `file`: a commit and a tag each, whose requirements.txt pins
    the registry's build and no other (a pin with two equals signs would take a local one that is called 2.13.0+cpu)."""
    story = ["reset refs/heads/main"]
    tags = []
    others = _pins_beside_torch(file.with_name("requirements.txt"))
    for version, date in read(file):
        story += ["commit refs/heads/main", f"committer releases <releases> {int(date.timestamp())} +0000"]
        story += _data(f"torch {version}")
        story += ["M 644 inline requirements.txt", *_data(f"torch==={version}\n{others}")]
        story += [f"reset refs/tags/v{version}", "from refs/heads/main", ""]
        tags.append(f"v{version}")
    _git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    _git(folder, "fast-import", "--quiet", "--force", input="\n".join(story) + "\n")
    for tag in _git(folder, "tag").split():
        if tag not in tags:  # it left the file
            _git(folder, "tag", "--delete", tag)


def _pins_beside_torch(file: Path) -> str:
    """What else the suite wants of an environment: the same for all releases. Nothing where there is no such file."""
    lines = file.read_text().splitlines() if file.exists() else []
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#") and _names(line) != "torch")


def _names(line: str) -> str | None:
    """The package that a line of requirements names; None for an option of pip's."""
    try:
        return canonicalize_name(Requirement(re.sub(r"(^|\s+)#.*", "", line)).name)
    except InvalidRequirement:
        return None


def _git(folder: Path, *arguments: str, input: str = "") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    answer = subprocess.run(["git", "-C", str(folder), *arguments], input=input, capture_output=True, text=True)
    if answer.returncode != 0:
        raise UserError(f"no repository of releases could be made in {folder}: {answer.stderr.strip()}")
    return answer.stdout


def _data(text: str) -> list[str]:
    return [f"data {len(text.encode())}", text]


class Releases(Git):  # type: ignore[misc]
    """asv's git over the repository made of a file of releases."""

    dvcs = "releases"

    def __init__(self, url: str, mirror_path: str) -> None:
        file = Path(url).resolve()
        folder = file.parent / _FOLDER
        make(file, folder)
        super().__init__(str(folder), mirror_path)

    @classmethod
    def url_match(cls, url: str) -> bool:
        return False  # only by its name
