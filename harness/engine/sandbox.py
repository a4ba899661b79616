"""The scratch folder: a small world of fixed names, the same for every run.

Where things lie in memory depends on how long the paths are that a process meets: the file name in every code object,
the environment, the command line. So the server sees nothing by its real name. Its site-packages are a folder of links
to the environment's, its harness and suite are copies (without bytecode, so that the first run is like the second), and
all of it lies under one name, however often it is made: even the letters of a path count, since paths are hashed. A
suite checked out elsewhere, or in an environment elsewhere, gets the same counts. Only the interpreter's own library
keeps its path. Two runs at once take two slots, whose names differ in one digit. Every path is as long.

    <temporary folder>/harness-<user>-<slot>-X.../
        site/       links to every entry of the environment's site-packages; copies of the suite and of
                    the part of the harness that runs inside; the extension
        bytecode/   links to that of the environment's packages
        home/       an empty HOME
        out/, log/  what callgrind and valgrind write, by pid
        built/      what cases need built, by workload and need
        cache/      the cache folder of that, where the user's own is not used
        valgrind/   links to valgrind's own files and the readable counter's tool, where that counts
        work/...    one empty folder a worker, made before it is born, named by its case
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import site
import stat
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness.engine import bytecode, extension
from harness.errors import StartError, SuiteError
from harness.inside.rules import Rules
from harness.system import asv_folder, private

_SLOTS = 100
#: How long the path of a scratch folder is; where the temporary folder's is longer, a multiple of it.
_PATH_BYTES = 64
_PATIENCE_SECONDS = 3.0
_OURS = ("harness", "_client_requests")
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", asv_folder.NAME, asv_folder.NOISE)
_NOT_INSIDE = shutil.ignore_patterns("__pycache__", "*.pyc", "*.c", "*.h", "*.cpp", "door.py")
_HARNESS = Path(__file__).parent.parent
_NO_RULES = Rules()
#: The modules that a server shares with those who ask it.
SHARED = ("errors.py", "protocol.py")


class Sandbox:
    """One scratch folder. A lock file beside it is held by the process that made it, so that leftovers can be told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = root / "site"
        self.bytecode = root / "bytecode"
        self.names = root / "names"
        self.home = root / "home"
        self.out = root / "out"
        self.log = root / "log"
        self.work = root / "work"
        self.built = root / "built"
        self.cache = root / "cache"

    @classmethod
    @contextlib.contextmanager
    def make(cls) -> Iterator[Sandbox]:
        """A new scratch folder, removed at the end, in the first slot that nobody holds.

        What a run that was killed has left in that slot is removed first.
        """
        with contextlib.ExitStack() as stack:
            root = _take_slot(stack)
            try:
                sandbox = cls(root)
                for folder in (sandbox.site, sandbox.home, sandbox.out, sandbox.log, sandbox.work, sandbox.built):
                    folder.mkdir()
                yield sandbox
            except OSError as error:
                raise StartError(f"the scratch folder {root} cannot be used ({error}): make room there") from None

    def fill(self, suite: Path, with_valgrind: bool, overlay: Path | None = None, rules: Rules = _NO_RULES) -> None:
        """Fill `site`: the environment's packages, the harness, the suite's package (or module), the extension, the
        library that the suite's rules ask for. What lies in the folder `overlay` takes the place of the environment's
        packages of the same names."""
        self._copy_suite(suite)
        self._copy_what_runs_inside(self.site / _HARNESS.name)
        replaced = set() if overlay is None else {_project(entry) for entry in overlay.iterdir()}
        entries: dict[str, Path] = {}
        for folder in ([] if overlay is None else [overlay]) + site_packages():
            for entry in folder.iterdir():
                hidden = folder != overlay and _project(entry) in replaced
                if not hidden and not _installs_us(entry):
                    entries.setdefault(entry.name, entry)
        for name, entry in sorted(entries.items()):  # in one order, which a listing of the folder may show
            link = self.site / name
            if not link.exists() and not link.is_symlink():
                link.symlink_to(entry)
        kept = Path(sys.prefix, "bytecode")
        self.names.write_bytes(bytecode.fill(self.bytecode, self.site, kept, rules.packages))
        extension.add(self.site, with_valgrind)
        if rules.library is not None:
            extension.add_library(self.site, rules.library)

    def _copy_suite(self, suite: Path) -> None:
        if not suite.exists():
            raise SuiteError(f"the suite {suite} does not exist")
        if suite.is_dir():
            shutil.copytree(suite, self.site / suite.name, ignore=_NOT_COPIED, ignore_dangling_symlinks=True)
        else:
            shutil.copyfile(suite, self.site / suite.name)

    def has(self, suite: Path) -> bool:
        """Whether the copy of the suite is what the suite is now."""
        return _contents(suite) == _contents(self.site / suite.name)

    def renew(self, suite: Path) -> None:
        """Make the copy of the suite what the suite is now, and forget what was built for it. Only what differs is
        written: a server that looks through `site` once more, since that has changed, has another memory layout.
        Raises OSError."""
        copy = self.site / suite.name
        now, before = _contents(suite), _contents(copy)
        for path in before.keys() - now.keys():
            (copy / path).unlink()
            with contextlib.suppress(OSError):  # a folder with nothing in it could be imported too
                os.removedirs((copy / path).parent)
        for path in now:
            if now[path] != before.get(path):
                (copy / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(suite / path, copy / path)
        shutil.rmtree(self.built)
        self.built.mkdir()

    def _copy_what_runs_inside(self, target: Path) -> None:
        """The harness as a server sees it: `inside`, whose door is the package's, and what both ends share. What else
        the harness holds is not there, so that no edit of it moves a count."""
        shutil.copytree(_HARNESS / "inside", target / "inside", ignore=_NOT_INSIDE)
        shutil.copyfile(_HARNESS / "inside/door.py", target / "__init__.py")
        for name in SHARED:
            shutil.copyfile(_HARNESS / name, target / name)

    @property
    def is_first(self) -> bool:
        """Whether it has the first of the names that scratch folders have."""
        return self.root == slot(self.root.parent, 0)

    def profiles_of(self, worker: int) -> list[Path]:
        """What the counter wrote for one process; the pid of another may begin with the same digits."""
        return [path for pattern in (f"{worker}", f"{worker}.*") for path in self.out.glob(pattern)]

    def worker_folder(self, case: str) -> Path:
        """A new empty folder for a worker. Equal cases get equal names, all of one length: paths are hashed, and hashes
        cost."""
        folder = self.work / hashlib.sha256(case.encode()).hexdigest()[:12]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


def _contents(suite: Path) -> dict[str, bytes]:
    """The files of a suite that are copied, by their paths from there; of a module that is a suite, by ""."""
    if not suite.is_dir():
        return {"": suite.read_bytes()} if suite.exists() else {}
    found: dict[str, bytes] = {}
    for folder, folders, files in os.walk(suite, followlinks=True):
        skipped = _NOT_COPIED(folder, [*folders, *files])
        folders[:] = [name for name in folders if name not in skipped]
        for name in set(files) - skipped:
            path = Path(folder, name)
            if path.exists():
                found[str(path.relative_to(suite))] = path.read_bytes()
    return found


def site_packages() -> list[Path]:
    """The folders that packages are imported from here, first one first; each exists."""
    names = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        names.append(site.getusersitepackages())
    return [Path(name) for name in dict.fromkeys(names) if os.path.isdir(name)]


def _project(entry: Path) -> str:
    """The same for a package and for what says which version of it is installed."""
    return entry.name.partition("-")[0] if entry.suffix == ".dist-info" else entry.name


def _installs_us(entry: Path) -> bool:
    """Whether this is how the harness itself was installed: an editable install names the working tree's path."""
    return entry.name in _OURS or "torch_instruction_suite" in entry.name or entry.name == "__pycache__"


def slot(base: Path, number: int) -> Path:
    """The path of a scratch folder in `base`, filled up until it is as long as others: how much memory objects take
    that hold a path moved what compiles by 0.1 %.

    It is filled with X, which a search for a part of a path passes over fastest: Python looks for "importlib" in the
    path of who warns, at 0.8 % of `dtensor.Random` where zeros follow.
    """
    path = f"{base / f'harness-{os.getuid()}-{number:02}'}-"
    return Path(path + "X" * (-len(os.fsencode(path)) % _PATH_BYTES))


def _take_slot(stack: contextlib.ExitStack) -> Path:
    """A new scratch folder, with its lock held until `stack` is unwound, which removes both.

    The temporary folder may be everybody's. Whatever somebody else has put there under one of our names, a file, a
    folder or a link, is neither used nor followed: the slot is passed over, as one is that a run of ours holds.
    """
    base = Path(tempfile.gettempdir())
    _refuse_what_others_rename(base)
    patient_until = time.monotonic() + _PATIENCE_SECONDS
    number = 0
    while number < _SLOTS:
        root = slot(base, number)
        try:
            with contextlib.ExitStack() as taken:
                if _lock(root.with_suffix(".lock"), taken):
                    if private.doubt(root) is None:
                        shutil.rmtree(root, ignore_errors=True)  # what a run that was killed has left
                    root.mkdir(mode=0o700)
                    taken.callback(shutil.rmtree, root, ignore_errors=True)
                    stack.push(taken.pop_all())
                    return root
        except FileExistsError:
            number += 1  # somebody else's
            continue
        except OSError as error:
            raise StartError(_no_sandbox(base, error.strerror)) from None
        # Another slot is another layout, and the run before this one may just be ending.
        if time.monotonic() < patient_until:
            time.sleep(0.1)
        else:
            number += 1
    raise StartError(
        f"all {_SLOTS} names of scratch folders in {base} are taken: "
        "are that many runs wanted at once, or did another user put something there? TMPDIR names another folder"
    )


def _lock(path: Path, stack: contextlib.ExitStack) -> bool:
    """Hold the lock `path` until `stack` is unwound, which removes it; False if a run of ours does. Raises
    FileExistsError for what is no file of ours, OSError where none can be made."""
    try:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if os.path.lexists(path):
            raise FileExistsError(error.errno, error.strerror) from None
        raise
    stack.callback(os.close, lock)
    facts = os.fstat(lock)
    if facts.st_uid != os.getuid() or not stat.S_ISREG(facts.st_mode):
        raise FileExistsError(f"{path} is not ours")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(facts, os.lstat(path))
    except OSError:
        return False
    if ours:
        stack.callback(path.unlink, missing_ok=True)
    return ours


def _refuse_what_others_rename(base: Path) -> None:
    """Raises StartError for a folder in which everybody may put something else in the place of what is ours: /tmp has
    the sticky bit against that."""
    try:
        mode = base.stat().st_mode
    except OSError as error:
        raise StartError(_no_sandbox(base, error.strerror)) from None
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise StartError(
            f"everybody may replace what lies in {base} (its mode is {stat.S_IMODE(mode):o}): "
            f"set its sticky bit (chmod +t {base}), or set TMPDIR to a folder of your own"
        )


def _no_sandbox(base: Path, reason: str | None) -> str:
    return (
        f"no scratch folder can be made in {base} ({reason}): "
        "make room there, or set TMPDIR to a folder that can be written"
    )
