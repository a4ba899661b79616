import pytest

from harness.cli.costs import lines
from harness.errors import SuiteError
from harness.protocol import Counted
from harness.store import costs, records


@pytest.fixture
def root(tmp_path):
    def keep(commit, benchmark, case, total, count, counter="callgrind"):
        counted = Counted(1, total, 0, 10, None, {"setup": 1.0, "warm-up": 2.0, "count": count, "overhead": 0.5})
        counted = Counted(**{**vars(counted), "fingerprint": {"counter": counter}})
        records.keep(counted, records.Place(tmp_path / ".asv", commit, counter, benchmark, (case,)))

    keep("a", "dtensor.View", "cpu", 70, 9.0)
    keep("b", "dtensor.View", "cpu", 100, 3.0)
    keep("b", "dtensor.View", "meta", 300, 4.0)
    keep("b", "dtensor.View", "meta", 999, 90.0, "readable")
    keep("b", "loops.AddLoop", "cpu", 5000, 60.0)
    return tmp_path / ".asv"


def test_the_newest_count_of_each_case_speaks_for_it(root):
    view, loop = costs.costs(costs.newest(root, "callgrind"))
    assert view == costs.Cost("dtensor.View", 2, 10, 30, (2.0, 4.0, 8.0))
    assert (loop.cases, loop.least, loop.most) == (1, 500, 500)


def test_the_table_adds_up(root):
    header, *rows, last = lines(costs.costs(costs.newest(root, "callgrind")))
    assert len(rows) == 2 and {header.index("benchmark")} == {
        line.index(name) for line, name in zip((*rows, last), ("dtensor", "loops", "seconds"), strict=True)
    }
    ends = header.index("set-up") + len("set-up")
    assert [line[:ends].split()[-1] for line in (*rows, last)] == ["2.0", "1.0", "3.0"]
    assert last.split() == ["3", "3.0", "6.0", "68.5", "seconds", "of", "one", "core,", "1.3", "min", "in", "all"]
    assert rows[0].split() == ["2", "10", "-", "30", "2.0", "4.0", "8.0", "dtensor.View"]


def test_a_choice_of_benchmarks_is_asvs(root):
    assert [cost.benchmark for cost in costs.costs(costs.newest(root, "callgrind", "^dten"))] == ["dtensor.View"]
    with pytest.raises(SuiteError, match="no count by callgrind of any 'nothing' is kept"):
        costs.newest(root, "callgrind", "nothing")
    with pytest.raises(SuiteError, match="no regular expression"):
        costs.newest(root, "callgrind", "(")
