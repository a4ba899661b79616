"""The script that tells whether steps of 0.1 % are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_steps

from tests.histories import small_steps_history

NAMED = [{"detach costlier"}, {"tracing costlier"}]
FLAGGED = {
    "detach costlier": {"dtensor.Detach"},
    "tracing costlier": {"aotdispatcher.AOTDispatcher"},
    "comment 3": set(),
}


def test_a_round_is_right_if_each_step_is_named_and_nothing_else_is():
    assert small_steps.as_expected(NAMED, FLAGGED, "comment 3")


@pytest.mark.parametrize(
    ("named", "flagged"),
    [
        ([set(), NAMED[1]], FLAGGED),
        ([NAMED[0], {"tracing costlier", "comment 3"}], FLAGGED),
        (NAMED, {**FLAGGED, "detach costlier": set()}),
        (NAMED, {**FLAGGED, "comment 3": {"dtensor.Detach"}}),
        (NAMED, {**FLAGGED, "tracing costlier": {"aotdispatcher.AOTDispatcher", "dtensor.Detach"}}),
    ],
)
def test_what_is_missed_and_what_is_named_although_it_changes_nothing_are_wrong(named, flagged):
    assert not small_steps.as_expected(named, flagged, "comment 3")


def test_two_commits_of_its_history_change_what_runs(tmp_path):
    site = tmp_path / "site"
    for path, text in {
        "torch/distributed/tensor/_dispatch.py": "    def wrap(res: object, spec: OutputSpecType) -> object:\n",
        "torch/_dynamo/symbolic_convert.py": (
            '        """Process exactly one instruction, return False we should exit"""\n'
        ),
        "torch/onnx/__init__.py": "",
        "torch/optim/sgd.py": "",
    }.items():
        Path(site, path).parent.mkdir(parents=True)
        Path(site, path).write_text(text)
    history = small_steps_history(tmp_path / "pytorch", site, (5, 2))
    assert len(history.commits) == 23

    def added(subject: str) -> list[str]:
        lines = history.git("show", "--format=", "--unified=0", history.commits[subject]).splitlines()
        return [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]

    assert list(history.commits).index("detach costlier") == 5 and added("detach costlier") == ["len"]
    assert list(history.commits).index("tracing costlier") == 2
    assert added("tracing costlier") == ["for _ in range(10):", "pass"]
