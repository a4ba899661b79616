"""What tests/inside/test_native.py runs under valgrind: what must work while code runs on the processor itself.

Called with the folder of the extension and of the libraries, and with what is to be done; prints an object of answers.
"""

import ctypes
import faulthandler
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, sys.argv[1])
import _client_requests as requests

FOLDER, TASK = sys.argv[1:3]
ANSWERS: dict[str, object] = {}


def library(name: str) -> ctypes.CDLL:
    return ctypes.CDLL(f"{FOLDER}/{name}.so", mode=ctypes.RTLD_GLOBAL)


def seconds_of_a_loop() -> float:
    began = time.perf_counter()
    for _ in range(300_000):
        pass
    return time.perf_counter() - began


def exact() -> None:
    """Loops of known size before, inside and after native stretches."""
    assert requests.count_by_reading(True)
    outer = library("inner") and library("outer")
    ANSWERS["before"] = outer.counted_turns(500), outer.counted_turns(1500)
    assert requests.go_native()
    outer.turns(ctypes.c_uint64(10**6))
    sum(range(10**5))
    requests.go_simulated()
    ANSWERS["after"] = outer.counted_turns(500), outer.counted_turns(1500)
    requests.begin()
    requests.start()
    requests.go_native()
    outer.turns(ctypes.c_uint64(10**6))
    requests.go_simulated()
    requests.stop()
    requests.take("native")
    ANSWERS["across"] = requests.taken()[-1][0]


def speed() -> None:
    """A loop of Python simulated, native, simulated: what it took."""
    first = seconds_of_a_loop()
    requests.go_native()
    ANSWERS.update(simulated=first, native=min(seconds_of_a_loop() for _ in range(3)))


def what_a_missing_program_gives() -> object:
    try:
        return subprocess.run(["/nowhere/to/be/found"]).returncode
    except FileNotFoundError as error:
        return error.strerror


def children() -> None:
    ANSWERS["missing, simulated"] = what_a_missing_program_gives()
    requests.go_native()
    pid = os.fork()
    if pid == 0:
        os._exit(7 if subprocess.run(["true"]).returncode == 0 else 8)
    ANSWERS["forked"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ANSWERS["subprocess"] = subprocess.run(["echo", "said"], capture_output=True, text=True).stdout
    spawned = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 5"], dict(os.environ))
    ANSWERS["spawned"] = os.waitstatus_to_exitcode(os.waitpid(spawned, 0)[1])
    libc, outer = ctypes.CDLL(None), library("inner") and library("outer")
    ANSWERS["vforked"] = outer.vforks()
    ANSWERS["system"] = os.waitstatus_to_exitcode(libc.system(b"exit 4"))
    ANSWERS["missing"] = what_a_missing_program_gives()
    ANSWERS["imports"] = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout
    ANSWERS["still native"] = requests.is_native()


def signals() -> None:
    came: list[int] = []
    for number in (signal.SIGALRM, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: came.append(number))
    requests.go_native()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    turns = 0
    while not came and turns < 10**9:  # no system call: nothing but the signal ends it
        turns += 1
    ANSWERS["in a loop"] = came == [signal.SIGALRM]
    came.clear()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.3)
    ANSWERS["in a system call"] = came == [signal.SIGALRM]
    came.clear()
    subprocess.run(["true"])
    ANSWERS["of a child"] = came == [signal.SIGCHLD]
    came.clear()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    os.kill(os.getpid(), signal.SIGUSR1)
    ANSWERS["held back"] = came == []
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    ANSWERS["let through"] = came == [signal.SIGUSR1]
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except KeyboardInterrupt:
        ANSWERS["interrupted"] = True
    ANSWERS["still native"] = requests.is_native()


def many_signals() -> None:
    """While system calls wait, while they do not, and while children end."""
    came: list[int] = []
    for number in (signal.SIGALRM, signal.SIGCHLD):
        signal.signal(number, lambda number, frame: came.append(number))
    requests.go_native()
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    ends = time.monotonic() + 4
    while time.monotonic() < ends:
        time.sleep(0.0005)
        sum(range(20_000))
        for _ in range(50):
            os.getppid()
        if len(came) % 20 == 0:
            subprocess.run(["true"])
    signal.setitimer(signal.ITIMER_REAL, 0)
    ANSWERS.update(alarms=came.count(signal.SIGALRM), children=came.count(signal.SIGCHLD))


