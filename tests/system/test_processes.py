import os
import subprocess
import sys

from harness.system import processes
from tests.conftest import wait_until


def test_descendants_are_found_and_killed_even_in_sessions_of_their_own():
    script = (
        "import os, subprocess, sys\n"
        "from harness.system import processes\n"
        "processes.adopt_orphans()\n"
        "subprocess.run(['sh', '-c', 'setsid sleep 1000 & sleep 0.2'])\n"
        "before = processes.descendants(os.getpid())\n"
        "processes.kill_descendants()\n"
        "print(len(before), len(processes.descendants(os.getpid())))\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert answer.stdout.split() == ["1", "0"], answer


def test_a_process_can_be_bound_to_its_parents_life():
    script = (
        "import subprocess, sys, time\n"
        "from harness.system import processes\n"
        "child = subprocess.Popen(['sleep', '1000'], preexec_fn=processes.die_with_parent)\n"
        "print(child.pid, flush=True)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    child = int(answer.stdout)
    assert wait_until(lambda: child not in processes.descendants(os.getpid()))


def test_an_end_is_told_in_words():
    assert processes.ending_in_words(9) == "was killed by SIGKILL"
    assert processes.ending_in_words(3 << 8) == "exited with status 3"
