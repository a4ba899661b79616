"""Compiling: an asv class whose every call compiles. All of it but asv's part runs under valgrind."""

from __future__ import annotations

import abc

from harness.inside.pytorch import compiling as inside
from harness.suite.workload import Workload


class Compiling(inside.Compiling, Workload, abc.ABC):
    """A workload that compiles anew in every call: Dynamo forgets before each, and compile steps are what counts.

    Unless a subclass says otherwise its one parameter is the device.
    """
