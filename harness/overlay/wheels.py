"""The wheels whose binaries commits are counted on: the one that pip installed, or the nearest of several.

Several are named by HARNESS_WHEELS or `--wheels`: a folder of wheel files, or a text file with a wheel a line:

    2.13.0                          a release
    2026-06-01                      a nightly, by its date
    wheels/torch-2.13.0-....whl     a file, from that text file's folder on
    --index-url URL                 a line that begins with a dash goes to pip, for all the lines

What pip downloads and unpacks is kept in the user's cache folder. This runs in environments under test, which have pip
and torch and not the libraries that the command line uses.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import OverlayError
from harness.overlay import pytorch_files
from harness.overlay.git import Repository
from harness.system import cache, private

_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)")


@dataclasses.dataclass(frozen=True)
class _Build:
    """What a wheel says of itself: its version and the commit it was built from."""

    version: str
    commit: str

    def __str__(self) -> str:
        return f"torch {self.version} (commit {self.commit[:10]})"


@dataclasses.dataclass(frozen=True)
class Wheel(_Build):
    """An unpacked wheel; `folder` holds its packages."""

    folder: Path

    @property
    def metadata(self) -> Path | None:
        """The folder in which pip says what it installed."""
        return next(iter(sorted(self.folder.glob("torch-*.dist-info"))), None)

    def files(self) -> dict[str, str]:
        """Every file of its packages, bytecode left out; with the blob that git would make of it, or "" for what is
        native."""
        blobs = {}
        for package in pytorch_files.PACKAGES:
            for folder, folders, names in os.walk(self.folder / package):
                folders[:] = sorted(name for name in folders if name != "__pycache__")
                for name in sorted(names):
                    file = Path(folder, name)
                    path = str(file.relative_to(self.folder))
                    blobs[path] = "" if pytorch_files.belongs_to_binaries(path, None) else blob(file.read_bytes())
        return blobs


def blob(content: bytes) -> str:
    """git's name for a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def unpacked(folder: Path) -> Wheel:
    """The wheel whose packages lie in `folder`. Raises OverlayError."""
    file = folder / pytorch_files.VERSION_FILE
    try:
        text = file.read_text()
    except OSError as error:
        raise OverlayError(
            f"no wheel of torch in {folder} ({error.strerror}): "
            "install the pin with `pip install --requirement requirements.txt`"
        ) from None
    return Wheel(*_named(text, str(file)), folder)


def _named(text: str, place: str) -> tuple[str, str]:
    version = pytorch_files.version_and_commit(text)
    if version is None:
        raise OverlayError(f"{place} names no commit (git_version): only a wheel built from a commit can be laid over")
    return version


# Several


@dataclasses.dataclass(frozen=True)
class File(_Build):
    """A wheel as a file."""

    path: Path

    def unpack(self) -> Wheel:
        """Unpack it, once, into the user's cache folder. Raises OverlayError."""
        facts = self.path.stat()
        key = cache.key([self.path.name, self.commit, str(facts.st_size), str(facts.st_mtime_ns)])
        folder = _kept("wheels", key)
        if not folder.exists():
            private.make(folder.parent)
            new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
            try:
                # Not compiled: the bytecode would name the temporary folder.
                options = ("--no-deps", "--no-index", "--no-compile", "--quiet")
                _pip("install", *options, "--target", str(new), str(self.path))
                new.rename(folder)
            except OSError:
                if not folder.exists():  # else somebody else was faster
                    raise
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return unpacked(folder)


def named(where: Path) -> list[File]:
    """The wheels of a folder, or those that a text file lists, downloaded if need be. Raises OverlayError."""
    if where.is_dir():
        paths = sorted(where.glob("torch-*.whl"))
    elif where.is_file():
        paths = _listed(where)
    else:
        raise OverlayError(f"{where} is neither a folder of wheels nor a text file that lists some")
    if not paths:
        raise OverlayError(f"no wheel of torch in {where}: expected files torch-*.whl, or lines that name versions")
    return [_look_into(path) for path in paths]


def _look_into(path: Path) -> File:
    try:
        with zipfile.ZipFile(path) as file:
            text = file.read(pytorch_files.VERSION_FILE).decode()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise OverlayError(f"{path} is no wheel of torch: {error}") from None
    return File(*_named(text, f"{path}:{pytorch_files.VERSION_FILE}"), path)


