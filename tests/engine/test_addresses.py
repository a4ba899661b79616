"""The kernel may randomise addresses: counts are equal with and without, so no container needs a privilege."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

#: personality(2): of the process that is started, and of all that it starts.
FIXED = 0x0040000
START = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.personality({persona}) == -1:
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
STACK = "print(next(line for line in open('/proc/self/maps') if '[stack]' in line))"
#: What looking up costs hangs on the addresses of the keys.
SUITE = '''
from harness import Workload


class Hashed(Workload):
    """Looks up keys that hash by their addresses."""

    calls = 20

    def setup(self):
        self.keys = [object() for _ in range(500)]
        self.table = dict.fromkeys(self.keys)

    def work(self):
        for key in self.keys:
            self.table[key]
'''


def output(fixed: bool, *words: str) -> str:
    """What Python prints that is given these words, with fixed or with randomised addresses."""
    start = START.format(persona=FIXED if fixed else 0)
    command = [sys.executable, "-c", start, *words]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, env=dict(os.environ))
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.valgrind
@pytest.mark.parametrize("counter", ["callgrind", "readable"])
def test_counts_are_equal_with_randomised_and_with_fixed_addresses(tmp_path, counter):
    places = {fixed: {output(fixed, "-c", STACK) for _ in range(3)} for fixed in (True, False)}
    if len(places[True]) != 1 or len(places[False]) == 1:
        pytest.skip("this kernel randomises no addresses, or cannot be told not to")
    suite = tmp_path / "hashing"
    suite.mkdir()
    (suite / "__init__.py").write_text("")
    (suite / "hashed.py").write_text(SUITE)
    words = ["-m", "harness", "count", "hashed.Hashed", "--counter", counter, "--benchmarks", str(suite)]
    fixed, randomised = (output(fixed, *words) for fixed in (True, False))
    assert re.fullmatch(r" *[\d,.]+  \n", fixed) and fixed == randomised
