"""The server's whole environment as a list, and the fingerprint of a count."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from functools import partial
from pathlib import Path

from harness import protocol
from harness.engine.extension import cpp_compiler
from harness.engine.sandbox import Sandbox
from harness.inside.rules import Rules

#: Changes whenever the same workload would be counted differently; every benchmark's version contains it.
COUNTING_RULES = 14

#: The only variables of the user that reach the server, and why.
LET_THROUGH = (
    "CXX",  # Inductor's C++ compiler, for users whose g++ is not in the places below
    "CUDA_VISIBLE_DEVICES",  # which GPU
)


def interpreter(statement: str) -> list[str]:
    """The command that runs `statement` in this interpreter, which sees only what the scratch folder shows."""
    # -P: what imports remember of the current folder would depend on the time at which files appeared in it.
    return [os.path.realpath(sys.executable), "-S", "-B", "-P", "-c", statement]


def server_environment(sandbox: Sandbox, rules: Rules) -> dict[str, str]:
    """Every variable of the server's environment. Nothing else is inherited: an inherited one moved counts by 0.5 %."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",  # compilers and their tools
        "HOME": str(sandbox.home),
        "TMPDIR": str(sandbox.home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(sandbox.site),
        "PYTHONHASHSEED": "0",
        "LD_BIND_NOW": "1",  # native code must not bind while it runs: see inside/native.c
        "PYTHONNOUSERSITE": "1",
        **rules.environment(),
        **{name: os.environ[name] for name in LET_THROUGH if name in os.environ},
    }


def fingerprint(rules: Rules, counter: str, site: Path, facts: dict[str, str]) -> dict[str, str]:
    """What must match for two counts to be comparable, by name. `site` holds the packages that the server sees; `facts`
    are its own."""
    compiler = cpp_compiler()
    facts_by_name = {
        "counting rules": str(COUNTING_RULES),
        "counter": counter,
        "machine": platform.machine(),
        "compiler": _first_line([compiler, "--version"]) if compiler else "none",
        "environment": _digest(sorted(rules.environment().items())),
        **facts,
    }
    for package in rules.packages:
        installed = importlib.metadata.distributions(name=package, path=[str(site)])
        facts_by_name[f"package {package}"] = next((distribution.version for distribution in installed), "none")
    return dict(sorted(facts_by_name.items()))


class Fingerprints:
    """The fingerprints of one supervisor's counts: one for each stage of the server that is there."""

    def __init__(self, rules: Rules, counter: str, site: Path, facts: dict[str, str]) -> None:
        """`facts` are those that no server finds; the rest is as `fingerprint` takes it."""
        self._make = partial(fingerprint, rules, counter, site)
        self._facts = facts
        self._versions: dict[str, dict[str, str]] = {}
        self._made: dict[str, dict[str, str]] = {}

    def learn(self, ready: protocol.Ready) -> None:
        self._versions[ready.stage] = ready.versions
        self._made.pop(ready.stage, None)

    def on(self, case: protocol.Case, report: protocol.Report) -> protocol.Report:
        """The report with the fingerprint of its case's stage, if it is a count. Of the bare stage it is that of the
        next one, which knows the library under test."""
        if not isinstance(report, protocol.Counted):
            return report
        stage = protocol.IMPORTED if case.stage == protocol.BARE else case.stage
        if stage not in self._made:
            self._made[stage] = self._make({**self._versions[stage], **self._facts})
        return dataclasses.replace(report, fingerprint=self._made[stage])


def _first_line(command: list[str]) -> str:
    output = subprocess.run(command, capture_output=True, text=True).stdout
    return output.splitlines()[0] if output else "unknown"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
