"""What `harness check` says of changes of PyTorch whose effect is public, one command for each.

    python scripts/replay_changes.py [--only NUMBER]... [--bisect]

A repository is made of the installed torch's own Python, 2.13.0, with a commit for each change and comments between
them. What a change was is taken from the wheels of the releases before and after it, which pip downloads (800 MB each):
block by block, those that belong to it. With --bisect the range of the three changes of DTensor's redistributions is
searched, instead of checked. Ten minutes either way.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import difflib
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from bisect_range import write_configuration  # noqa: E402 - beside this file

from harness.report import columns  # noqa: E402
from tests.histories import History, torch_history  # noqa: E402 - the tests' repositories serve here too

_RELEASES = ("2.12.0", "2.14.0", "2.15.0")
_COLLECTIVE = "torch/distributed/tensor/_collective_utils.py"
_PLACEMENT = "torch/distributed/tensor/placement_types.py"
_REDISTRIBUTE = "torch/distributed/tensor/_redistribute.py"
_FRAME, _CODEGEN, _UTILS = (f"torch/_dynamo/{name}.py" for name in ("eval_frame", "codegen", "utils"))
_FILES = (_COLLECTIVE, _PLACEMENT, _REDISTRIBUTE, _FRAME, _CODEGEN, _UTILS)

#: Gives the text of a file in a release.
Read = Callable[[str, str], str]


@dataclasses.dataclass(frozen=True)
class Replay:
    """A change: its pull request, which cases it moves, and what is publicly known of that."""

    number: int
    bench: str
    public: str


REPLAYS = (
    Replay(180887, r"dtensor\.Collectives", "about +10 %"),
    Replay(181397, r"dtensor\.Collectives", "takes it back"),
    Replay(183545, r"dtensor\.Collectives", "+12.25 %"),
    Replay(190392, r"EagerAdd1|dtensor\.(Detach|View)\.|guards\.", "-2.0, -3.2, -2.8 % for EagerAdd1, Detach, View"),
    Replay(190623, r"EagerAdd1", "about -10 %"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, action="append", metavar="NUMBER", help="only this pull request")
    parser.add_argument("--bisect", action="store_true", help="search the range of the first three changes")
    arguments = parser.parse_args()
    chosen = arguments.only or [replay.number for replay in REPLAYS]
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        texts = dict(downloaded(Path(folder, "wheels")))
        history = made(Path(folder, "pytorch"), lambda release, path: texts[release, path])
        if arguments.bisect:
            raise SystemExit(bisected(history, Path(folder)))
        rows = [row for replay in REPLAYS if replay.number in chosen for row in checked(history, replay)]
    print(
        "\n".join(columns.lines(["pull request", "public", "case", "here", "function", "by"], rows, names=(0, 1, 2, 4)))
    )


def downloaded(folder: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """The files of each release, by release and path."""
    for release in _RELEASES:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        subprocess.run([*command, f"torch==={release}"], check=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            yield from (((release, path), packed.read(path).decode()) for path in _FILES)
        wheel.unlink()


def made(folder: Path, read: Read) -> History:
    """The repository: each change is a commit of its number."""
    history = torch_history(folder, Path(sysconfig.get_path("purelib")), length=6)
    history.git("checkout", "--quiet", history.commits["base"])
    now = {path: (folder / path).read_text() for path in _FILES}

    def commit(subject: str, files: dict[str, str]) -> None:
        for path, text in files.items():
            history.write(path, text)
        history.commit(subject)
        history.edit("torch/__init__.py", lambda text: f"{text}# after {subject}\n")
        history.commit(f"a comment after {subject}")

    pads = picked(now[_COLLECTIVE], read("2.12.0", _COLLECTIVE), within=("pad_tensor", "unpad_tensor"))
    fast = picked(now[_COLLECTIVE], read("2.12.0", _COLLECTIVE), "has_free_unbacked", within=("pad_tensor",))
    slow = re.sub(r"    if isinstance\(pad_size, int\):\n(?:.*\n)*?    elif ", "    if ", fast)
    planned = ("DTensorRedistributePlanner.find_min_cost_path",)
    before = {
        _PLACEMENT: picked(
            now[_PLACEMENT], read("2.12.0", _PLACEMENT), "_hint_proves_even_shard|num_chunks_int", ("Shard",)
        ),
        _REDISTRIBUTE: picked(now[_REDISTRIBUTE], read("2.12.0", _REDISTRIBUTE), within=planned),
    }
    commit("before", {**before, _COLLECTIVE: pads})
    commit("180887", {_COLLECTIVE: slow})
    commit("181397", {_COLLECTIVE: fast})
    commit("183545", {path: now[path] for path in (*before, _COLLECTIVE)})
    commit("190392", {_FRAME: picked(now[_FRAME], read("2.14.0", _FRAME), within=("DisableContext.__call__",))})
    markers = ("record_pregraph_bytecode_enter", "record_pregraph_bytecode_exit")
    marked = {
        _CODEGEN: merged(now[_CODEGEN], read("2.14.0", _CODEGEN), read("2.15.0", _CODEGEN)),
        _UTILS: picked(now[_UTILS], read("2.15.0", _UTILS), within=markers),
    }
    commit("190623", marked)
    return history


def picked(ours: str, theirs: str, pattern: str = "", within: tuple[str, ...] = ()) -> str:
    """`ours` with those blocks of `theirs` that the pattern finds, in the old lines or the new, and that lie in one of
    these definitions."""
    old, new = ours.splitlines(keepends=True), theirs.splitlines(keepends=True)
    spans = [span(ours, name) for name in within]
    text = []
    for kind, begin, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        inside = not spans or any(low <= begin and end <= high for low, high in spans)
        both = "".join(old[begin:end] + new[first:last])
        text += new[first:last] if kind != "equal" and inside and re.search(pattern, both) else old[begin:end]
    return "".join(text)


def span(text: str, name: str) -> tuple[int, int]:
    """Between which lines a definition lies, such as Class.method, with its decorators and an empty line after it."""
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        node = next(
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and child.name == part
        )
    assert isinstance(node, ast.ClassDef | ast.FunctionDef) and node.end_lineno is not None
    return min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 1, node.end_lineno + 1


def merged(ours: str, before: str, after: str) -> str:
    """`ours` with what changed from `before` to `after`, as git merges it."""
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder, name) for name in ("ours", "before", "after")]
        for name, text in zip(names, (ours, before, after), strict=True):
            name.write_text(text)
        done = subprocess.run(["git", "merge-file", "--stdout", *map(str, names)], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.returncode} conflicts"
    return done.stdout


def checked(history: History, replay: Replay) -> Iterator[list[str]]:
    """Check the commit of a change against the one before; a row a case."""
    commit = history.commits[str(replay.number)]
    words = ["check", f"{commit}~1", commit, "--bench", replay.bench, "--suite", "default"]
    print(f"$ harness {' '.join(words)} --repo ../pytorch", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "harness", *words, "--repo", str(history.folder), "--json"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if not answer.stdout:
        raise SystemExit("the check could not be done: see above")
    for case in json.loads(answer.stdout)["cases"]:
        if case["change"] is None:
            continue
        name = "  ".join([case["benchmark"], *(f"{key}={value}" for key, value in case["parameters"].items())])
        functions = (case["reason"] or {}).get("functions") or [{}]
        moved = functions[0].get("head", 0) - functions[0].get("base", 0)
        yield [
            f"#{replay.number}",
            replay.public,
            name,
            f"{case['change']['relative']:+.2%} {case['verdict']}",
            functions[0].get("function", ""),
            f"{moved:+,.0f}" if moved else "",
        ]


def bisected(history: History, folder: Path) -> int:
    """Search the range of the changes of `Collectives`; the command's status."""
    commits = history.commits
    ends = [commits["before"], commits["a comment after 183545"]]
    command = [sys.executable, "-m", "harness", "bisect", *ends, "dtensor.Collectives", "--param", "device=cpu"]
    return subprocess.run([*command, "--config", str(write_configuration(folder))]).returncode


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
