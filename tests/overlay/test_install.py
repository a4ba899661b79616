"""Trees of a made-up torch: exact, reversible, honest; the wheel stays as it was."""

from __future__ import annotations

import compileall
import dataclasses
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.engine import client
from harness.engine.configuration import Configuration
from harness.errors import OverlayError, RepositoryError, StartError
from harness.overlay import install, tree, wheels
from harness.overlay.git import Repository
from tests.histories import SMALL_WORKER, History, small_history, small_wheel


@dataclasses.dataclass
class Installed:
    """A made-up torch, installed as pip would into a site-packages of the test's own."""

    history: History
    site: Path
    home: Path

    @property
    def repository(self) -> Repository:
        return Repository(self.history.folder)

    def lay(self, subject: str, where: Path | None = None) -> tree.OverlayRecord:
        return install.lay(self.repository, self.history.commits[subject], where)

    def run(self, statement: str) -> str:
        command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(self.site)!r}); {statement}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def contents(self) -> dict[str, bytes]:
        """Every file that Python would see, links followed."""
        return contents(self.site)


def contents(folder: Path) -> dict[str, bytes]:
    found = {}
    for place, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = Path(place, name)
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """What each test has a copy of: the repository, the wheel, and what pip makes of that."""
    folder = tmp_path_factory.mktemp("template")
    history = small_history(folder / "repository")
    history.write("torch/worker.py", SMALL_WORKER.format(turns=1010))
    history.write("torch/nn/added.py", "ADDED = 1\n")
    history.write("torch/nn/template.py.jinja", "text\n")
    history.commit("python")
    history.git("rm", "--quiet", "torch/nn/table.json", "torch/nn/added.py", "functorch/__init__.py")
    history.commit("deleted")
    history.write("torch/csrc/native.cpp", "// changed\n")
    history.commit("native")
    wheel = small_wheel(history, history.commits["base"], folder / "wheels", "1.0")
    target = ["--target", str(folder / "site")]
    wheels._pip("install", "--quiet", "--no-deps", "--no-index", "--no-compile", *target, str(wheel))
    return folder, history


@pytest.fixture
def installed(template, tmp_path, monkeypatch):
    folder, made = template
    shutil.copytree(folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    history = made.as_copied_to(tmp_path / "repository")
    site, home = tmp_path / "site", tmp_path / "overlay"
    compileall.compile_dir(site, quiet=2)
    monkeypatch.setattr(install, "_site", lambda: site)
    monkeypatch.setattr(install, "_home", lambda: home)
    real = sysconfig.get_path
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(site) if name == "purelib" else real(name))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Installed(history, site, home)


def sources(found: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in found.items() if "__pycache__" not in path}


def test_site_packages_hold_the_commits_python_and_what_the_wheel_generates(installed):
    pip = sources(installed.contents())
    installed.lay("deleted")
    found = sources(installed.contents())
    commit = installed.history.commits["deleted"]
    for path in ("torch/worker.py", "torch/nn/template.py.jinja", "torchgen/__init__.py"):
        assert found.pop(path).decode().strip() == installed.history.git("show", f"{commit}:{path}")
    assert found.pop("torch/nn/__init__.py") == b"" and "torch/__init__.py" in found
    generated = {path for path in found if path.startswith("torch/")} - {"torch/__init__.py"}
    assert generated == {"torch/version.py", "torch/lib/native.txt", "torch/testing/_internal/generated/table.py"}
    assert all(found[path] == pip[path] for path in generated)
    assert not [path for path in found if path.startswith("functorch")]
    assert installed.run("import torch; print(torch.work(), torch.__version__)") == "1010 1.0"


def test_from_a_to_b_to_a_gives_a_byte_for_byte(installed):
    before = installed.contents()
    record = installed.lay("python")
    first = installed.contents()
    for subject in ("deleted", "base", "native"):
        installed.lay(subject)
        assert installed.contents() != first
    assert installed.lay("python") == record
    assert installed.contents() == first
    assert install.remove() and not install.remove()
    assert installed.contents() == before


def test_the_wheel_stays_intact_and_its_binaries_are_not_copied(installed):
    before = installed.contents()
    installed.lay("deleted")
    aside = installed.home / "wheel"
    assert contents(aside) == before
    assert (installed.site / "torch/lib").is_symlink()
    assert (installed.site / "torch/lib/native.txt").samefile(aside / "torch/lib/native.txt")
    assert not (installed.site / "torch/worker.py").is_symlink()


def test_stale_bytecode_never_runs(installed):
    # Of equal length, written within one second of each other: what Python's own time stamps could not tell apart.
    for turns in (1111, 2222, 1111, 3333):
        installed.history.write("torch/worker.py", SMALL_WORKER.format(turns=turns))
        installed.history.commit(f"turns {turns}")
        installed.lay(f"turns {turns}")
        assert installed.run("import torch; print(torch.work())") == str(turns)
        cached = Path(importlib.util.cache_from_source(str(installed.site / "torch/worker.py")))
        assert str(turns).encode() not in cached.read_bytes()  # compiled
        assert cached.exists()


