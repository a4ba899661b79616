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
