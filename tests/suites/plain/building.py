"""Cases that need something built before they are counted."""

import os
import signal
import subprocess
import time
from pathlib import Path

import harness
from harness import StartError, Workload

#: Ten instructions a call, and whatever the loop itself takes, which is the overhead.
LOOPS = r"""
#include "counting.h"
#include <stdlib.h>
#define LOOP(name, body, outcome)                          \
    const char *name(long calls, struct counting *counting) \
    {                                                      \
        start_counting(counting);                          \
        for (long call = 0; call < calls; call++)          \
            __asm__ volatile(body ::: "memory");           \
        stop_counting(counting);                           \
        return outcome;                                    \
    }
LOOP(ten, "nop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop", 0)
LOOP(empty, "", 0)
const char *allocates(long calls, struct counting *counting)
{
    start_counting(counting);
    for (long call = 0; call < calls; call++) {
        void *volatile small = malloc(200);
        void *volatile aligned = aligned_alloc(64, 3008);
        void *volatile large = malloc(40000);
        free(aligned);
        free(small);
        free(large);
    }
    stop_counting(counting);
    return 0;
}
LOOP(complains, "nop", "the loop complains")
"""


class Native(Workload):
    """A loop in C that counts itself."""

    params = ["ten", "complains", "allocates"]
    param_names = ["loop"]
    calls = 1000

    @classmethod
    def needs(cls, loop):
        return ("loops",)

    @classmethod
    def build(cls, need, folder, cache):
        (folder / "loops.c").write_text(LOOPS)
        headers = Path(harness.__file__).parent / "inside"
        command = ["gcc", "-O2", "-shared", "-fPIC", f"-I{headers}", "loops.c", "-o", "loops.so"]
        subprocess.run(command, cwd=folder, check=True)

    def setup(self, loop):
        from harness.inside.counters import native_loop

        library = str(self.built / "loops/loops.so")
        self.work, self.nothing = native_loop(library, loop), native_loop(library, "empty")

    def warm_up(self):
        pass

    def work(self):
        raise NotImplementedError


class Built(Workload):
    """Every way in which building can go, one choice each; "plain" needs nothing."""

    params = [["plain", "fine", "shared", "fails", "raises", "is killed", "leaves a child", "slow"], [1, 2]]
    param_names = ["how", "number"]
    skip_params = [("plain", 2)]

    @classmethod
    def needs(cls, how, number):
        return {"plain": (), "shared": ("fine", "second")}.get(how, (how,))

    @classmethod
    def build(cls, need, folder, cache):
        with open(folder / "built.txt", "a") as file:
            file.write(f"{need}\n")
        match need:
            case "fails":
                raise StartError("no compiler far and wide")
            case "raises":
                raise ValueError("raised while building")
            case "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "leaves a child":
                subprocess.Popen(["sleep", "1000"])
            case "slow":
                time.sleep(1000)

    def setup(self, how, number):
        self.numbers = [number] * 10
        for need in self.needs(how, number):
            assert (self.built / need / "built.txt").read_text() == f"{need}\n"

    def work(self):
        return sum(number + 1 for number in self.numbers)
