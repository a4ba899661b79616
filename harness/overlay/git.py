"""A git repository, read without a checkout: what a commit holds, what two commits differ in, how they are related."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from harness.errors import RepositoryError

_SYMLINK = "120000"
_FILES = ("100644", "100755", _SYMLINK)
#: Variables that name a repository, or parts of one: what `git rev-parse --local-env-vars` lists, less configuration.
_OF_A_HOOK = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
)
#: Who makes the commits of `snapshot`, and when: the same always, so that equal contents are one commit.
_NOBODY = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "harness"), ("EMAIL", "harness@localhost"), ("DATE", "2000-01-01T00:00:00+0000"))
}
#: The address of a repository on a host, by a protocol or as ssh has it; the name is the path there.
_ADDRESS = re.compile(r"(?:(?:https?|ssh|git)://[^/]+/|[^/:]+:)(?!/)(?P<name>.+?)(?:\.git)?/*")


def hosted_name(address: str) -> str | None:
    """The path of a repository on its host, without who asks for it; None for an address that names no host. Pure."""
    known = _ADDRESS.fullmatch(address)
    return known and known["name"]


class Repository:
    """The repository at `path`, bare or not. Raises RepositoryError, also from every method."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise RepositoryError(f"{path} is no folder: name a git checkout")
        if not self.ask("rev-parse", "--git-dir", fails_with=f"{path} is no git repository: name a git checkout"):
            raise RepositoryError(f"{path} is no git repository: name a git checkout")

    # Commits

    def commit(self, name: str) -> str:
        """The full hash of the commit that `name` stands for."""
        if name == "HEAD":
            lacks = f"{self.path} has no commit yet: make one, or name another repository"
        else:
            lacks = f"{self.path} has no commit {name!r}: look with `git log`, or `git fetch` it"
        words = ("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return self.ask("rev-parse", *words, fails_with=lacks).strip()

    def has(self, commit: str) -> bool:
        return self._run("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0

    def subject(self, commit: str) -> str:
        return self.ask("show", "--no-patch", "--format=%s", commit).strip()

    def described(self, commits: Iterable[str]) -> list[tuple[str, int, str]]:
        """For each of `commits`, in their order: its hash, when it was made (seconds since 1970), its subject."""
        wanted = list(commits)
        if not wanted:
            return []
        named = "\n".join(wanted).encode() + b"\n"
        lines = self.ask("log", "--no-walk=unsorted", "--stdin", "--format=%H %ct %s", input=named)
        fields = [line.split(" ", 2) for line in lines.rstrip("\n").split("\n")]
        return [(commit, int(seconds), subject) for commit, seconds, subject in fields]

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`; a commit contains itself."""
        return self._run("merge-base", "--is-ancestor", older, newer).returncode == 0

    def are_related(self, one: str, other: str) -> bool:
        """Whether the history at hand shows a commit that both contain."""
        return self._run("merge-base", one, other).returncode == 0

    def distance(self, older: str, newer: str) -> int:
        """How many commits `newer` contains that `older` does not."""
        return int(self.ask("rev-list", "--count", f"{older}..{newer}"))

    def first_parents(self, good: str, bad: str) -> list[str]:
        """`good`, and the commits that a branch went through from there to `bad`, oldest first."""
        return [good, *self.ask("rev-list", "--first-parent", "--reverse", f"{good}..{bad}").split()]

    def touching(self, good: str, bad: str, folders: Iterable[str]) -> set[str]:
        """Those of `first_parents` that changed something in these folders."""
        return set(self.ask("rev-list", "--first-parent", f"{good}..{bad}", "--", *folders).split())

    def snapshot(self, folders: Iterable[str]) -> str:
        """The commit that the working tree would be: with its edits, and with the new files in these top-level folders,
        less what git ignores. That of HEAD where nothing differs.

        The objects go into the repository, as those of `git stash create` do, and git removes them when nothing has
        used them for weeks. The index, the branches and the files stay as they are. Equal contents on one HEAD are one
        commit.
        """
        if self.ask("rev-parse", "--is-bare-repository").strip() == "true":
            raise RepositoryError(f"{self.path} has no working tree: name the commit after too")
        conflicts = self.ask("diff", "--name-only", "--diff-filter=U").split("\n")[:-1]
        if conflicts:
            raise RepositoryError(f"{self.path} has conflicts, as in {conflicts[0]}: resolve them first")
        head = self.commit("HEAD")
        index = self.path / self.ask("rev-parse", "--git-path", "index").strip()
        with tempfile.TemporaryDirectory(prefix="harness-index-") as folder:
            copy = Path(folder, "index")
            if index.exists():
                # It knows which files were not touched since; by its own time git tells which of them may have been.
                shutil.copy2(index, copy)
            surroundings = {"GIT_INDEX_FILE": str(copy), **_NOBODY}
            top = self.ask("rev-parse", "--show-toplevel").rstrip("\n")
            # Also what the user has told git to take as unchanged.
            listed = self.ask("-C", top, "ls-files", "-v", "-z", surroundings=surroundings).split("\0")
            hidden = [line[2:] for line in listed if line[:1].islower()]
            if hidden:
                names = os.fsencode("\0".join([*hidden, ""]))
                command = ("-C", top, "update-index", "--no-assume-unchanged", "-z", "--stdin")
                self.ask(*command, surroundings=surroundings, input=names)
            self.ask("-C", top, "add", "--update", surroundings=surroundings)
            present = [folder for folder in folders if Path(top, folder).is_dir()]
            if present:
                self.ask("-C", top, "add", "--all", "--", *present, surroundings=surroundings)
            tree = self.ask("write-tree", surroundings=surroundings).strip()
            if tree == self.ask("rev-parse", f"{head}^{{tree}}").strip():
                return head
            message = ("-m", "the working tree")
            return self.ask("commit-tree", tree, "-p", head, *message, surroundings=surroundings).strip()

    def untracked(self) -> list[str]:
        """What git neither knows nor ignores in the working tree: files, and folders that hold nothing else."""
        return self.ask("ls-files", "--others", "--exclude-standard", "--directory", "-z").split("\0")[:-1]

    @property
    def origin(self) -> str | None:
        """What `origin` is called where it is hosted, as in pytorch/pytorch; None where it has no such name."""
        result = self._run("config", "--get", "remote.origin.url")
        return hosted_name(os.fsdecode(result.stdout).strip()) if result.returncode == 0 else None

    # Contents

    def files(self, commit: str, folders: Iterable[str]) -> dict[str, str]:
        """Every file of `commit` in these top-level folders, with its blob. A symbolic link stands for the file that it
        names; one that leads nowhere in these folders is left out."""
        blobs: dict[str, str] = {}
        links: dict[str, str] = {}
        for line in self.ask("ls-tree", "-r", "-z", "--full-tree", commit, "--", *folders).split("\0"):
            if not line:
                continue
            facts, path = line.split("\t", 1)
            mode, _, blob = facts.split()
            if mode in _FILES:
                (links if mode == _SYMLINK else blobs)[path] = blob
        for path, target in zip(links, self.contents(links.values()), strict=True):
            name = posixpath.normpath(posixpath.join(posixpath.dirname(path), os.fsdecode(target)))
            if name in blobs:
                blobs[path] = blobs[name]
        return blobs

    def contents(self, blobs: Iterable[str]) -> list[bytes]:
        """What each of `blobs` holds."""
        wanted = list(blobs)
        if not wanted:
            return []
        data = self._run("cat-file", "--batch", input="\n".join(wanted).encode() + b"\n").stdout
        contents = []
        at = 0
        for blob in wanted:
            end = data.find(b"\n", at)
            words = data[at:end].split() if end >= 0 else []
            if len(words) != 3:
                raise RepositoryError(
                    f"{self.path} lacks the file contents {blob}: the clone is incomplete; `git fsck` tells more"
                )
            size = int(words[2])
            contents.append(data[end + 1 : end + 1 + size])
            at = end + 1 + size + 1
        return contents

    def blob(self, commit: str, path: str) -> str:
        """The blob of one file of `commit`."""
        lacks = f"commit {commit[:10]} of {self.path} has no file {path}"
        return self.ask("rev-parse", "--verify", "--quiet", f"{commit}:{path}", fails_with=lacks).strip()

    def changed(self, before: str, after: str) -> list[str]:
        """The files that differ between two commits, a renamed one under both names."""
        output = self.ask("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after)
        return [path for path in output.split("\0") if path]

    # git itself

    def ask(
        self,
        *arguments: str,
        fails_with: str | None = None,
        input: bytes = b"",
        surroundings: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        result = self._run(*arguments, input=input, surroundings=surroundings)
        if result.returncode != 0:
            complaint = result.stderr.decode(errors="replace").strip()
            raise RepositoryError(fails_with or f"`git {' '.join(arguments)}` failed in {self.path}: {complaint}")
        return os.fsdecode(result.stdout)

    def _run(
        self, *arguments: str, input: bytes = b"", surroundings: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[bytes]:
        # Not this process's own repository, should it have been started by a git hook.
        ours = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
        try:
            return subprocess.run(
                ["git", "-C", str(self.path), *arguments],
                input=input,
                capture_output=True,
                env={**ours, **surroundings},
            )
        except FileNotFoundError:
            raise RepositoryError("no `git` on PATH: install it (Debian, Ubuntu: apt-get install git)") from None
