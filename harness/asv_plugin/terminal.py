"""What asv prints is shown by the terminal and not obeyed: names of parameters and branches, errors of benchmarks.

asv prints all of that as it is. It also prints colours of its own, which stay.
"""

from __future__ import annotations

import sys

from asv_runner import console

from harness.system import printable
from harness.system.printable import Coloured


def guard() -> None:
    """From here on, in this process; once."""
    sys.stdout = printable.guarded(sys.stdout)
    sys.stderr = printable.guarded(sys.stderr)
    console._color_text = _coloured


_as_asv_does = console._color_text


def _coloured(text: str, color: str) -> Coloured:
    return Coloured(_as_asv_does(printable.shown(text), color))
