"""Work whose Python calls are known one by one."""

import functools
import hashlib
import threading
import types

from harness import Workload


def fibonacci(number):
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


def numbers(upto):
    for number in range(upto):  # noqa: UP028 - every turn is to be seen
        yield number


def add_up(upto):
    total = 0
    for number in numbers(upto):
        total += number
    return total


def key(word):
    return len(word)


class Made:
    def __init__(self):
        self.there = True

    def __repr__(self):
        return "made"


def deep(depth):
    if depth == 0:
        raise KeyError("deep")
    deep(depth - 1)


def unwind():
    try:
        deep(5)
    except KeyError:
        return 5


def even(number):
    return number == 0 or odd(number - 1)


def odd(number):
    return number != 0 and even(number - 1)


def digest():
    add_up(50)
    return hashlib.sha256(bytes(1_000_000)).digest()


class Frames(Workload):
    """Recursion, generators, calls back from machine code, constructors, exceptions."""

    calls = 3

    def work(self):
        fibonacci(8)
        add_up(10)
        sorted(["a", "bbb", "cc"] * 5, key=key)
        repr(Made())
        unwind()
        even(6)


async def answer(number):
    return number


async def ask():
    return await answer(3) + await answer(4)


def finish(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value


def delegate(upto):
    yield from numbers(upto)


def add(one, other):
    return one + other


class Between(Workload):
    """Coroutines, generators that delegate, and Python called by machine code that Python called."""

    calls = 3

    def work(self):
        finish(ask())
        functools.reduce(add, map(key, ["a", "bb", "ccc"]))
        list(delegate(3))


class Renewed(Workload):
    """Makes functions and drops them, so that code comes to lie where other code lay."""

    calls = 20

    def work(self):
        for name in ("one", "two", "three"):
            function = types.FunctionType(key.__code__.replace(co_name=name, co_qualname=name), {"len": len})
            function("word")
            del function


class Threaded(Workload):
    """Calls in two threads, one of which executes machine code for long without the interpreter's lock."""

    def prepare(self):
        self.thread = threading.Thread(target=digest)

    def work(self):
        self.thread.start()
        fibonacci(18)
        self.thread.join()
