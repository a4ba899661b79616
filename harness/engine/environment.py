"""The server's whole environment as a list, and the fingerprint of a count."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from harness.engine.sandbox import Sandbox
from harness.inside.rules import Rules

#: Changes whenever the same workload would be counted differently; every benchmark's version contains it.
COUNTING_RULES = 9

#: The only variables of the user that reach the server, and why.
_LET_THROUGH = (
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
        **{name: os.environ[name] for name in _LET_THROUGH if name in os.environ},
    }


def fingerprint(rules: Rules, counter: str, site: Path, facts: dict[str, str]) -> dict[str, str]:
    """What must match for two counts to be comparable, by name. `site` holds the packages that the server sees; `facts`
    are its own."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
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


def _first_line(command: list[str]) -> str:
    output = subprocess.run(command, capture_output=True, text=True).stdout
    return output.splitlines()[0] if output else "unknown"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
