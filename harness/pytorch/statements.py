"""Statements: a group of short definitions as one asv class, with what their C++ and their TorchScript need built.

What of it runs under valgrind is inside/pytorch/statements.py.
"""

from __future__ import annotations

import abc
import json
from pathlib import Path
from typing import Any

from harness.inside.definitions import TimerArgs
from harness.inside.pytorch import statements as inside
from harness.pytorch import builds
from harness.suite.workload import Workload


class Statements(inside.Statements, Workload, abc.ABC):
    """Counts what `definitions` define; `label` is the group's own, the first of every case's.

    The parameters are always the same five, so that a history survives whatever definitions come to use; combinations
    that no definition asks for are skipped. Python statements count as the body of a function. C++ statements count in
    a loop of their own, with nothing of Python in it, compiled with the rest of their group. The instructions of all
    threads are counted.
    """

    limit_seconds = 300.0
    stage = "imported"

    @classmethod
    def generated(cls) -> str:
        loops = [builds.loop_source(args, number) for number, args in cls._loops().items()]
        texts = [[*case.label, case.args.setup, case.args.stmt, case.model] for case in cls.cases]
        return "\n".join([inside.PRELUDE, inside.FUNCTIONS, json.dumps(texts), *loops])

    @classmethod
    def needs(cls, *params: Any) -> tuple[str, ...]:
        case = cls.case_of(params)
        return (*([inside.LOOPS] if inside.is_cpp(case) else []), *([inside.MODELS] if case.model else []))

    @classmethod
    def build(cls, need: str, folder: Path, cache: Path) -> None:
        if need == inside.LOOPS:
            builds.build_loops(cls._loops(), folder, cache)
        else:
            builds.save_models({number: source for source, number in cls._models().items()}, folder)

    @classmethod
    def _loops(cls) -> dict[int, TimerArgs]:
        """Every C++ statement, by its case's number."""
        return {number: case.args for number, case in enumerate(cls.cases) if inside.is_cpp(case)}
