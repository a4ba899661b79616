"""Where counts are kept beside asv's results, and where the evidence of failed ones goes.

    .asv/counts/<commit>/<environment>/<benchmark>/<parameters>/
        callgrind.out.gz    the profile that the count came from, as Callgrind wrote it
        profile.json.gz     the same, read (profile/model.py)
        count.json          instructions per call, total, overhead, calls, layouts, notes, numbers, seconds, fingerprint
        python/             where somebody asked for it: the case once more, by Python function
            profile.json.gz, count.json
    .asv/failures/<time>-<benchmark>-<parameters>/
        output.txt, valgrind.log, ...

A newer count of the same case takes the older one's place; it appears whole or not at all.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.profile import callgrind_format, components, frames_format, model
from harness.profile.comparison import Run
from harness.profile.components import Components
from harness.profile.model import Profile
from harness.protocol import Counted
from harness.system import asv_folder

_RECORD, _PROFILE, _RAW, _PYTHON = "count.json", "profile.json.gz", "callgrind.out.gz", "python"
#: A case among those of a commit and an environment: its benchmark's name, and the labels of its parameters.
CaseKey = tuple[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Place:
    """Whose count it is. `root` is asv's folder, `.asv` beside asv.conf.json."""

    root: Path
    commit: str
    environment: str
    benchmark: str
    parameters: tuple[str, ...]

    @property
    def folder(self) -> Path:
        folder = self.root / "counts" / _file_name(self.commit) / _file_name(self.environment)
        return folder / _file_name(self.benchmark) / _folder_name(self.parameters)


def place_of(benchmark: str, parameters: tuple[str, ...]) -> Place | None:
    """The place that asv's variables name; None outside asv."""
    folder, commit, environment = (os.environ.get(f"ASV_{name}") for name in ("CONF_DIR", "COMMIT", "ENV_NAME"))
    if not folder or not commit or not environment:
        return None
    return Place(Path(folder) / asv_folder.NAME, commit, environment, benchmark, parameters)


@dataclasses.dataclass(frozen=True)
class BenchmarkFacts:
    """What a record tells of its benchmark: the names of its parameters, its version, its suite's rules (rules.py),
    which know the parts of what is counted, and what asv lists the case's values as."""

    param_names: tuple[str, ...] = ()
    version: str | None = None
    rules: str = "plain"
    asv_texts: tuple[str, ...] = ()


def keep(counted: Counted, place: Place, facts: BenchmarkFacts = BenchmarkFacts()) -> Path:
    """Store `counted` and its profile; return their folder. What was counted by Python function goes beside what is
    there. Raises OSError and ValueError."""
    by_python = (counted.fingerprint or {}).get("counter") == "frames"
    record = {
        "benchmark": place.benchmark,
        "parameters": list(place.parameters),
        "parameter names": list(facts.param_names),
        "asv's texts": list(facts.asv_texts),
        "version": facts.version,
        "rules": facts.rules,
        "commit": place.commit,
        "environment": place.environment,
        "instructions per call": counted.instructions_per_call,
        "total": counted.total,
        "overhead": counted.overhead,
        "calls": counted.calls,
        "layouts": list(counted.layouts),
        "notes": list(counted.notes),
        "seen": counted.seen,
        "numbers": counted.metrics,
        "seconds": counted.seconds,
        "fingerprint": counted.fingerprint,
    }
    folder = place.folder / _PYTHON if by_python else place.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        (new / _RECORD).write_text(json.dumps(record, indent=1) + "\n")
        if counted.profile is not None:
            text = Path(counted.profile).read_bytes()
            if not by_python:
                pack(new / _RAW, text)
            read = frames_format.parse if by_python else callgrind_format.parse
            pack(new / _PROFILE, read(text.decode("utf-8", "replace")).encode())
        new.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return folder


def pack(path: Path, data: bytes) -> None:
    """Write `data` compressed. No time and no name inside: equal data make equal files."""
    path.write_bytes(gzip.compress(data, 6, mtime=0))


