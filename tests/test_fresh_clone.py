"""The command that the README begins with in a fresh clone, on real torch; and the same number without asv. Minutes."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "-B", "main"], cwd=folder, check=True)
    return folder


def test_make_bench_counts_publishes_and_says_where_to_look(clone, tmp_path):
    surroundings = {**os.environ, "HOME": str(clone.parent)}
    answer = subprocess.run(
        ["make", "bench", "BENCH=Detach"], cwd=clone, capture_output=True, text=True, timeout=900, env=surroundings
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    assert "    dtensor.Detach(cpu) " in answer.stdout  # the progress
    assert "pages: .asv/html/index.html" in answer.stdout
    (result,) = clone.glob(".asv/results/*/*-*.json")
    count, cuda, meta = json.loads(result.read_text())["results"]["dtensor.Detach.track_instructions"][0]
    assert 40_000 < count < 80_000 and 40_000 < meta < 80_000
    assert cuda is None or math.isnan(cuda) or cuda > 40_000
    assert ".venv/bin/harness explain dtensor.Detach --param device=cpu" in answer.stdout  # what next
    (kept,) = clone.glob(".asv/counts/*/*/dtensor.Detach/cpu/count.json")
    assert json.loads(kept.read_text())["instructions per call"] == count
    assert (clone / ".asv/html/index.html").exists()

    # The same environment without asv.
    (python,) = clone.glob(".asv/env/*/bin/python")
    command = [str(python), "-m", "harness", "count", "dtensor.Detach", "--param", "device=cpu", "--json"]
    answer = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=300, env=surroundings)
    assert json.loads(answer.stdout)["instructions"] == count, answer.stderr

    # With the other counter: a series of its own, and what compiles is told by phases too.
    answer = subprocess.run(
        ["make", "bench", "BENCH=Detach", "COUNTER=readable"],
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=900,
        env=surroundings,
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    results = {path.name: json.loads(path.read_text()) for path in clone.glob(".asv/results/*/*-*.json")}
    assert sorted(found["env_vars"]["HARNESS_COUNTER"] for found in results.values()) == ["callgrind", "readable"]
    counts = {found["results"]["dtensor.Detach.track_instructions"][0][0] for found in results.values()}
    assert counts == {count}, "both counters count the same, also where the tool of one lies in a folder of long name"

    # The same environment in a place whose name is long, with torch compiled there by another process than pip's, and
    # another home, where the tool is not built yet, then is.
    elsewhere = clone.parent / ("longer" * 20)
    shutil.copytree(python.parent.parent, elsewhere, copy_function=os.link, symlinks=True)
    compiled = next(elsewhere.glob("lib/python3.*/site-packages/torch/__pycache__/functional.cpython-*.pyc"))
    before = compiled.read_bytes()
    compileall = [str(elsewhere / "bin/python"), "-m", "compileall", "-q", "-f", "-j", "0", str(compiled.parent.parent)]
    subprocess.run(compileall, capture_output=True)
    assert compiled.read_bytes() != before
    command = [str(elsewhere / "bin/python"), *command[1:], "--counter", "readable"]
    surroundings["HOME"] = str(tmp_path)
    for _ in range(2):
        answer = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=300, env=surroundings)
        assert json.loads(answer.stdout)["instructions"] == count, answer.stderr
    index = json.loads((clone / ".asv/html/index.json").read_text())
    assert set(index["params"]["env-HARNESS_COUNTER"]) == {"callgrind", "readable"}
    listed = json.loads((clone / ".asv/results/benchmarks.json").read_text())
    assert "dynamo_inline.InlineChain.track_tracing" in listed
    assert set(index["benchmarks"]) == {"dtensor.Detach.track_instructions"}, "the grid shows what has results"


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("COUNTER=cachegrind", "COUNTER is 'cachegrind'; known are callgrind and readable"),
        ("SUITE=huge", "invalid choice: 'huge' (choose from 'quick', 'default', 'full')"),
    ],
)
def test_what_is_unknown_is_refused_before_anything_starts(clone, word, sentence):
    answer = subprocess.run(["make", "bench", word], cwd=clone, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 2 and sentence in answer.stderr, answer.stderr