def words_of_moved_code(outer: ctypes.CDLL) -> ctypes.Array[ctypes.c_uint32]:
    """What features() says where mremap has put its code, which is put back."""
    libc, words = ctypes.CDLL(None), (ctypes.c_uint32 * 8)()
    libc.mremap.restype = libc.mmap.restype = ctypes.c_void_p
    features = ctypes.cast(outer.features, ctypes.c_void_p).value or 0
    with open("/proc/self/maps") as maps:
        ranges = [[int(end, 16) for end in line.split(" ")[0].split("-")] for line in maps]
    start, end = next((start, end) for start, end in ranges if start <= features < end)

    def move(origin: int, target: int) -> None:
        moved = libc.mremap(*map(ctypes.c_void_p, (origin, end - start, end - start)), 3, ctypes.c_void_p(target))
        assert moved == target  # 3: MREMAP_MAYMOVE | MREMAP_FIXED

    elsewhere = libc.mmap(None, ctypes.c_size_t(end - start), 0, 0x22, -1, ctypes.c_long(0))  # private, anonymous
    move(start, elsewhere)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(features - start + elsewhere)(ctypes.addressof(words))
    move(elsewhere, start)
    return words


def memory() -> None:
    outer_words, words = (ctypes.c_uint32 * 8)(), (ctypes.c_uint32 * 8)()
    before = library("inner") and library("outer_of_before")
    before.features(outer_words)
    requests.go_native()
    inner, outer = ctypes.CDLL(f"{FOLDER}/inner.so"), library("outer")
    ANSWERS["constructor"] = outer.constructor_ran()
    ANSWERS["caught"] = outer.catches(2)
    ANSWERS["thread-local"] = inner.thread_local_number()
    ANSWERS["vectors"] = outer.vectors_are_kept()
    ANSWERS["deep"] = outer.recurses(1500)  # six megabytes
    outer.features(words)
    ANSWERS["loaded natively sees the same processor"] = list(words) == list(outer_words)
    before.features(words)
    ANSWERS["loaded before sees it"] = list(words) == list(outer_words)
    pages = mmap.mmap(-1, 1 << 16, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages[:4] = b"text"
    pages.resize(1 << 22)
    ANSWERS["resized"] = pages[:4].decode()
    libc = ctypes.CDLL(None)
    ANSWERS["protected"] = libc.mprotect(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(pages))), 4096, 3)
    ANSWERS["moved code sees it"] = list(words_of_moved_code(outer)) == list(outer_words)
    requests.go_simulated()
    outer.features(words)
    ANSWERS["simulated again sees it"] = list(words) == list(outer_words)
    ANSWERS["and the rest"] = [outer.catches(2), outer.vectors_are_kept()]
    late = library("outer_of_after")  # loaded while code is simulated, and its file is gone
    os.remove(f"{FOLDER}/outer_of_after.so")
    requests.go_native()
    late.features(words)
    ANSWERS["loaded between sees it"] = list(words) == list(outer_words)


def threads() -> None:
    requests.go_native()
    told: list[int] = []
    go_on = threading.Event()
    thread = threading.Thread(target=lambda: go_on.wait() and told.append(sum(range(1000))))
    thread.start()
    ANSWERS["with a thread"] = requests.is_native() or requests.go_native()
    go_on.set()
    thread.join()
    ANSWERS["told"] = told
    deadline = time.monotonic() + 20
    while not requests.go_native() and time.monotonic() < deadline:
        time.sleep(0.01)
    ANSWERS["again"] = requests.is_native()


def fault() -> None:
    requests.go_native()
    print("before", flush=True)
    ctypes.string_at(0)


def handled_fault() -> None:
    faulthandler.enable()
    fault()


def overflow() -> None:
    outer = library("inner") and library("outer")
    requests.go_native()
    outer.recurses(10**7)


def terminated() -> None:
    requests.go_native()
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(10**9):
        pass


def lack() -> None:
    ANSWERS["native"] = requests.go_native()
    ANSWERS["lack"] = requests.native_lack()


globals()[TASK]()
print(json.dumps(ANSWERS), flush=True)
os._exit(0)
