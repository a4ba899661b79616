"""Git repositories for the tests: PyTorch's shape, made from what is installed here or made up."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

from harness.overlay import pytorch_files

_BRANCH = "main"


class History:
    """A repository in which commits are made one after the other; each is found again by its subject."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commits: dict[str, str] = {}
        folder.mkdir(parents=True)
        self.git("init", "--quiet", f"--initial-branch={_BRANCH}")

    def as_copied_to(self, folder: Path) -> History:
        """The history of a copy of this repository."""
        other = copy.copy(self)
        other.folder, other.commits = folder, dict(self.commits)
        return other

    def git(self, *arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "gc.auto=0"]
        command = ["git", *names, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Change a file's text; it must become another."""
        before = (self.folder / path).read_text()
        after = change(before)
        assert after != before, f"{path} did not change"
        self.write(path, after)

    def commit(self, subject: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        self.commits[subject] = self.git("rev-parse", "HEAD")
        return self.commits[subject]


_DISPATCH, _TENSOR = "torch/distributed/tensor/_dispatch.py", "torch/distributed/tensor/_api.py"
_TRANSLATOR, _SPEC = "torch/_dynamo/symbolic_convert.py", "torch/distributed/tensor/_dtensor_spec.py"
_WRAP = "    def wrap(res: object, spec: OutputSpecType) -> object:\n"
_STEP = '        """Process exactly one instruction, return False we should exit"""\n'
_DISABLED = "    @torch._disable_dynamo\n    @mark_subclass_constructor_exportable_experimental\n"
_A_LITTLE = "        divmod(7, 2)\n"
_MORE = "        for _ in range(50):\n            pass\n"
_HARDLY_ANYTHING = "        len\n"
_A_LITTLE_PER_STEP = "        for _ in range(10):\n            pass\n"


def torch_history(folder: Path, site: Path, length: int = 18, all_python: bool = False) -> History:
    """Commits on top of the Python of the torch that is installed in `site`, less what a build generates.

    Four matter: "detach costlier", "tracing costlier", "detach cheaper", and "broken", which cannot be imported and is
    mended by the next. The others, up to `length` in all, are docs, comments, native files, other subsystems; with
    `all_python` comments and other subsystems only.
    """
    made = _installed_torch(folder, site)
    matter: dict[str, Callable[[], None]] = {
        "detach costlier": lambda: made.edit(_DISPATCH, lambda t: t.replace(_WRAP, _WRAP + _A_LITTLE)),
        "broken": lambda: made.edit(_SPEC, lambda t: "import torch._no_such_module\n" + t),
        "mended": lambda: made.edit(_SPEC, lambda t: t.replace("import torch._no_such_module\n", "")),
        "tracing costlier": lambda: made.edit(_TRANSLATOR, lambda t: t.replace(_STEP, _STEP + _MORE)),
        "detach cheaper": lambda: made.edit(_TENSOR, lambda t: t.replace(_DISABLED, _DISABLED.partition("\n")[2])),
    }
    others = _changes_of_nothing(made)
    others = [other for other in others if other[0] not in ("docs", "native")] if all_python else others
    third = length // 3  # the broken one is where a bisection of the first two thirds may well look
    at = dict(zip((length // 6, third, third + 1, length // 2, length * 5 // 6), matter, strict=True))
    for number in range(1, length):
        if number in at:
            matter[at[number]]()
            made.commit(at[number])
        else:
            subject, change = others[number % len(others)]
            change()
            made.commit(f"{subject} {number}")
    return made


def small_steps_history(folder: Path, site: Path, places: tuple[int, int], length: int = 23) -> History:
    """Commits as those of `torch_history`, of which two matter, at these places: "detach costlier" makes
    `dtensor.Detach` about 0.1 % dearer, "tracing costlier" `aotdispatcher.AOTDispatcher(False, False)`."""
    made = _installed_torch(folder, site)
    others = _changes_of_nothing(made)
    for number in range(1, length):
        if number == places[0]:
            made.edit(_DISPATCH, lambda t: t.replace(_WRAP, _WRAP + _HARDLY_ANYTHING))
            made.commit("detach costlier")
        elif number == places[1]:
            made.edit(_TRANSLATOR, lambda t: t.replace(_STEP, _STEP + _A_LITTLE_PER_STEP))
            made.commit("tracing costlier")
        else:
            subject, change = others[number % len(others)]
            change()
            made.commit(f"{subject} {number}")
    return made


def _installed_torch(folder: Path, site: Path) -> History:
    """One commit, "base": the Python of the torch that is installed in `site`, less what a build generates."""
    made = History(folder)
    for package in pytorch_files.PACKAGES:
        for place, folders, names in os.walk(site / package):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in names:
                path = str(Path(place, name).relative_to(site))
                if not pytorch_files.belongs_to_binaries(path, None):
                    (made.folder / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(site / path, made.folder / path)
    made.write("aten/src/ATen/native/Add.cpp", "// native\n")
    made.write("docs/source/index.rst", "PyTorch\n")
    made.commit("base")
    return made


def _changes_of_nothing(made: History) -> list[tuple[str, Callable[[], None]]]:
    """What repositories are full of and no count should show, by subject; each can be done again and again."""
    return [
        ("docs", lambda: made.edit("docs/source/index.rst", lambda t: t + "more\n")),
        ("comment", lambda: made.edit(_DISPATCH, lambda t: t + "# more\n")),
        ("onnx", lambda: made.edit("torch/onnx/__init__.py", lambda t: t + "_LATER = 1\n")),
        ("native", lambda: made.edit("aten/src/ATen/native/Add.cpp", lambda t: t + "// more\n")),
        ("optim", lambda: made.edit("torch/optim/sgd.py", lambda t: t + "\n\ndef _later():\n    return 1\n")),
    ]


def small_history(folder: Path) -> History:
    """A made-up torch: `torch.work()` takes as many turns as its Python says, times what its binaries say."""
    made = History(folder)
    made.write("torch/__init__.py", "from torch.worker import work\nfrom torch.version import __version__\n")
    made.write("torch/worker.py", SMALL_WORKER.format(turns=1000))
    made.write("torch/nn/__init__.py", "")
    made.write("torch/nn/table.json", "{}\n")
    made.write("torch/csrc/native.cpp", "// native\n")
    made.write("torchgen/__init__.py", "")
    made.write("functorch/__init__.py", "")
    made.write("functorch/examples/loose.py", "")
    made.write("docs/index.rst", "a torch\n")
    made.commit("base")
    return made


SMALL_WORKER = """\
from pathlib import Path

_TIMES = int(Path(__file__).with_name("lib").joinpath("native.txt").read_text())


def work():
    total = 0
    for _ in range({turns} * _TIMES):
        total += 1
    return total
"""


def small_wheel(history: History, commit: str, folder: Path, version: str, times: int = 1) -> Path:
    """The wheel that a build of the made-up torch would make of a commit; its binaries are a number."""
    files = {
        path: history.git("show", f"{commit}:{path}") + "\n"
        for path in history.git("ls-tree", "-r", "--name-only", commit).splitlines()
        if path.endswith((".py", ".json")) and "examples" not in path
    }
    files["torch/version.py"] = f"__version__ = '{version}'\ngit_version = '{commit}'\n"
    files["torch/lib/native.txt"] = f"{times}\n"
    files["torch/testing/_internal/generated/table.py"] = "MADE = 1\n"
    facts = f"torch-{version}.dist-info"
    files[f"{facts}/METADATA"] = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
    files[f"{facts}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{facts}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{facts}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"torch-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return path
