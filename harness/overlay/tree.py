"""A tree: the Python of one commit over the binaries of a wheel, made of copies and links.

It holds the packages as that commit's wheel would, on Python's side: the commit's modules and data are copies, what the
build generated is the wheel's, and the binaries are links to the wheel's, which is never written to. A tree is made out
of the one that lies there before: only what differs is written.

Every module comes with its bytecode, made of just that content. A file's time stamp, by which Python tells whether
bytecode is stale, is taken from a hash of its content, so that no two contents share one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import os
import py_compile
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from harness.errors import OverlayError
from harness.overlay import pytorch_files, wheels
from harness.overlay.git import Repository
from harness.overlay.wheels import Wheel
from harness.system import cache, pyc, whole

#: In the folder of a tree: its packages.
SITE = "site"
#: In a tree's folder: which tree it is.
RECORD = "tree.json"
METADATA = re.compile(r"torch-[^-]*\.dist-info")
_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class OverlayRecord:
    """Which Python lies over which binaries. `native` are the native files that differ between their commits, None if
    that cannot be told."""

    commit: str
    version: str
    wheel_commit: str
    native: tuple[str, ...] | None

    @property
    def binaries(self) -> str:
        """The binaries, and how near they are."""
        return f"{self._build}: {self._difference}"

    @property
    def _build(self) -> str:
        return f"torch {self.version} (commit {self.wheel_commit[:10]})"

    @property
    def suspects(self) -> str:
        """What belongs beside a failure: how near the binaries are may be its reason. That this cannot be told is no
        reason, and is said where the tree is told, once."""
        return f"the Python of commit {self.commit[:10]} on the binaries of {self._near}"

    @property
    def _near(self) -> str:
        return self._build if self.native is None else self.binaries

    @property
    def _difference(self) -> str:
        if self.native is None:
            return (
                "whether native files differ cannot be told, since the history at hand does not reach that commit; "
                f"`git fetch origin {self.wheel_commit}` brings it"
            )
        if len(self.native) < 2:
            return f"1 native file differs ({self.native[0]})" if self.native else "no native file differs"
        more = f" and {len(self.native) - _SHOWN} more" if len(self.native) > _SHOWN else ""
        return f"{len(self.native)} native files differ ({', '.join(self.native[:_SHOWN])}{more})"

    @property
    def what(self) -> str:
        return f"the Python of commit {self.commit[:10]} on the binaries of {self.binaries}"

    @property
    def does_not_import(self) -> str:
        return f"the Python of commit {self.commit[:10]} does not import on the binaries of {self._near}"

    def __str__(self) -> str:
        meaning = {True: "the count is the commit's", False: "the count is of its Python on that wheel's binaries"}
        means = "" if self.native is None else f", so {meaning[not self.native]}"
        return f"{self.what}{means}"

    def facts(self) -> dict[str, str]:
        """What it adds to a count's fingerprint."""
        return {"python of commit": self.commit, "binaries": self.binaries}


def write_record(folder: Path, record: OverlayRecord) -> None:
    """Say what tree it is that belongs to `folder`."""
    (folder / RECORD).write_text(json.dumps(dataclasses.asdict(record), indent=1) + "\n")


def record_in(folder: Path) -> OverlayRecord:
    """The record of the tree that belongs to `folder`. Raises OverlayError."""
    try:
        fields = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError) as error:
        raise OverlayError(f"{folder} holds no finished overlay ({error}): lay the commit's Python again") from None
    native = fields.pop("native")
    return OverlayRecord(native=None if native is None else tuple(native), **fields)


def laid_by(repository: Repository, commit: str, shipped: Iterable[str]) -> dict[str, str]:
    """The files that `commit` lays over a wheel that ships these, with their blobs."""
    files = repository.files(commit, pytorch_files.PACKAGES)
    laid = {path: files[path] for path in pytorch_files.laid(files, shipped)}
    if not laid:
        raise OverlayError(
            f"commit {commit[:10]} of {repository.path} holds no Python of torch: is it a clone of PyTorch?"
        )
    return laid


