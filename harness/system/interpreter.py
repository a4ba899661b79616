"""Which Pythons can count: the CPythons whose insides the harness's C code was written for and tried with."""

from __future__ import annotations

import platform
import sys
import sysconfig

from harness.errors import StartError

#: The versions of CPython that counting was tried on; pyproject.toml and scripts/install_tools.sh say the same.
TRIED = ((3, 11), (3, 12), (3, 13), (3, 14), (3, 15))
#: The same in words.
KNOWN = f"CPython {TRIED[0][0]}.{TRIED[0][1]} to {TRIED[-1][0]}.{TRIED[-1][1]}"


def check() -> None:
    """Raises StartError where this interpreter is not one of them: the sources of inside/ fork, place type versions,
    hash context variables and read frames by what lies inside of it."""
    freed = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    if platform.python_implementation() == "CPython" and sys.version_info[:2] in TRIED and not freed:
        return
    running = f"{platform.python_implementation()} {platform.python_version()}"
    raise StartError(
        f"counting works with {KNOWN}, and {sys.executable} is {running}{', a free-threaded build' if freed else ''}: "
        f"use an environment of {KNOWN}{' with the lock' if freed else ''} (with make: `make PYTHON=python3.13`)"
    )


def refused(version: str) -> str | None:
    """Why another interpreter, of this version, cannot count; None where it can."""
    tried = version.split(".")[:2] in [[str(major), str(minor)] for major, minor in TRIED]
    return None if tried else f"counting works with {KNOWN}"