@dataclasses.dataclass(frozen=True)
class KeptCount:
    """A count that lies in `folder`; `record` is its count.json."""

    folder: Path
    record: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> KeptCount | None:
        """None where no whole count lies."""
        try:
            record = json.loads((folder / _RECORD).read_text())
        except (OSError, ValueError):
            return None
        return cls(folder, record)

    @property
    def case(self) -> CaseKey:
        return self.record["benchmark"], tuple(self.record["parameters"])

    @property
    def parameters(self) -> dict[str, str]:
        """By name."""
        texts = self.record["parameters"]
        names = self.record.get("parameter names") or [f"parameter {number}" for number in range(1, len(texts) + 1)]
        return dict(zip(names, texts, strict=True))

    @property
    def fingerprint(self) -> dict[str, str]:
        return self.record["fingerprint"] or {}

    @property
    def asv_texts(self) -> list[str]:
        """What asv lists the parameters' values as; none where a record is older than that."""
        return list(self.record.get("asv's texts", ()))

    @property
    def notes(self) -> list[str]:
        """What stands beside the number."""
        return list(self.record.get("notes", ()))

    @property
    def _conditions(self) -> dict[str, str]:
        """The fingerprint, less the commit itself."""
        return {name: value for name, value in self.fingerprint.items() if value != self.record["commit"]}

    @property
    def components(self) -> Components:
        """The parts of what was counted."""
        return components.load(self.record.get("rules", "plain"))

    @property
    def kept_at(self) -> float:
        """When, in seconds since 1970."""
        return (self.folder / _RECORD).stat().st_mtime

    @property
    def by_python(self) -> KeptCount | None:
        """The same case counted by Python function, if that is kept."""
        return self.load(self.folder / _PYTHON)

    @property
    def has_profile(self) -> bool:
        return any((self.folder / name).exists() for name in (_PROFILE, _RAW))

    @property
    def size(self) -> int:
        """Bytes of its profiles, about as much work as reading them is."""
        return sum(path.stat().st_size for path in self.folder.rglob(_PROFILE))

    def differs_from(self, base: KeptCount) -> list[str]:
        """What makes the two less than comparable: the benchmark itself, or parts of their fingerprints."""
        before, after = base._conditions, self._conditions
        names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        lines = [f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in names]
        edited = base.record.get("version") != self.record.get("version")
        return ["the benchmark itself was edited", *lines] if edited else lines

    def run(self) -> Run:
        return Run(self.profile(), self.record["overhead"], self.record["calls"])

    def profile(self) -> Profile:
        """Raises ValueError where it cannot be read, OSError where there is none."""
        try:
            return model.decode(gzip.decompress((self.folder / _PROFILE).read_bytes()))
        except (OSError, EOFError, ValueError):
            pass  # kept by an older version, or half of it: what Callgrind wrote is still there
        try:
            return callgrind_format.parse(gzip.decompress((self.folder / _RAW).read_bytes()).decode("utf-8", "replace"))
        except EOFError as error:
            raise ValueError(f"{self.folder / _RAW} is cut short: {error}") from None


def earlier(place: Place, version: str, counter: str) -> Counted | None:
    """What was counted at `place` before, less its profile, if it was this version of the benchmark by this counter."""
    kept = KeptCount.load(place.folder)
    if kept is None or kept.record.get("version") != version or kept.fingerprint.get("counter") != counter:
        return None
    record = kept.record
    return Counted(
        serial=0,
        total=record["total"],
        overhead=record["overhead"],
        calls=record["calls"],
        profile=None,
        seconds=record["seconds"],
        layouts=tuple(record["layouts"]),
        metrics=record["numbers"],
        seen=record.get("seen", {}),
        notes=tuple(record.get("notes", ())),
        fingerprint=kept.fingerprint,
    )


def commits(root: Path) -> list[str]:
    """The commits of which counts are kept under asv's folder `root`."""
    return sorted(path.name for path in (root / "counts").glob("*") if path.is_dir())


def find(root: Path, commit: str, benchmark: str | None = None) -> Iterator[KeptCount]:
    """What is kept of a commit (of one benchmark), in order of their names."""
    name = "*" if benchmark is None else _file_name(benchmark)
    for path in sorted((root / "counts" / commit).glob(f"*/{name}/*/{_RECORD}")):
        kept = KeptCount.load(path.parent)
        if kept is not None:
            yield kept


def keep_evidence(folder: str, benchmark: str, parameters: tuple[str, ...]) -> Path:
    """Copy what a failed worker left to where the user finds it: under asv's folder, else in a temporary one."""
    name = _file_name("-".join([time.strftime("%Y%m%d-%H%M%S"), benchmark, *parameters]))
    base = os.environ.get("ASV_CONF_DIR")
    root = Path(base) / asv_folder.NAME / "failures" if base else Path(tempfile.mkdtemp(prefix="count-failed-"))
    target = root / name
    shutil.copytree(folder, target, dirs_exist_ok=True)
    return target


def _folder_name(parameters: tuple[str, ...]) -> str:
    """Different for different labels, also for ("a-b", "c") and ("a", "b-c"), or for none and one of that name."""
    if not parameters:
        return "no-parameters"
    joined = "-".join(parameters)
    plain = len(parameters) == 1 or not any("-" in label for label in parameters)
    if plain and joined != "no-parameters":
        return _file_name(joined)
    return f"{_file_name(joined)[:120]}-{_digest(json.dumps(parameters))}"


def _file_name(text: str) -> str:
    """Different for different texts, and always one name in its folder: what cannot be in a name, is too long or leads
    elsewhere (`..`) is told apart by a digest."""
    name = re.sub(r"[^A-Za-z0-9_+-]", "_", text[:1]) + re.sub(r"[^A-Za-z0-9._+-]", "_", text[1:120])
    return name if name and name == text else f"{name}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
