"""What a test without the mark finds instead of torch and of asv.

Python imports a module of this name as it starts, so this holds in the processes of such a test too, as far as they get
its environment. What they must not use is named there. In the process of the tests, conftest.py uses `Refusing`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from typing import Any

VARIABLE = "REFUSED_IN_TESTS"
SENTENCES = {
    "torch": "a test that imports torch is to be marked with it: pytest.mark.torch_native",
    "asv": "a test that runs asv is to be marked with it: pytest.mark.asv",
}


class Refusing:
    """Finds torch for nobody while `is_active`. One that a test has made up is found: it has no libraries."""

    def __init__(self, is_active: Callable[[], bool]) -> None:
        self._is_active = is_active
        self.refused = 0

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name != "torch" or not self._is_active():
            return
        found = PathFinder.find_spec(name, path)
        folder = os.path.dirname(found.origin or "") if found is not None else ""
        if os.path.isdir(os.path.join(folder, "lib")):
            self.refused += 1
            raise ImportError(SENTENCES["torch"])


def runs_asv(words: list[str]) -> bool:
    """Whether this is the command line of asv's own program."""
    return words[1:3] == ["-m", "asv"] or any(os.path.basename(word) == "asv" for word in words[:2])


_names = os.environ.get(VARIABLE, "").split()
if __name__ == "sitecustomize" and "asv" in _names and runs_asv(sys.orig_argv):
    os.write(2, f"{SENTENCES['asv']}\n".encode())
    os._exit(1)
if __name__ == "sitecustomize" and "torch" in _names:
    sys.meta_path.insert(0, Refusing(lambda: True))
