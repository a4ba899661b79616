"""A question about counts becomes views once: counts that lie in a folder, nothing of asv."""

from __future__ import annotations

import dataclasses

import pytest

from harness.errors import SuiteError
from harness.protocol import Counted
from harness.report import resolve
from harness.report.resolve import Wanted
from harness.store import records

BASE, HEAD = "a" * 40, "b" * 40


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """Keeps a count of the benchmark x.Y at a commit; nothing can be counted anew, and what would be is noted."""
    (tmp_path / "asv.conf.json").touch()
    profiles = {"callgrind": "totals: {0}\n", "frames": "native 1\t/lib/libc.so.6\tmalloc\ncost 0 1 {0}\ntotals: {0}\n"}

    def keep(commit, total, counter="callgrind", device="cpu", environment="env"):
        profile = tmp_path / "profile"
        profile.write_text(profiles[counter].format(total))
        counted = Counted(1, total, 0, 1, str(profile), {}, fingerprint={"counter": counter})
        place = records.Place(tmp_path / ".asv", commit, environment, "x.Y", (device,))
        return records.keep(counted, place, records.BenchmarkFacts(("device",)))

    keep.counted = []
    monkeypatch.setattr(resolve._Resolver, "_count", lambda self, *what: keep.counted.append(what))
    return keep


def wanted(tmp_path, **fields):
    return Wanted(tmp_path / "asv.conf.json", **{"benchmark": "x.Y", **fields})


def totals(views):
    return [view.shown.record["total"] for view in views]


def test_a_question_is_answered_by_a_list_that_stays_as_it_is(keep, tmp_path):
    keep(BASE, 100), keep(BASE, 200, device="cuda")
    views = resolve.at_commit(wanted(tmp_path), BASE[:10])
    assert isinstance(views, tuple) and totals(views) == [100, 200]
    assert all(view.commit == BASE and view.count is view.shown and not view.remarks for view in views)
    with pytest.raises(dataclasses.FrozenInstanceError):
        views[0].remarks = ("another",)
    keep(BASE, 300)
    assert totals(views) == [100, 200] and keep.counted == []


def test_only_what_was_asked_for_is_in_it(keep, tmp_path):
    keep(BASE, 100), keep(BASE, 200, device="cuda"), keep(BASE, 300, environment="other")
    assert totals(resolve.at_commit(wanted(tmp_path, assignments=("device=cuda",)), BASE)) == [200]
    assert totals(resolve.at_commit(wanted(tmp_path, environment="env"), BASE)) == [100, 200]


def test_where_two_environments_have_a_case_it_is_said_which_one_is_shown(keep, tmp_path):
    keep(BASE, 100), keep(BASE, 300, environment="other")
    (view,) = resolve.at_commit(wanted(tmp_path), BASE)
    assert totals([view]) == [300]
    assert view.remarks == ("the newest count, of other; --environment chooses another one: env",)
    (view,) = resolve.at_commit(wanted(tmp_path, environment="env"), BASE)
    assert totals([view]) == [100] and not view.remarks


def test_what_is_missing_is_counted_and_what_is_asked_for_again(keep, tmp_path):
    keep(BASE, 100)
    resolve.at_commit(wanted(tmp_path, again=True), BASE)
    assert keep.counted == [(BASE, "callgrind", "x.Y")]
    resolve.at_commit(wanted(tmp_path, python=True), BASE)
    assert keep.counted[1:] == [(BASE, "frames", "x.Y")]


def test_by_python_function_where_that_is_kept(keep, tmp_path):
    keep(BASE, 100), keep(BASE, 102, "frames")
    (view,) = resolve.at_commit(wanted(tmp_path, python=True), BASE)
    assert (view.count.record["total"], view.shown.record["total"], view.failed) == (100, 102, False)
    assert view.remarks == ("by Callgrind, which tells no Python: 100.00 (+2.000%)",)
    (view,) = resolve.at_commit(wanted(tmp_path), BASE)
    assert view.shown is view.count and view.remarks == ("(by Python function: --python)",)


def test_two_commits_are_shown_alike(keep, tmp_path):
    keep(BASE, 100), keep(BASE, 102, "frames"), keep(HEAD, 110)
    ((before, after),) = resolve.between_commits(wanted(tmp_path, python=True), BASE, HEAD)
    assert totals([before, after]) == [100, 110] and before.failed and after.failed
    keep(HEAD, 112, "frames")
    ((before, after),) = resolve.between_commits(wanted(tmp_path, python=True), BASE, HEAD)
    assert totals([before, after]) == [102, 112] and not (before.failed or after.failed)


def test_commits_without_a_common_case_are_refused(keep, tmp_path):
    keep(BASE, 100), keep(HEAD, 200, device="cuda")
    with pytest.raises(SuiteError, match="have no case in common"):
        resolve.between_commits(wanted(tmp_path), BASE, HEAD)
