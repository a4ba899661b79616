"""What asv found when it looked for benchmarks, held against what its benchmark process has.

asv imports the suite in one process to list the cases, and in another to run them; it names a case to the second by a
number. Where the list of a parameter's values differs between the two, the count of one case would go under the name of
another. asv keeps what it listed in `benchmarks.json`, in the folder of its results.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.inside.values import bare, unlike
from harness.suite import parameters
from harness.system import asv_folder

#: Where this project's configurations have their results, and where asv has them by default; from asv's folder.
_PLACES = (f"{asv_folder.NAME}/results", f"{asv_folder.NAME}/*/results", "results")


def disagreement(
    root: Path, name: str, version: str, params: list[list[Any]], chosen: tuple[int, ...], names: tuple[str, ...]
) -> str | None:
    """Why the case at the places `chosen` of `params` is not the one that asv lists under that number; None if it is.

    `root` is the folder of asv's configuration, `name` asv's of the benchmark. A list of another version of the
    benchmark says nothing: it is of an earlier run.
    """
    for path in sorted(_lists(root), key=lambda path: -path.stat().st_mtime_ns):
        try:
            benchmark = json.loads(path.read_text()).get(name)
        except (OSError, ValueError):
            continue
        if benchmark is not None:
            break
    else:
        return None
    if benchmark.get("version") != version:
        return None
    own = [parameters.asv_names(values)[place] for values, place in zip(params, chosen, strict=True)]
    lists = [list(map(bare, values)) for values in benchmark["params"]]
    listed = [texts[place] if place < len(texts) else "missing" for texts, place in zip(lists, chosen, strict=False)]
    return unlike(own, listed, names)


def _lists(root: Path) -> list[Path]:
    return [path for place in _PLACES for path in root.glob(f"{place}/benchmarks.json")]
