"""The text of the tool that counts by Python function, and the names in it."""

from __future__ import annotations

import pytest

from harness.profile import frames_format, symbols
from harness.profile.symbols import Function

TEXT = """code 2 7\t/tmp/harness-0-00/site/torch/_ops.py\touter
code 1 3\t/opt/python/lib/python3.11/functools.py\tinner
code 3 1\t/tmp/harness-0-00/site/harness/inside/worker.py\tlive
node 1 0 3 0
node 2 1 2 4
node 3 2 1 8
node 4 3 2 2
native 1\t/usr/lib/libpython3.11.so.1.0\t_PyEval_EvalFrameDefault
native 2\t/usr/lib/libc.so.6\tmalloc
cost 1 1 5
cost 2 1 100
cost 2 2 20
cost 3 1 30
cost 4 1 40
totals: 195
"""


def test_the_text_is_read_as_the_tool_writes_it():
    profile = frames_format.parse(TEXT)
    outer, inner = Function("outer", "torch/_ops.py"), Function("inner", "python/functools.py")
    assert profile.total == 195 and profile.exact
    told = {name: (spent.own, spent.inclusive, spent.calls) for name, spent in profile.functions.items()}
    assert told == {outer: (160, 190, 6), inner: (30, 70, 8), frames_format.OUTSIDE: (5, 5, 0)}
    assert profile.lines[outer] == 7 and profile.native[outer] == {
        Function("_PyEval_EvalFrameDefault", "libpython"): 140,
        Function("malloc", "libc"): 20,
    }
    assert list(profile.paths.called) == [Function("_PyEval_EvalFrameDefault", "libpython"), outer]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TEXT.replace("totals: 195\n", ""), "no `totals:` line"),
        (TEXT.replace("totals: 195", "totals: 196"), "the parts add up to 195 instructions, the total is 196"),
    ],
)
def test_what_is_not_whole_is_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        frames_format.parse(text)


def test_names_are_the_same_in_two_installs():
    for path in ("/a/lib/python3.11/site-packages/torch/x.py", "/tmp/harness-0-07/site/torch/x.py"):
        assert symbols.file(path) == "torch/x.py"
