"""Where counts are kept beside asv's results, and where the evidence of failed ones goes.

    .asv/counts/<commit>/<environment>/<benchmark>/<parameters>/
        callgrind.out.gz    the profile that the count came from
        count.json          instructions per call, total, overhead, calls, layouts, numbers, seconds, fingerprint
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
from pathlib import Path

from harness.messages import Counted


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
        name = _file_name("-".join(self.parameters)) or "no-parameters"
        return self.root / "counts" / self.commit / _file_name(self.environment) / _file_name(self.benchmark) / name


def place_of(benchmark: str, parameters: tuple[str, ...]) -> Place | None:
    """The place that asv's variables name; None outside asv."""
    folder, commit, environment = (os.environ.get(f"ASV_{name}") for name in ("CONF_DIR", "COMMIT", "ENV_NAME"))
    if not folder or not commit or not environment:
        return None
    return Place(Path(folder) / ".asv", commit, environment, benchmark, parameters)


def keep(counted: Counted, place: Place) -> Path:
    """Store `counted` and its profile; return their folder. Raises OSError."""
    record = {
        "benchmark": place.benchmark,
        "parameters": list(place.parameters),
        "commit": place.commit,
        "environment": place.environment,
        "instructions per call": counted.instructions_per_call,
        "total": counted.total,
        "overhead": counted.overhead,
        "calls": counted.calls,
        "layouts": list(counted.layouts),
        "numbers": counted.numbers,
        "seconds": counted.seconds,
        "fingerprint": counted.fingerprint,
    }
    place.folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=place.folder.parent))
    try:
        (new / "count.json").write_text(json.dumps(record, indent=1) + "\n")
        if counted.profile is not None:
            # No time and no name inside: equal profiles make equal files.
            with open(counted.profile, "rb") as source, open(new / "callgrind.out.gz", "wb") as target:
                with gzip.GzipFile("", "wb", 6, target, mtime=0) as packed:
                    shutil.copyfileobj(source, packed)
        new.chmod(0o755)
        shutil.rmtree(place.folder, ignore_errors=True)
        new.rename(place.folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return place.folder


def keep_evidence(folder: str, benchmark: str, parameters: tuple[str, ...]) -> Path:
    """Copy what a failed worker left to where the user finds it: under asv's folder, else in a temporary one."""
    name = _file_name("-".join([time.strftime("%Y%m%d-%H%M%S"), benchmark, *parameters]))
    base = os.environ.get("ASV_CONF_DIR")
    root = Path(base) / ".asv" / "failures" if base else Path(tempfile.mkdtemp(prefix="count-failed-"))
    target = root / name
    shutil.copytree(folder, target, dirs_exist_ok=True)
    return target


def _file_name(text: str) -> str:
    """Different for different texts: what cannot be in a name, or is too long, is told apart by a digest."""
    name = re.sub(r"[^A-Za-z0-9._+-]", "_", text)[:120]
    return name if name == text else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
