"""What is compared: two commits, or two environments with any torch each.

A commit of PyTorch is its Python over a wheel's binaries. One of any other repository, such as this one with its pins
of torch, is what asv's commands install of it, in an environment of its own.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.asv_plugin.results import AsvProject
from harness.errors import RepositoryError, StartError
from harness.overlay import pytorch_files
from harness.overlay.git import Repository
from harness.system import asv_folder, interpreter

BASE, HEAD = "base", "head"
_FILES_SHOWN = 5
#: By these files a commit of this suite is known.
_THIS_SUITE = ("asv.conf.json", "harness/__init__.py")
_SAME = "both sides install the same, and this suite counts both: a difference would be noise"
_NOTHING = "nothing is to be compared; name an older commit, such as HEAD~1"


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the code of a side is from: the `project` as its configuration calls it, and the `repository` where it is
    hosted. `commit` is the one that is counted, or on which its edits (`edited`) were made. `version` is that of an
    environment's torch. What is not known is ""."""

    project: str
    repository: str = ""
    commit: str = ""
    edited: bool = False
    version: str = ""


@dataclasses.dataclass(frozen=True)
class Side:
    """One side: the interpreter that counts it, and what people call it. `commit` is its hash; "" for an environment
    and for expected counts. `binaries` are those that its Python lay over, None where it lay over none. `origin` is
    None for expected counts."""

    name: str
    python: str = ""
    commit: str = ""
    binaries: str | None = None
    origin: Origin | None = None


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is counted, by the side's name, and where it is kept: in asv's folder `keep`, under the name that
    `environment_name` gives for a counter. `clone` is the repository whose Python is laid over a wheel, None where each
    side has an environment of its own. `pins`: each commit names what is installed, so that the packages are what is
    compared. `remarks` are to be said with the answer. `wheel_for` is the commit that chooses the wheel for all sides:
    on wheels of their own, what the binaries changed would be taken for a change of the Python."""

    sides: Mapping[str, Side]
    suite: Path
    keep: Path
    environment_name: Callable[[str], str]
    clone: Path | None = None
    pins: bool = False
    remarks: tuple[str, ...] = ()
    wheel_for: str = ""


def of_commits(config: Path, clone: Path | None, base: str | None, head: str | None) -> Subject:
    """The commits `base` (None: it is not counted) and `head` (None: the working tree) of `clone` (None: of the
    repository that the configuration names). Raises StartError, RepositoryError."""
    project = AsvProject(config, clone)
    repository = Repository(project.repository)
    commits: dict[str, tuple[str, str]] = {}
    if base is not None:
        commits[BASE] = _named(repository, base)
    commits[HEAD] = _working_tree(repository) if head is None else _named(repository, head)
    if BASE in commits and commits[BASE][0] == commits[HEAD][0]:
        short = commits[HEAD][0][:10]
        same = (
            f"the working tree is {base} ({short}), without edits" if head is None else f"{base} and {head} are {short}"
        )
        raise RepositoryError(f"{same}: {_NOTHING}")
    hashes = [commit for commit, _ in commits.values()]
    if project.lays_over:
        _refuse_this_suite(repository, hashes[-1])
        clone, remarks = repository.path, tuple(_out_of_sight(repository, hashes))
        pythons = dict.fromkeys(hashes, project.python(commits[HEAD][0]))
    else:
        clone, pythons = None, {commit: project.python_with(commit) for commit in hashes}
        remarks = (_SAME,) if len(hashes) > 1 and len(set(pythons.values())) == 1 else ()
        new = [] if head is not None else [name for name in repository.untracked() if name != f"{asv_folder.NAME}/"]
        remarks += (f"not in head: files that git does not know ({_listed(new)}); `git add` them",) if new else ()
    hosted = repository.origin or project.name

    def side(commit: str, text: str, based_on: str) -> Side:
        origin = Origin(project.name, hosted, based_on, edited=commit != based_on)
        return Side(text, pythons[commit], commit, origin=origin)

    bases = {BASE: hashes[0], HEAD: repository.commit("HEAD") if head is None else hashes[-1]}
    return Subject(
        {name: side(commit, text, bases[name]) for name, (commit, text) in commits.items()},
        project.suite,
        project.keep,
        project.environment_name,
        clone,
        not project.lays_over,
        remarks,
        older(repository, hashes[0], hashes[-1]) if project.lays_over else "",
    )


def _named(repository: Repository, name: str) -> tuple[str, str]:
    commit = repository.commit(name)
    return commit, f"{commit[:10]}  {repository.subject(commit)}"


def _working_tree(repository: Repository) -> tuple[str, str]:
    commit, at = repository.snapshot(pytorch_files.PACKAGES), repository.commit("HEAD")
    return commit, f"the working tree: {at[:10]} {'with its edits' if commit != at else 'without edits'}"


def older(repository: Repository, base: str, head: str) -> str:
    """Of two commits the base, but for a head that the base contains. A wheel that is older than this one is older than
    both."""
    return head if repository.is_ancestor(head, base) else base


def _refuse_this_suite(repository: Repository, commit: str) -> None:
    """Raises RepositoryError where the commit is one of this suite, and not of PyTorch."""
    is_ours = repository.files(commit, _THIS_SUITE).keys() == set(_THIS_SUITE)
    if is_ours and not repository.files(commit, pytorch_files.PACKAGES):
        raise RepositoryError(
            f"{repository.path} holds this suite, and no Python of torch: with `--config asv.conf.json` its pins of "
            "torch are compared; else name a clone of PyTorch with --repo"
        )


def _out_of_sight(repository: Repository, commits: Sequence[str]) -> Iterator[str]:
    """That the sides differ in what is not counted: native sources, which would have to be built."""
    native = pytorch_files.native(repository.changed(*commits), ()) if len(commits) == 2 else []
    if native:
        yield f"out of sight: native files differ between base and head, which no count here shows ({_listed(native)})"


def _listed(files: Sequence[str]) -> str:
    more = f" and {len(files) - _FILES_SHOWN} more" if len(files) > _FILES_SHOWN else ""
    return f"{', '.join(files[:_FILES_SHOWN])}{more}"


def of_environments(pythons: Sequence[str], suite: Path, folder: Path) -> Subject:
    """What two interpreters have installed, counted by the benchmarks in `suite`; profiles are kept in `folder`. Raises
    StartError."""
    sides = {name: _environment(python) for name, python in zip((BASE, HEAD), pythons, strict=True)}
    if sides[BASE].python == sides[HEAD].python:
        raise StartError(f"{sides[BASE].python} is named twice: nothing is to be compared")
    return Subject(sides, suite.resolve(), folder, lambda counter: counter)


def _environment(python: str) -> Side:
    """The side that an interpreter is. People call it by its torch and by where it is."""
    path = shutil.which(python)
    if path is None:
        raise StartError(
            f"--environment {python!r} is no interpreter that can be run: name one, such as .venv/bin/python"
        )
    path = os.path.abspath(path)  # links stay: by its own place an interpreter tells its environment
    running, complaint = _asked(path, "import platform; print(platform.python_version())")
    if not running:
        raise StartError(f"--environment {python!r} is no Python that runs ({complaint}): name an interpreter")
    refused = interpreter.refused(running[0])
    if refused is not None:
        raise StartError(f"--environment {python!r} is Python {running[0]}: {refused}")
    statement = "import torch; print(torch.__version__, getattr(torch.version, 'git_version', 'of no known commit'))"
    words, complaint = _asked(path, statement)
    if len(words) < 2:
        raise StartError(f"the environment of {path} has no torch: {complaint}")
    commit = words[1] if len(words) == 2 else ""
    return Side(
        f"torch {words[0]} ({words[1][:10]}) in {path}", path, origin=Origin("pytorch", commit=commit, version=words[0])
    )


def _asked(python: str, statement: str) -> tuple[list[str], str]:
    """The words that a statement prints in another interpreter, none where it fails, and the last line of its
    complaint."""
    try:
        answer = subprocess.run([python, "-c", statement], capture_output=True, text=True, errors="replace", cwd="/")
    except OSError as error:
        return [], str(error)
    return answer.stdout.split() if answer.returncode == 0 else [], answer.stderr.strip().rpartition("\n")[2]
