"""Everything that a workload can do wrong, one choice of `fault` each."""

import ctypes
import mmap
import os
import signal
import subprocess
import sys
import time

from harness import Workload

#: vaddps zmm0, zmm0, zmm0; ret
AVX512 = bytes.fromhex("62f17c4858c0c3")


def execute(code):
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()


class Faults(Workload):
    params = [
        "none",
        "setup raises",
        "warm-up raises",
        "work raises",
        "skips",
        "hangs",
        "exits",
        "is killed",
        "runs out of memory",
        "leaves at once",
        "does nothing",
        "meets AVX-512",
        "kills the server",
        "leaves a child",
        "says much",
        "none again",
    ]
    param_names = ["fault"]
    limit_seconds = 20
    called = 0

    def setup(self, fault):
        self.fault = fault
        if fault == "setup raises":
            raise ValueError("no such input")
        if fault == "skips":
            raise NotImplementedError("no such device")

    def work(self):
        self.called += 1
        match self.fault:
            case "warm-up raises":
                raise ValueError("raised in the warm-up")
            case "work raises" if self.called > 1:
                raise ValueError("raised while counting")
            case "hangs":
                time.sleep(1000)
            case "exits":
                sys.exit(3)
            case "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "runs out of memory":
                bytearray(1 << 60)
            case "leaves at once":
                os._exit(0)
            case "meets AVX-512":
                execute(AVX512)
            case "kills the server":
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(1000)
            case "leaves a child":
                subprocess.Popen(["sleep", "1000"], start_new_session=True)
            case "says much":
                print("x" * 1_000_000)
                raise ValueError("y" * 1_000_000)


class Idle(Workload):
    """`work` is as empty as the overhead's body."""

    def work(self):
        pass