def digest(laid: dict[str, str], wheel: Wheel) -> str:
    """Equal for equal trees."""
    text = json.dumps([sorted(laid.items()), wheel.version, wheel.commit])
    return hashlib.sha256(text.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a tree is made of: the blobs that a commit lays, by path, and the files that the wheel keeps."""

    laid: dict[str, str]
    kept: tuple[str, ...]
    record: OverlayRecord


def plan(repository: Repository, commit: str, wheel: Wheel, shipped: dict[str, str]) -> Plan:
    """What to make of `commit` (a full hash) on `wheel`, whose `files()` are `shipped`. Raises OverlayError,
    RepositoryError."""
    laid = laid_by(repository, commit, shipped)
    known = repository.has(wheel.commit)
    tracked = repository.files(wheel.commit, pytorch_files.PACKAGES).keys() if known else None
    kept = tuple(path for path in shipped if path not in laid and pytorch_files.belongs_to_binaries(path, tracked))
    native = tuple(pytorch_files.native(repository.changed(wheel.commit, commit), laid)) if known else None
    return Plan(laid, kept, OverlayRecord(commit, wheel.version, wheel.commit, native))


def make(repository: Repository, commit: str, wheel: Wheel, folder: Path, compiled: Path) -> OverlayRecord:
    """Make the tree of `commit` (a full hash) on `wheel` in `folder`, out of what already lies there; what does not
    belong to it is removed. Bytecode is kept in the folder `compiled`. Raises OverlayError, RepositoryError."""
    shipped = wheel.files()
    planned = plan(repository, commit, wheel, shipped)
    try:
        _shape(str(folder), repository, planned, wheel, shipped, compiled)
    except OSError as error:
        raise OverlayError(f"the Python of commit {commit[:10]} cannot be laid in {folder}: {error}") from None
    return planned.record


def _shape(
    folder: str, repository: Repository, plan: Plan, wheel: Wheel, shipped: dict[str, str], compiled: Path
) -> None:
    kept_modules = {
        path: shipped[path] or wheels.blob((wheel.folder / path).read_bytes()) for path in _modules(plan.kept)
    }
    ours = {**plan.laid, **kept_modules}
    links = _links(plan, ours, wheel, shipped)
    files, folders = _present(folder)
    bytecode = {_bytecode_of(path) for path in _modules(ours)}
    right = {path for path, present in files.items() if _is_right(path, present, ours, links)}
    for path in files.keys() - right - bytecode:
        os.unlink(f"{folder}/{path}")
    needed = {parent for path in (*ours, *links, *bytecode) for parent in _parents(path)}
    for path in sorted(folders - needed, reverse=True):
        os.rmdir(f"{folder}/{path}")
    for path in sorted(needed - folders):
        os.mkdir(f"{folder}/{path}")
    for path in links.keys() - right:
        os.symlink(links[path], f"{folder}/{path}")

    missing = sorted(ours.keys() - right)
    foreign = [path for path in missing if shipped.get(path) != ours[path] and path not in kept_modules]
    contents = dict(zip(foreign, repository.contents(ours[path] for path in foreign), strict=True))
    for path in missing:
        _write(
            f"{folder}/{path}", contents[path] if path in contents else (wheel.folder / path).read_bytes(), ours[path]
        )
    _bring_bytecode(folder, wheel, {path: ours[path] for path in _modules(ours)}, shipped, compiled)


def _modules(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if path.endswith(".py")]


def _links(plan: Plan, ours: dict[str, str], wheel: Wheel, shipped: Iterable[str]) -> dict[str, str]:
    """What is the wheel's, and where it lies: files, or the largest folders in which all is the wheel's."""
    kept = set(plan.kept)
    mixed = {parent for path in ours for parent in _parents(path)}
    mixed |= {parent for path in shipped if path not in ours and path not in kept for parent in _parents(path)}
    targets = {}
    for path in plan.kept:
        if path not in ours:
            whole = next((parent for parent in _parents(path) if parent not in mixed), path)
            targets[whole] = str(wheel.folder / whole)
    if wheel.metadata is not None:
        targets[wheel.metadata.name] = str(wheel.metadata)
    return targets


def _parents(path: str) -> list[str]:
    """The folders that a path lies in, outermost first."""
    return [path[:at] for at, letter in enumerate(path) if letter == "/"]


def _present(folder: str) -> tuple[dict[str, str | os.stat_result], set[str]]:
    """What lies in a tree's folder: where each link leads and what each file is; and the folders."""
    files: dict[str, str | os.stat_result] = {}
    folders: set[str] = set()
    waiting = [name for name in os.listdir(folder) if name in pytorch_files.PACKAGES or METADATA.fullmatch(name)]
    while waiting:
        path = waiting.pop()
        place = f"{folder}/{path}"
        if os.path.islink(place):
            files[path] = os.readlink(place)
        elif os.path.isdir(place):
            folders.add(path)
            waiting += [f"{path}/{name}" for name in os.listdir(place)]
        else:
            files[path] = os.stat(place)
    return files, folders


def _is_right(path: str, present: str | os.stat_result, ours: dict[str, str], links: dict[str, str]) -> bool:
    if isinstance(present, str):
        return links.get(path) == present
    return path in ours and int(present.st_mtime) == _stamp(ours[path])


def _stamp(blob: str) -> int:
    """A file's time stamp, by which Python tells that bytecode is stale, and we that a file is not what was laid."""
    return int(blob[:8], 16) >> 1


def _write(file: str, content: bytes, blob: str) -> None:
    with open(file, "wb") as target:
        target.write(content)
    os.utime(file, (_stamp(blob), _stamp(blob)))


# Bytecode


def _bytecode_of(path: str) -> str:
    return importlib.util.cache_from_source(path)


def _bring_bytecode(
    folder: str, wheel: Wheel, modules: dict[str, str], shipped: dict[str, str], compiled: Path
) -> None:
    """Give every module its bytecode: the wheel's where the content is the wheel's, else from what was compiled
    earlier, else compiled now. A module that does not compile gets none, and says why when it is imported."""
    compiled.mkdir(parents=True, exist_ok=True)
    site = Path(sysconfig.get_path("purelib"))
    missing = []
    for path, blob in modules.items():
        size = os.stat(f"{folder}/{path}").st_size
        target = f"{folder}/{_bytecode_of(path)}"
        header = pyc.header(_stamp(blob), size)
        if pyc.begins_with(target, header):
            continue
        theirs = wheel.folder / _bytecode_of(path)
        # The name is in bytecode too, as that of a file in site-packages.
        kept = compiled / cache.key([sys.version, path, blob])
        if theirs.exists() and (shipped[path] or blob) == blob:
            _write_bytecode(target, header, theirs.read_bytes()[pyc.HEADER_BYTES :])
        elif kept.exists():
            _write_bytecode(target, header, kept.read_bytes()[pyc.HEADER_BYTES :])
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target)
            missing.append((f"{folder}/{path}", target, str(site / path), str(kept)))
    if len(missing) > 50:
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(_compile, missing, chunksize=20))
    else:
        for job in missing:
            _compile(job)


def _write_bytecode(file: str, header: bytes, code: bytes) -> None:
    """The header last: one that is there vouches for what follows."""
    with open(file, "wb") as target:
        target.seek(len(header))
        target.write(code)
        target.flush()
        target.seek(0)
        target.write(header)


def _compile(job: tuple[str, str, str, str]) -> None:
    source, target, name, kept = job
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if py_compile.compile(source, cfile=target, dfile=name, quiet=2) is None:
            return
    # Whole: the two sides of a check are threads of one process, and often compile the same module.
    whole.write(Path(kept), Path(target).read_bytes())
