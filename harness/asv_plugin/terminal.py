"""What asv prints is shown by the terminal and not obeyed: names of parameters and branches, errors of benchmarks.

asv prints all of that as it is. It also prints colours of its own, which stay.
"""

from __future__ import annotations

import sys

from harness.asv_plugin import private_parts
from harness.system import printable
from harness.system.printable import Coloured


def guard() -> None:
    """From here on, in this process; once."""
    sys.stdout = printable.guarded(sys.stdout)
    sys.stderr = printable.guarded(sys.stderr)
    private_parts.colour_with(_coloured)


def _coloured(text: str, colour: str) -> Coloured:
    return Coloured(private_parts.coloured(printable.shown(text), colour))
