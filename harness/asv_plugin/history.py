"""asv's results as histories: what each case counted at each commit, for the first page (overview.py)."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asv.results import iter_results

from harness import protocol
from harness.asv_plugin.overview import History, as_count


def counted(results: Path, benchmarks: Any) -> dict[tuple[str, str], dict[str, list[Any]]]:
    """What asv's results hold, by environment and benchmark, then by commit: a value for each choice of parameters.
    Only benchmarks, and versions of them, that there still are."""
    values_by_commit: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for result in iter_results(str(results)):
        for name in result.get_result_keys(benchmarks):
            values = result.get_result_value(name, benchmarks[name]["params"])
            if any(as_count(value) is not None for value in values):
                values_by_commit.setdefault((result.env_name, name), {})[result.commit_hash] = list(values)
    return values_by_commit


def histories(
    values_by_commit: Mapping[tuple[str, str], Mapping[str, Sequence[Any]]], benchmarks: Any, commits: Sequence[str]
) -> list[History]:
    """Every case's counts at `commits`; of the number that a workload is about, not of the further ones."""
    made = []
    for (environment, name), by_commit in values_by_commit.items():
        if not name.endswith(protocol.TRACK):
            continue
        benchmark = benchmarks[name]
        texts = list(itertools.product(*benchmark["params"]))
        shown = list(itertools.product(*map(labels, benchmark["params"])))
        for place, (asv_texts, labelled) in enumerate(zip(texts, shown, strict=True)):
            counts = [as_count(by_commit[commit][place]) if commit in by_commit else None for commit in commits]
            made.append(
                History(
                    environment,
                    name.removesuffix(protocol.TRACK),
                    dict(zip(benchmark["param_names"], labelled, strict=True)),
                    asv_texts,
                    counts,
                    benchmark.get("noise"),
                )
            )
    return made


def labels(texts: Sequence[str]) -> list[str]:
    """What people call the values that asv lists with these texts: strings without their quotes, as long as that
    leaves them apart (parameters.labels does it for the values themselves)."""
    bare = [_bare(text) for text in texts]
    return [text if bare.count(short) > 1 else short for text, short in zip(texts, bare, strict=True)]


def _bare(text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, str) else text
