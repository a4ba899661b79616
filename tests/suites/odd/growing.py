"""Work that is another one each time it is called."""

import itertools
import posix

from harness import Workload


class Growing(Workload):
    """Looks at everything that its earlier calls left behind."""

    calls = 20

    def setup(self):
        self.left = []

    def work(self):
        self.left.append(len(self.left))
        total = 0
        for number in self.left:
            total += number
        return total


class GrowingInLayouts(Growing):
    layouts = 9


class Shrinking(Workload):
    """Uses something up."""

    calls = 5
    layouts = 5

    def setup(self):
        self.left = 40_000

    def work(self):
        self.left -= 100
        turn(self.left)


def turn(rounds):
    for _ in itertools.repeat(None, rounds):  # and not `range`, whose numbers cost by what memory there is
        pass


class GrowingALittle(Workload):
    """Grows by less than what memory layouts make."""

    layouts = 7

    def setup(self):
        self.rounds = itertools.count(100_000, 100)

    def warm_up(self):
        for _ in range(20):  # until the interpreter has chosen its ways
            self.work()

    def work(self):
        turn(next(self.rounds))


class Chancy(Workload):
    """As long as chance will have it."""

    layouts = 5

    def setup(self):
        self.rounds = itertools.cycle([1000, 5000, 2000, 1000, 3000])

    def work(self):
        turn(next(self.rounds))


class Garbage(Workload):
    """Makes cycles, which only the collector of garbage can end."""

    calls = 1

    def work(self):
        for _ in range(5000):
            cycle = []
            cycle.append(cycle)


class CollectedGarbage(Garbage):
    collect_garbage = True


class RandomBytes(Workload):
    def work(self):
        return posix.urandom(8)