def test_bytecode_that_was_written_in_part_is_not_taken_for_good(installed, monkeypatch):
    installed.lay("python")
    right = installed.contents()
    cached = installed.site / importlib.util.cache_from_source("torch/__init__.py")
    cached.unlink()

    def full(file: str, header: bytes, code: bytes) -> None:
        write(file, b"\0" * len(header), code[:10])  # what a crash before the header would leave
        raise OSError(28, "No space left on device")

    write = tree._write_bytecode
    monkeypatch.setattr(tree, "_write_bytecode", full)
    with pytest.raises(OverlayError, match="No space left"):
        installed.lay("python")
    assert cached.exists()
    monkeypatch.setattr(tree, "_write_bytecode", write)
    installed.lay("python")
    assert installed.contents() == right


def test_every_module_has_its_bytecode_under_the_name_it_has_in_site_packages(installed):
    installed.lay("python")
    for module in ("torch/worker.py", "torch/nn/__init__.py", "torch/nn/added.py", "torch/version.py"):
        cached = Path(importlib.util.cache_from_source(str(installed.site / module)))
        assert str(installed.site / module).encode() in cached.read_bytes()
    before = {path: path.stat().st_mtime_ns for path in installed.site.rglob("*.pyc")}
    installed.run("import torch, torch.nn.added, torchgen")
    assert {path: path.stat().st_mtime_ns for path in installed.site.rglob("*.pyc")} == before  # found good by Python


def test_what_somebody_edited_or_added_is_put_right(installed):
    installed.lay("python")
    right = installed.contents()
    (installed.site / "torch/worker.py").write_text("edited = 1\n")
    (installed.site / "torch/own.py").write_text("own = 1\n")
    (installed.site / "torch/own").mkdir()
    (installed.site / "torch/own/__init__.py").write_text("")
    (installed.site / "torch/lib").unlink()
    (installed.site / "torch/nn/__pycache__/gone.cpython-39.pyc").write_bytes(b"")
    installed.lay("python")
    assert installed.contents() == right


def test_a_commit_that_python_cannot_compile_is_laid_all_the_same(installed):
    installed.history.write("torch/worker.py", "def work(:\n")
    installed.history.commit("broken")
    installed.lay("broken")
    assert (installed.site / "torch/worker.py").read_text() == "def work(:\n"
    assert not Path(importlib.util.cache_from_source(str(installed.site / "torch/worker.py"))).exists()


@pytest.mark.usefixtures("opcodes")
def test_python_that_does_not_import_on_the_binaries_fails_with_that_sentence(installed, tmp_path):
    installed.history.write("torch/__init__.py", "import torch._missing\n")
    installed.history.commit("broken")
    (tmp_path / "tree").mkdir()
    commit = installed.history.commits["broken"]
    install.make(installed.repository, commit, wheels.unpacked(installed.site), tmp_path / "tree")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/__init__.py").write_text('RULES = "torch"\n')
    told = Configuration("", 0, str(tmp_path / "suite"), "torch", counter="opcodes", overlay=str(tmp_path / "tree"))
    with pytest.raises(StartError) as error, client.session(told):
        pass
    first, *rest = str(error.value).splitlines()
    assert first.startswith(f"the Python of commit {commit[:10]} does not import on the binaries of torch 1.0 (commit ")
    assert first.endswith("1 native file differs (torch/csrc/native.cpp)")
    assert "No module named 'torch._missing'" in rest[0]


def test_native_files_that_differ_are_named(installed):
    same = installed.lay("python")
    assert same.native == () and str(same).endswith("no native file differs, so the count is the commit's")
    differs = installed.lay("native")
    assert differs.native == ("torch/csrc/native.cpp",)
    assert str(differs).endswith(
        "1 native file differs (torch/csrc/native.cpp), so the count is of its Python on that wheel's binaries"
    )
    assert differs.facts()["python of commit"] == installed.history.commits["native"]


def test_many_native_files_are_counted_and_the_first_named(installed):
    for number in range(30):
        installed.history.write(f"aten/src/file{number:02}.cpp", "")
    installed.history.commit("many")
    assert "31 native files differ (aten/src/file00.cpp, aten/src/file01.cpp, aten/src/file02.cpp and 28 more)" in str(
        installed.lay("many")
    )


def test_a_history_too_shallow_to_tell_is_said(installed, tmp_path):
    shallow = tmp_path / "shallow"
    installed.history.git("clone", "--quiet", "--depth=1", f"file://{installed.history.folder}", str(shallow))
    record = install.lay(Repository(shallow), installed.history.commits["native"])
    assert record.native is None and "cannot be told" in str(record)
    assert f"`git fetch origin {record.wheel_commit}`" in str(record)
    assert installed.run("import torch, torch.testing._internal.generated.table; print(torch.work())") == "1010"


