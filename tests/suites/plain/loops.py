"""Work of known size."""

from harness import Workload


def add_up(numbers):
    total = 0
    for number in numbers:
        total += number
    return total


class Loop(Workload):
    """Adds numbers."""

    params = [[10, 1000], ["list", "tuple"]]
    param_names = ["size", "kind"]
    calls = 20

    def setup(self, size, kind):
        self.numbers = {"list": list, "tuple": tuple}[kind](range(size))

    def work(self):
        return add_up(self.numbers)


class Pending(Workload):
    """Uses up what `prepare` made; fails if `prepare` was not called just before."""

    calls = 5

    def prepare(self):
        self.pending = list(range(self.calls))

    def work(self):
        return self.pending.pop()


class Laid(Workload):
    """Counted in three layouts."""

    layouts = 3
    calls = 5

    def work(self):
        return add_up(range(100))


class Warmed(Workload):
    """Warms up in its own way; fails if `work` was called before."""

    def setup(self):
        self.order = []

    def warm_up(self):
        self.order.append("warm-up")

    def prepare(self):
        self.order.append("prepare")

    def work(self):
        if self.order != ["warm-up", "prepare"]:
            raise ValueError(f"before work came {self.order}")
        return add_up(range(100))
