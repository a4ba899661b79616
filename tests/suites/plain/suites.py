"""What is skipped or made small, and workers that are born before anything is imported."""

import os
import sys

from harness import Workload


class Sized(Workload):
    """Takes minutes, if you believe it."""

    params = [10, 1000]
    param_names = ["size"]
    small = {"size": 1, "shared": 2}
    shared = 5
    warmed_with = None

    @classmethod
    def suite_of(cls, size):
        return "full" if size == 1000 else "default"

    def setup(self, size):
        self.size = size

    def work(self):
        self.warmed_with = self.warmed_with or (self.size, self.shared)
        for _ in range(self.size):
            pass


class Older(Workload):
    """Needs what no release has."""

    requires = ["os.path.join", "json.decoder.JSONDecoder.of_the_future"]

    def work(self):
        return len("nothing")


class Born(Workload):
    """Tells whose child its worker is, in the only text that a skipped case has."""

    def setup(self):
        raise NotImplementedError(f"{os.getppid()} {'wave' in sys.modules}")

    def work(self):
        return len("nothing")


class BornEarly(Born):
    stage = "bare"


class BornImported(Born):
    stage = "imported"


class Imports(Workload):
    """Imports what nobody has imported yet."""

    stage = "bare"

    def warm_up(self):
        """An import is one only once."""

    def work(self):
        import wave

        return wave
