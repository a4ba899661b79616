"""Parameters that two processes see differently, and values that are equal but not the same."""

import dataclasses
import enum
import itertools
import math
import os
import time

from harness import Workload


class Rounds(Workload):
    """A loop of as many rounds as its own case says: who is counted for another shows in the number."""

    def work(self):
        for _ in itertools.repeat(None, self.rounds):  # and not `range`, whose numbers cost by what memory there is
            pass


ROUNDS = {"tiny": 10, "small": 100, "medium": 1000, "large": 10_000}


class FromASet(Rounds):
    """Strings hash differently in each process, and a set of them is listed in another order."""

    params = list(set(ROUNDS))
    param_names = ["size"]

    def setup(self, size):
        self.rounds = ROUNDS[size]


class FromTheClock(Rounds):
    params = [time.time_ns(), time.time_ns() + 1]
    param_names = ["moment"]
    rounds = 10


class FromTheEnvironment(Rounds):
    params = [os.environ.get("USERS_OWN", "nothing")]
    param_names = ["variable"]
    rounds = 10


class FromAListing(Rounds):
    """A folder that is another one for a worker."""

    params = sorted(os.listdir("."))[:2] or ["nothing"]
    param_names = ["file"]
    rounds = 10


class One(enum.IntEnum):
    ONE = 1


class Uno(enum.IntEnum):
    UNO = 1


class Letter(enum.StrEnum):
    A = "a"


@dataclasses.dataclass
class Named:
    """Equal if the name is, whatever the size."""

    name: str
    size: int = dataclasses.field(compare=False)

    __hash__ = None


class Refusing:
    """Its `==` raises."""

    def __eq__(self, other):
        raise TypeError("compared")

    __hash__ = None

    def __repr__(self):
        return "Refusing()"


class Elementwise:
    """Its `==` gives something without a truth value, as an array's does."""

    def __eq__(self, other):
        return [True, False], Refusing

    __hash__ = None

    def __repr__(self):
        return "Elementwise()"


#: No two are the same; many are equal to others, or look like them.
VALUES = [
    1,
    1.0,
    True,
    "1",
    One.ONE,
    Uno.UNO,
    0,
    0.0,
    -0.0,
    False,
    math.nan,
    float("nan"),
    Letter.A,
    "a",
    Named("a", 1),
    Named("a", 2),
    Refusing(),
    Refusing(),
    Elementwise(),
    [1],
    (1,),
    None,
    "",
    "None",
]


class Equal(Rounds):
    """A thousand rounds more for every place in the list: far more than a memory layout costs."""

    params = VALUES
    param_names = ["value"]

    def setup(self, value):
        place = next(place for place, other in enumerate(VALUES) if other is value)
        self.rounds = 1000 * (place + 1)


class SkipsOne(Rounds):
    """Skips one of three that are equal."""

    params = [0, False, 0.0]
    param_names = ["value"]
    skip_params = [(0,)]
    rounds = 10


class MadeAnew(Rounds):
    """Values that are other objects whenever somebody asks for them."""

    class Numbers:
        def __len__(self):
            return 3

        def __getitem__(self, place):
            return [0.1, 0.2, 0.3][place] * 1.0

    params = Numbers()
    param_names = ["number"]

    def setup(self, number):
        self.rounds = round(number * 1000)


LONG = "x" * 10_000


class Strange(Rounds):
    """Texts that are no names of files, and look like others that are."""

    params = [["a-b", "a", "..", ".", "/", "", "\0", LONG, LONG + "y", "no-parameters"], ["c", "b-c"]]
    param_names = ["text", "other"]

    def setup(self, text, other):
        places = [values.index(value) for values, value in zip(type(self).params, (text, other), strict=True)]
        self.rounds = 10 * (2 * places[0] + places[1] + 1)
