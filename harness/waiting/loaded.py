"""What a process that waits has loaded, and where that lies: where to look for what was changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Container, Iterable
from pathlib import Path

from harness.engine.extension import cpp_compiler
from harness.engine.sandbox import site_packages
from harness.engine.valgrind import Valgrind

_HARNESS = Path(__file__).parent.parent


def places() -> list[Path]:
    """Files, and folders with the code, that a server or a child may load; the suite, which is read anew, is not among
    them. What `.pth` files and editable installs lead to is."""
    library = Path(sysconfig.get_path("stdlib"))
    inner = [entry for entry in library.iterdir() if entry.name != "site-packages"]
    return [*_programs(), _HARNESS, *inner, *site_packages(), *_elsewhere()]


def _programs() -> list[Path]:
    """The interpreter and its library, the compiler, valgrind and its tools."""
    library = Path(str(sysconfig.get_config_var("LIBDIR")), str(sysconfig.get_config_var("INSTSONAME")))
    found = [Path(os.path.realpath(sys.executable)), *([library] if library.is_file() else [])]
    compiler, simulator = cpp_compiler(), shutil.which("valgrind")
    if compiler is not None:
        found.append(Path(os.path.realpath(compiler)))
    if simulator is not None:
        found.append(Path(os.path.realpath(simulator)))
        folders = Valgrind(simulator, "").places("libexec/valgrind", "lib/valgrind")
        found += [file for folder in folders for file in folder.iterdir() if file.is_file()]
    return found


def _elsewhere() -> list[Path]:
    """What is imported from neither site-packages nor the library: folders that `.pth` files name, and the packages
    of editable installs."""
    library = Path(sysconfig.get_path("stdlib"))
    known = {os.path.realpath(folder) for folder in (*site_packages(), _HARNESS.parent, library)}
    named = [Path(entry) for entry in sys.path if os.path.isdir(entry) and os.path.realpath(entry) not in known]
    finders = [module for name, module in sys.modules.items() if name.startswith("__editable___")]
    mapped = [Path(place) for finder in finders for place in getattr(finder, "MAPPING", {}).values()]
    return [*named, *mapped]


def imported(since: Container[str], suite: str, looked_at: Iterable[Path]) -> list[str]:
    """The modules that this process has imported since it had those of the names `since`: the suite's own are left out,
    and those whose files do not lie where changes are looked for."""
    roots, files = [], set()
    for place in looked_at:
        real = os.path.realpath(place)
        if os.path.isdir(real):
            roots.append(f"{real}/")
        else:
            files.add(real)
    found = []
    for name, module in sys.modules.copy().items():
        if name in since or name.partition(".")[0] == suite:
            continue
        with contextlib.suppress(Exception):  # some make their attributes when they are asked for
            file = getattr(module, "__file__", None)
            real = os.path.realpath(file) if file else ""
            if not file or real in files or real.startswith(tuple(roots)):
                found.append(name)
    return found
