"""Tell what counting needs and what of it this machine has: a line each, and the command that brings what is missing.

Exit status 1 if counting cannot work here.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.cli.parser import add_json
from harness.engine import extension, valgrind, valgrind_tools
from harness.errors import HarnessError
from harness.system import asv_folder, interpreter

HELP = "tell what is missing on this machine"
EXAMPLES = ("harness doctor", "harness doctor --json")

HERE, MISSING, WORSE = "ok", "missing", "worse"


@dataclasses.dataclass(frozen=True)
class Check:
    """`what` was looked at; `state` is ok, missing, or worse (counting works, with less); `found` is its version or
    what is wrong, `cure` the command that brings it. `needed`: without it nothing can be counted."""

    what: str
    state: str
    found: str
    cure: str = ""
    needed: bool = False

    @property
    def fatal(self) -> bool:
        return self.needed and self.state == MISSING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser, "a list with an object a line")


def run(arguments: argparse.Namespace) -> int:
    checks = [look() for look in CHECKS]
    if arguments.json:
        print(json.dumps([dataclasses.asdict(check) for check in checks], indent=1))
    else:
        print("\n".join(lines(checks)))
    return int(any(check.fatal for check in checks))


def lines(checks: list[Check]) -> Iterator[str]:
    width = max(len(check.what) for check in checks)
    for check in checks:
        cure = f"  -> {check.cure}" if check.cure and check.state != HERE else ""
        yield f"{check.state:<8} {check.what:<{width}}  {check.found}{cure}"
    fatal = [check.what for check in checks if check.fatal]
    yield f"counting cannot work here: {', '.join(fatal)} missing" if fatal else "counting can work here"


def packages(*names: str) -> str:
    """The command that installs Debian's packages."""
    return f"{'' if os.getuid() == 0 else 'sudo '}apt-get install {' '.join(names)}"


def _python() -> Check:
    running = f"{platform.python_implementation()} {platform.python_version()}"
    try:
        interpreter.check()
    except HarnessError:
        said = f"{running}; counting works with {interpreter.KNOWN}"
        return Check("Python", MISSING, said, "make PYTHON=python3.13", True)
    return Check("Python", HERE, running, needed=True)


def _headers() -> Check:
    folder = Path(sysconfig.get_path("include"))
    if (folder / "Python.h").exists():
        return Check("Python's headers", HERE, sysconfig.get_python_version(), needed=True)
    return Check(
        "Python's headers",
        MISSING,
        f"no Python.h in {folder}",
        packages(f"python{sysconfig.get_python_version()}-dev"),
        True,
    )


def _valgrind() -> Check:
    try:
        return Check("valgrind", HERE, valgrind.find().version, needed=True)
    except HarnessError as error:
        return Check("valgrind", MISSING, str(error).partition(":")[0], packages("valgrind"), True)


def _valgrinds_headers() -> Check:
    try:
        folder = valgrind.find().prefix / "include/valgrind"
    except HarnessError:
        folder = Path("/usr/include/valgrind")
    if (folder / "callgrind.h").exists():
        return Check("valgrind's headers", HERE, "callgrind.h", needed=True)
    return Check("valgrind's headers", MISSING, f"no callgrind.h in {folder}", packages("valgrind"), True)


def _program(name: str, cure: str, *, needed: bool, why: str = "", version: str = "--version") -> Callable[[], Check]:
    what = f"{name}{f' ({why})' if why else ''}"

    def look() -> Check:
        path = shutil.which(name)
        if path is None:
            return Check(what, MISSING, "not on PATH", cure, needed)
        try:
            answer = subprocess.run([path, version], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            return Check(what, MISSING, f"{path} does not run: {error}", cure, needed)
        number = re.search(r"\d+(\.\d+)+", answer.stdout + answer.stderr)
        return Check(what, HERE, number[0] if number else "version unknown", needed=needed)

    return look


def _native() -> Check:
    what = "native code within valgrind"
    try:
        with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
            extension.add(Path(folder), with_valgrind=True)
            lack = extension.native_lack(Path(folder))
    except HarnessError as error:
        return Check(what, WORSE, f"not found out: {str(error).partition(':')[0]}")
    return Check(what, HERE, "what is not counted is not simulated") if lack is None else Check(what, WORSE, lack)


def _torch() -> Check:
    """In this environment, or in those that asv made here."""
    with_torch = {}
    own, environments = sysconfig.get_path("purelib"), Path(asv_folder.NAME, "env")
    for place in [own, *map(str, environments.glob("*/lib/python*/site-packages"))]:
        for distribution in importlib.metadata.distributions(name="torch", path=[place]):
            with_torch[distribution.version] = "this environment" if place == own else str(environments)
    if with_torch:
        return Check("torch", HERE, ", ".join(f"{version} in {place}" for version, place in with_torch.items()))
    return Check("torch", WORSE, "not installed yet; asv installs the pin when it first counts", "make bench")


def _tool(tool: valgrind_tools.Tool) -> Callable[[], Check]:
    def look() -> Check:
        with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
            try:
                installed = valgrind.find()
                if not installed.link_own_files(Path(folder, "valgrind")):
                    return Check(
                        tool.what, WORSE, f"valgrind's own tools are not under {installed.prefix}", packages("valgrind")
                    )
                valgrind_tools.add(Path(folder, "valgrind"), installed, tool)
            except (HarnessError, OSError) as error:
                return Check(tool.what, WORSE, str(error).partition("\n")[0])
        return Check(tool.what, HERE, f"builds, against valgrind {installed.version}")

    return look


CHECKS: tuple[Callable[[], Check], ...] = (
    _python,
    _headers,
    _valgrind,
    _valgrinds_headers,
    _program("gcc", packages("gcc"), needed=True),
    _program("g++", packages("g++"), needed=False, why="Inductor, C++ statements"),
    _program("git", packages("git"), needed=True),
    _native,
    _torch,
    _tool(valgrind_tools.READABLE),
    _tool(valgrind_tools.FRAMES),
    _program("chromium", packages("chromium"), needed=False, why="tests of the pages"),
    _program("npm", packages("npm"), needed=False, why="asv's scripts for the pages"),
)
