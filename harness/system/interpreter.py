"""Which Python can count: the version whose internals the harness's C code was written for and tested with."""

from __future__ import annotations

import platform
import sys
import sysconfig

from harness.errors import StartError

#: The versions of CPython that counting was tried on.
TRIED = ((3, 11),)


def check() -> None:
    """Raises StartError where this interpreter is not one of them: client_requests.c forks, deals type versions and
    hashes context variables by what lies inside of it, and with 3.13 every worker died of SIGABRT."""
    version = sys.version_info[:2]
    freed = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    if platform.python_implementation() == "CPython" and version in TRIED and not freed:
        return
    running = f"{platform.python_implementation()} {platform.python_version()}{' without the lock' if freed else ''}"
    known = _known()
    raise StartError(
        f"counting was tried with CPython {known} only, and {sys.executable} is {running}: "
        f"use an environment of CPython {known} (with make: `make PYTHON=python{known.split()[0]}`)"
    )


def refused(version: str) -> str | None:
    """Why another interpreter, of this version, cannot count; None where it can."""
    tried = version.split(".")[:2] in [[str(major), str(minor)] for major, minor in TRIED]
    return None if tried else f"counting was tried with CPython {_known()} only"


def _known() -> str:
    return " and ".join(f"{major}.{minor}" for major, minor in TRIED)
