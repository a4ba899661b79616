"""What a process that waits has loaded, and where that lies: where to look for what was changed."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from harness.engine.sandbox import site_packages

_HARNESS = Path(__file__).parent.parent
_OF_VALGRIND = ("libexec/valgrind", "lib/valgrind")


def places() -> list[Path]:
    """Files, and folders with the code, that a server or a child may load; the suite, which is read anew, is not among
    them. What `.pth` files and editable installs lead to is."""
    library = Path(sysconfig.get_path("stdlib"))
    inner = [entry for entry in library.iterdir() if entry.name != "site-packages"]
    return [*_programs(), _HARNESS, *inner, *site_packages(), *_elsewhere()]


def _programs() -> list[Path]:
    """The interpreter and its library, the compiler, valgrind and its tools."""
    found = [Path(os.path.realpath(sys.executable))]
    shared = Path(str(sysconfig.get_config_var("LIBDIR")), str(sysconfig.get_config_var("INSTSONAME")))
    found += [shared] if shared.is_file() else []
    for name in ("valgrind", os.environ.get("CXX", "g++")):
        program = shutil.which(name)
        if program is not None:
            found.append(Path(os.path.realpath(program)))
    prefix = found[-1].parent.parent
    return [*found, *(file for folder in _OF_VALGRIND for file in (prefix / folder).glob("*") if file.is_file())]


def _elsewhere() -> list[Path]:
    """What is imported from neither site-packages nor the library: folders that `.pth` files name, and the packages
    of editable installs."""
    known = {str(folder) for folder in (*site_packages(), _HARNESS.parent, Path(sysconfig.get_path("stdlib")))}
    named = [Path(entry) for entry in sys.path if os.path.isdir(entry) and os.path.realpath(entry) not in known]
    finders = [module for name, module in sys.modules.items() if name.startswith("__editable___")]
    mapped = [Path(place) for finder in finders for place in getattr(finder, "MAPPING", {}).values()]
    return [*named, *mapped]


def modules() -> set[str]:
    """The names of the modules that this process has imported, those left out whose files nobody looks at."""
    roots = tuple(f"{os.path.realpath(place)}/" for place in places() if place.is_dir())
    singles = {str(place) for place in places() if place.is_file()}
    found = set()
    for name, module in sys.modules.copy().items():
        file = getattr(module, "__file__", None)
        real = "" if file is None else os.path.realpath(file)
        if file is None or real.startswith(roots) or real in singles:
            found.add(name)
    return found
