"""A module that cannot be imported in a worker."""

import os

from harness import Workload

if "HARNESS_TESTS" not in os.environ:  # the server's environment has only what is listed
    raise ImportError("broken on purpose")


class Broken(Workload):
    def work(self):
        return sum(range(10))