def test_the_record_says_what_lies_there_and_an_interrupted_one_is_told(installed, monkeypatch):
    assert install.installed() is None
    record = installed.lay("python")
    assert tree.record_in(install.installed()) == record

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tree, "_bring_bytecode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        installed.lay("deleted")
    with pytest.raises(OverlayError, match=r"was interrupted: run `.* -m harness overlay` again"):
        install.installed()
    monkeypatch.undo()
    assert sources(contents(installed.home / "wheel"))["torch/lib/native.txt"] == b"1\n"


@pytest.mark.parametrize("moves", [1, 2, 3])
def test_being_killed_while_the_wheel_is_set_aside_or_put_back_loses_nothing(installed, monkeypatch, moves):
    before = installed.contents()
    rename, left = Path.rename, [moves]

    def rename_a_few(self: Path, target: Path) -> Path:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_a_few)
    with pytest.raises(KeyboardInterrupt):
        installed.lay("python")
    left[0] = 100
    installed.lay("python")
    assert installed.run("import torch; print(torch.work())") == "1010"
    left[0] = moves
    with pytest.raises(KeyboardInterrupt):
        install.remove()
    left[0] = 100
    assert install.remove()
    assert installed.contents() == before


def test_a_full_disk_is_a_sentence(installed, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tree, "_write", full)
    with pytest.raises(OverlayError, match=r"the Python of commit .* cannot be laid in .*No space left on device"):
        installed.lay("python")


def test_another_wheel_can_take_its_place(installed, tmp_path):
    commits = installed.history.commits
    small_wheel(installed.history, commits["base"], tmp_path / "several", "1.0")
    small_wheel(installed.history, commits["deleted"], tmp_path / "several", "1.1", times=2)
    before = installed.contents()
    installed.lay("python", tmp_path / "several")
    assert installed.run("import torch; print(torch.work(), torch.__version__)") == "1010 1.0"
    record = installed.lay("native", tmp_path / "several")
    assert installed.run("import torch; print(torch.work(), torch.__version__)") == "2020 1.1"
    assert record.version == "1.1" and record.native == ("torch/csrc/native.cpp",)
    assert [path.name for path in installed.site.glob("*.dist-info")] == ["torch-1.1.dist-info"]
    install.remove()
    assert installed.contents() == before


def test_pip_may_find_a_tree_only_where_it_would_leave_the_wheel_alone(installed, tmp_path):
    requirements = tmp_path / "requirements.txt"

    def suits(text: str) -> bool:
        requirements.write_text(text)
        return install.suits(requirements)

    assert not suits("torch==1.0\n")  # nothing is laid
    installed.lay("python")
    assert suits("torch==1.0\nnumpy==2\n") and suits("numpy==2\ntorch==1.0  # the pin\n")
    assert suits("torch==9; python_version < '3'\ntorch==1.0; python_version >= '3'  # the pin\n")
    assert not suits("torch==1.0; python_version < '3'\ntorch==9; python_version >= '3'\n")
    for other in ("torch==1.1\n", "torch>=1.0\n", "torch==1.0.1\n", "numpy==2\n"):
        assert not suits(other), other
    assert not install.suits(tmp_path / "nowhere")
    small_wheel(installed.history, installed.history.commits["base"], tmp_path / "several", "1.1")
    installed.lay("python", tmp_path / "several")
    assert not suits("torch==1.0\n") and not suits("torch==1.1\n")


def test_what_is_no_clone_of_pytorch_is_said(installed, tmp_path):
    other = History(tmp_path / "other")
    other.write("README", "text\n")
    other.commit("first")
    before = installed.contents()
    with pytest.raises(OverlayError, match="holds no Python of torch: is it a clone of PyTorch"):
        install.lay(Repository(other.folder), other.commits["first"])
    with pytest.raises(RepositoryError):
        install.lay(installed.repository, "1" * 40)
    install.remove()
    assert installed.contents() == before


def test_without_torch_nothing_is_touched(installed, monkeypatch, tmp_path):
    monkeypatch.setattr(install, "_site", lambda: tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OverlayError, match="install the pin"):
        installed.lay("python")
    assert install.installed() is None


def test_two_bisections_in_one_environment_do_not_mix_their_trees(installed):
    with install.trees(), pytest.raises(OverlayError, match="another check or bisection runs"), install.trees():
        pass


def test_threads_that_compile_one_module_at_once_keep_it_whole(tmp_path):
    """The two sides of a check are such threads; of one that was kept in part every later tree would be made."""
    source = tmp_path / "module.py"
    source.write_text("VALUES = [" + ", ".join(map(str, range(10_000))) + "]\n")
    for turn in range(8):
        kept = tmp_path / f"kept-{turn}"
        jobs = [(str(source), str(tmp_path / f"{turn}-{thread}.pyc"), "module.py", str(kept)) for thread in range(8)]
        with ThreadPoolExecutor(len(jobs)) as pool:
            list(pool.map(tree._compile, jobs))
        assert {Path(target).read_bytes() for _, target, _, _ in jobs} == {kept.read_bytes()}
    assert not list(tmp_path.glob(".new-*"))