def _listed(where: Path) -> list[Path]:
    lines = [line.partition("#")[0].strip() for line in where.read_text().splitlines()]
    options = [word for line in lines if line.startswith("-") for word in line.split()]
    options = [str(where.parent / word) if (where.parent / word).exists() else word for word in options]
    versions = functools.cache(lambda: _versions(options))  # pip is asked once, if at all
    wheels = []
    for line in lines:
        if line.endswith(".whl"):
            wheels.append(where.parent / line)
        elif line and not line.startswith("-"):
            wheels.append(_downloaded(line, options, versions))
    return wheels


def _kept(*names: str) -> Path:
    """A folder in the user's cache folder. A wheel has no other place: where somebody else may have changed what lies
    there, OverlayError."""
    folder = cache.folder().joinpath(*names)
    reason = cache.doubt(folder)
    if reason is not None:
        raise OverlayError(reason)
    return folder


def _downloaded(name: str, options: Sequence[str], versions: Callable[[], list[str]]) -> Path:
    """The file of a version or a nightly's date, from the user's cache folder or from where pip finds it."""
    folder = _kept("downloads", cache.key([name, sys.version, *options]))
    known = sorted(folder.glob("torch-*.whl"))
    if known:
        return known[0]
    date = _DATE.fullmatch(name)
    version = _nightly("".join(date.groups()), versions()) if date else name
    with tempfile.TemporaryDirectory(prefix="harness-wheel-") as new:
        _pip("download", "--no-deps", "--only-binary=:all:", "--quiet", "--dest", new, *options, f"torch=={version}")
        (file,) = Path(new).glob("torch-*.whl")
        private.make(folder)
        shutil.move(file, folder / file.name)
    return folder / file.name


def _nightly(date: str, versions: Sequence[str]) -> str:
    """The one of these versions that was built on a day, such as 20260601."""
    for version in versions:
        if re.search(rf"\.dev{date}\b", version):
            return version
    raise OverlayError(f"no nightly of torch of {date}; there are: {', '.join(versions) or 'none'}")


def _versions(options: Sequence[str]) -> list[str]:
    """The versions of torch that pip finds, newest first. Raises OverlayError.

    pip looks where it would download from: in the indices and folders of its own configuration and of `options`, with
    the credentials it has for them. It is asked, not an index, since that of PyTorch's nightlies speaks no JSON.
    """
    try:
        versions: list[str] = json.loads(_pip("index", "versions", "torch", "--pre", "--json", *options))["versions"]
    except OverlayError as error:
        if "no such option: --json" not in str(error):
            raise
        raise OverlayError(
            "to find a nightly by its date takes pip 25.1 or newer, which tells versions as JSON: "
            f"`{sys.executable} -m pip install --upgrade pip`, or name the nightly by its version"
        ) from None
    return versions


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    result: subprocess.CompletedProcess[str] = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise OverlayError(f"`pip {' '.join(arguments)}` failed:\n{result.stderr.strip()[-2000:]}")
    return result.stdout


def nearest(repository: Repository, commit: str, files: Sequence[File]) -> File:
    """The wheel among `files` that is older than `commit` and nearest to it: which lacks the fewest of its commits.

    Older is also one from a release branch that parted from `commit`'s line before `commit`. An only one is taken
    whatever its age, as the pin is. Raises OverlayError.
    """
    if len(files) == 1:
        return files[0]
    for file in files:
        if not repository.has(file.commit) or not repository.are_related(file.commit, commit):
            raise OverlayError(
                f"which wheel is nearest cannot be told: how {file} and commit {commit[:10]} are related is not in the "
                f"history of {repository.path}; `git fetch --unshallow`, or `git fetch origin {file.commit}`, brings it"
            )
    older = [file for file in files if file.commit == commit or not repository.is_ancestor(commit, file.commit)]
    if not older:
        raise OverlayError(
            f"no wheel is as old as commit {commit[:10]}; there are {', '.join(map(str, files))}: name an older one"
        )
    return min(older, key=lambda file: repository.distance(file.commit, commit))
