"""Install a commit's Python into site-packages, or into a temporary tree for a bisection. tree.py makes the trees.

<environment>/overlay/wheel/...     the packages that pip installed, set aside by renaming
<environment>/overlay/tree.json     which tree site-packages hold; absent while they are being changed
<environment>/overlay/trees/...     temporary trees, which a bisection counts
<environment>/overlay/bytecode/     compiled files, by content and name
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HarnessError, OverlayError
from harness.overlay import pytorch_files, tree, wheels
from harness.overlay.git import Repository
from harness.overlay.tree import METADATA, RECORD, SITE, OverlayRecord
from harness.overlay.wheels import Wheel


def _home() -> Path:
    return Path(sys.prefix, "overlay")


def _site() -> Path:
    return Path(sysconfig.get_path("purelib"))


def make(repository: Repository, commit: str, wheel: Wheel, folder: Path) -> OverlayRecord:
    """Make a tree for a while in `folder`: its packages in `site`, and its record. Raises OverlayError,
    RepositoryError."""
    (folder / SITE).mkdir(parents=True, exist_ok=True)
    record = tree.make(repository, commit, wheel, folder / SITE, _compiled())
    tree.write_record(folder, record)
    return record


def _compiled() -> Path:
    return _home() / "bytecode"


@contextlib.contextmanager
def trees() -> Iterator[Path]:
    """An empty folder for trees of a while, whose path is always the same, removed at the end. Raises OverlayError."""
    folder = _home() / "trees"
    folder.parent.mkdir(exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OverlayError(
                f"another check or bisection runs in the environment {sys.prefix}: wait for the end of that"
            ) from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class TreeFolders:
    """Folders for trees: few, always the same names, each lent to one user at a time; a tree is made of the last."""

    def __init__(self, root: Path) -> None:
        self._free = [root / str(number) for number in range(99, -1, -1)]
        self._lock = threading.Lock()

    def lend(self) -> Path:
        with self._lock:
            place = self._free.pop()
        place.mkdir(exist_ok=True)
        return place

    def give_back(self, place: Path) -> None:
        with self._lock:
            self._free.append(place)


def installed() -> Path | None:
    """The folder of the record of the tree in this environment's site-packages; None if there is none. Raises
    OverlayError where one was not finished."""
    if not (_home() / "wheel").exists():
        return None
    if not (_home() / RECORD).exists():
        raise OverlayError(
            f"laying a commit's Python into {_site()} was interrupted: run `{sys.executable} -m harness overlay` again"
        )
    return _home()


def pinned() -> Wheel:
    """The wheel that pip installed into this environment, wherever it lies now. Raises OverlayError."""
    aside = _home() / "wheel"
    return wheels.unpacked(aside if (aside / "torch").exists() else _site())


def choose(repository: Repository, commit: str, where: Path | None) -> Wheel:
    """The wheel to lay `commit` over: the nearest older one of those in `where`, else the one that pip installed."""
    return pinned() if where is None else wheels.nearest(repository, commit, wheels.named(where)).unpack()


def lay(repository: Repository, commit: str, where: Path | None = None) -> OverlayRecord:
    """Make site-packages the tree of `commit` (a full hash). Where that is ended half-way `installed` tells, and laying
    again mends it. Raises OverlayError, RepositoryError."""
    with _locked():
        wheel = choose(repository, commit, where)
        _set_aside()
        (_home() / RECORD).unlink(missing_ok=True)
        wheel = pinned() if wheel.folder == _site() else wheel
        record = tree.make(repository, commit, wheel, _site(), _compiled())
        tree.write_record(_home(), record)
        return record


def remove() -> bool:
    """Put the wheel that pip installed back into site-packages; False if it lies there. Raises OverlayError."""
    with _locked():
        aside = _home() / "wheel"
        if not aside.exists():
            return False
        _clear()
        for entry in sorted(aside.iterdir(), key=_torch_last, reverse=True):
            entry.rename(_site() / entry.name)
        aside.rmdir()
        return True


def suits(requirements: Path) -> bool:
    """Whether pip, asked to install these requirements, would leave what lies in site-packages alone: it is a tree on
    the wheel that pip installed, and that is the one they pin."""
    try:
        folder = installed()
        record = None if folder is None else tree.record_in(folder)
        version = pinned().version
        pin = _pin(requirements.read_text())
    except (HarnessError, OSError):
        return False
    if record is None or pin is None:
        return False
    return record.version == version and pin in (version, version.partition("+")[0])


def _pin(requirements: str) -> str | None:
    """The version of torch that these pin for this Python."""
    from packaging.requirements import Requirement  # not above: a bare Python is to hear why it is refused

    for line in re.findall(r"^torch==[^#\n]+", requirements, re.MULTILINE):
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate():
            return str(pin.specifier).removeprefix("==")
    return None


def _set_aside() -> None:
    """Rename what pip installed out of site-packages, torch itself last: while that is not aside, all that lies in
    site-packages is still pip's."""
    aside = _home() / "wheel"
    if (aside / "torch").exists():
        return
    wheel = wheels.unpacked(_site())
    aside.mkdir(exist_ok=True)
    entries = [_site() / package for package in pytorch_files.PACKAGES if (_site() / package).exists()]
    for entry in sorted([*entries, *([wheel.metadata] if wheel.metadata else [])], key=_torch_last):
        entry.rename(aside / entry.name)


def _torch_last(entry: Path) -> bool:
    return entry.name == "torch"


def _clear() -> None:
    """Take the tree out of site-packages, if one is there: only what stands in the place of something set aside."""
    (_home() / RECORD).unlink(missing_ok=True)
    aside = _home() / "wheel"
    links = [path for path in _site().iterdir() if METADATA.fullmatch(path.name) and path.is_symlink()]
    for path in [*links, *(_site() / name for name in pytorch_files.PACKAGES if (aside / name).exists())]:
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One at a time: two of these would mix their trees."""
    _home().mkdir(exist_ok=True)
    with open(_home() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
