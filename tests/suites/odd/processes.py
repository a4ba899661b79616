"""Work that is done elsewhere, waits for the clock, or ends its worker."""

import contextlib
import ctypes
import itertools
import os
import signal
import subprocess
import threading
import time

from harness import Workload


def turn(rounds):
    for _ in itertools.repeat(None, rounds):  # and not `range`, whose numbers cost by what memory there is
        pass


class Forks(Workload):
    """A child computes, and the parent waits for it."""

    calls = 3

    def work(self):
        child = os.fork()
        if child == 0:
            turn(500_000)
            os._exit(0)
        os.waitpid(child, 0)


class Runs(Workload):
    def work(self):
        subprocess.run(["true"], check=True)


class LeavesAChild(Workload):
    """Machine code makes it, so that Python has not seen it, and nobody waits for it."""

    def work(self):
        if os.fork() == 0:
            os.execv("/bin/sleep", ["sleep", "1000"])


class ReadsTheClock(Workload):
    calls = 4

    def work(self):
        return time.monotonic()


class WaitsForTheClock(Workload):
    def work(self):
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            pass


class Interrupted(Workload):
    """A timer goes off while it works."""

    def setup(self):
        signal.signal(signal.SIGALRM, lambda *arguments: turn(100))

    def work(self):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        turn(1000)
        signal.setitimer(signal.ITIMER_REAL, 0)


class TimerSetBefore(Workload):
    def setup(self):
        signal.signal(signal.SIGALRM, lambda *arguments: None)
        signal.setitimer(signal.ITIMER_REAL, 1000)

    def work(self):
        turn(1000)


class Polled(Workload):
    """A thread that was there before goes on beside the work."""

    def setup(self):
        self.done = threading.Event()
        threading.Thread(target=self.poll, daemon=True).start()

    def poll(self):
        while not self.done.wait(0.001):
            pass

    def work(self):
        turn(1000)


class Quiet(Workload):
    """Nothing to say of it."""

    def warm_up(self):
        for _ in range(20):  # until the interpreter has chosen its ways
            self.work()

    def work(self):
        turn(1000)


#: By name: how to end the worker.
ENDINGS = {
    "os._exit(0)": lambda: os._exit(0),
    "sys.exit": lambda: (_ for _ in ()).throw(SystemExit(0)),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "exec of machine code": lambda: ctypes.CDLL(None).execl(b"/bin/true", b"true", None),
    "exit of machine code": lambda: ctypes.CDLL(None)._exit(0),
    "closed descriptors": lambda: os.closerange(0, 4096),
    "a child that comes back": os.fork,
    "a child that raises": lambda: os.fork() or turn("no number"),
}


class Ends(Workload):
    params = list(ENDINGS)
    param_names = ["how"]
    calls = 10
    limit_seconds = 60
    called = 0

    def setup(self, how):
        self.how = how

    def warm_up(self):
        """Nothing: the counted part is to be the first that meets it."""

    def work(self):
        turn(1000)
        ENDINGS[self.how]()


class EndsWhileWarm(Ends):
    params = ["a child that comes back"]

    def warm_up(self):
        with contextlib.suppress(OSError):
            os.fork()
