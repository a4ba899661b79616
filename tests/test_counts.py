from harness.counts import Counts


def test_difference_names_what_moved_largest_first():
    before = Counts(100, {"same": 50, "gone": 20, "grew": 30})
    after = Counts(185, {"same": 50, "grew": 35, "new": 100})
    assert list(after.difference(before).items()) == [("new", 100), ("gone", -20), ("grew", 5)]


def test_equal_counts_differ_in_nothing():
    counts = Counts(1, {"f": 1})
    assert counts.difference(counts) == {}
