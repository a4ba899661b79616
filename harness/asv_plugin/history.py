"""asv's results as histories: what each case counted at each commit, for the first page (overview.py)."""

from __future__ import annotations

import ast
import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asv.results import iter_results

from harness import protocol
from harness.asv_plugin.overview import History, as_count
from harness.engine import settings
from harness.store.noise import Measured, facts_of
from harness.suite.parameters import case_name


@dataclasses.dataclass(frozen=True)
class Counted:
    """What asv's results hold. `values` are by environment and benchmark, then by commit, a value for each choice of
    parameters. `facts` is what is known of each environment's fingerprint, as far as noise hangs on it."""

    values: dict[tuple[str, str], dict[str, list[Any]]]
    facts: dict[str, dict[str, str]]


def counted(results: Path, benchmarks: Any) -> Counted:
    """Only benchmarks, and versions of them, that there still are."""
    values_by_commit: dict[tuple[str, str], dict[str, list[Any]]] = {}
    facts: dict[str, dict[str, str]] = {}
    for result in iter_results(str(results)):
        counter = result.env_vars.get(settings.COUNTER) or settings.Settings.counter
        facts[result.env_name] = facts_of(counter, result.params.get("python", ""), result.params.get("arch", ""))
        for name in result.get_result_keys(benchmarks):
            values = result.get_result_value(name, benchmarks[name]["params"])
            if any(as_count(value) is not None for value in values):
                values_by_commit.setdefault((result.env_name, name), {})[result.commit_hash] = list(values)
    return Counted(values_by_commit, facts)


def histories(found: Counted, benchmarks: Any, commits: Sequence[str], measured: Measured) -> list[History]:
    """Every case's counts at `commits`, and how noisy it is; of the number that a workload is about, not of the further
    ones."""
    made = []
    for (environment, name), by_commit in found.values.items():
        if not name.endswith(protocol.TRACK):
            continue
        own, benchmark = name.removesuffix(protocol.TRACK), benchmarks[name]
        texts = list(itertools.product(*benchmark["params"]))
        shown = list(itertools.product(*map(labels, benchmark["params"])))
        for place, (asv_texts, labelled) in enumerate(zip(texts, shown, strict=True)):
            counts = [as_count(by_commit[commit][place]) if commit in by_commit else None for commit in commits]
            parameters = dict(zip(benchmark["param_names"], labelled, strict=True))
            noise = measured.of(case_name(own, parameters), benchmark.get("noise", 0.0), found.facts[environment])
            made.append(History(environment, own, parameters, asv_texts, counts, noise.part))
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
