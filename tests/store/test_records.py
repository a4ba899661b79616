import dataclasses
import gzip
import json

import pytest

from harness.protocol import Counted
from harness.store import records


@pytest.fixture
def place(tmp_path):
    return records.Place(tmp_path / ".asv", "abc123", "virtualenv-py3.11", "dtensor.Detach", ("cpu", "a/b"))


@pytest.fixture
def counted(tmp_path):
    profile = tmp_path / "profile"
    profile.write_text("totals: 1010\n")
    return Counted(
        1, 1010, 10, 10, str(profile), {"count": 1.0}, (1010,), {"rest": 30}, fingerprint={"torch": "2.13.0"}
    )


def test_a_count_lies_where_the_documentation_says(place, counted):
    folder = records.keep(counted, place)
    assert str(folder).endswith(".asv/counts/abc123/virtualenv-py3.11/dtensor.Detach/cpu-a_b-0443ed91")
    record = json.loads((folder / "count.json").read_text())
    assert record["numbers"] == {"rest": 30}
    assert record["instructions per call"] == 100 and record["fingerprint"] == {"torch": "2.13.0"}
    assert gzip.decompress((folder / "callgrind.out.gz").read_bytes()) == b"totals: 1010\n"


def test_a_newer_count_takes_its_place_and_equal_profiles_make_equal_files(place, counted):
    first = (records.keep(counted, place) / "callgrind.out.gz").read_bytes()
    assert (records.keep(counted, place) / "callgrind.out.gz").read_bytes() == first
    assert [path.name for path in place.folder.parent.iterdir()] == [place.folder.name]


def test_cases_whose_names_differ_only_in_what_a_file_name_cannot_hold_lie_apart(place):
    other = dataclasses.replace(place, parameters=("cpu", "a:b"))
    assert other.folder.name.startswith("cpu-a_b-") and other.folder != place.folder
    assert dataclasses.replace(place, parameters=("cpu", "a_b")).folder.name == "cpu-a_b"


def test_a_count_that_cannot_be_kept_whole_leaves_nothing(place, counted, tmp_path):
    (tmp_path / "profile").unlink()
    with pytest.raises(OSError):
        records.keep(counted, place)
    assert list(place.folder.parent.iterdir()) == []


def test_what_is_kept_is_found_with_its_profile_and_the_names_of_its_parameters(place, counted):
    records.keep(counted, place, records.BenchmarkFacts(("device", "shape"), "v1", "torch"))
    assert records.commits(place.root) == ["abc123"]
    (found,) = records.find(place.root, "abc123", "dtensor.Detach")
    assert found.parameters == {"device": "cpu", "shape": "a/b"} and found.case == ("dtensor.Detach", ("cpu", "a/b"))
    assert found.record["rules"] == "torch" and found.run().per_call == 100
    assert list(records.find(place.root, "abc123", "dtensor.Other")) == []


def test_a_profile_of_an_older_form_is_read_from_what_callgrind_wrote(place, counted):
    folder = records.keep(counted, place)
    for data in (b"half", gzip.compress(b'{"form": 0}'), None):
        (folder / "profile.json.gz").unlink()
        if data is not None:
            (folder / "profile.json.gz").write_bytes(data)
        assert records.KeptCount.load(folder).profile().total == 1010
        (folder / "profile.json.gz").touch()
    (folder / "callgrind.out.gz").write_bytes((folder / "callgrind.out.gz").read_bytes()[:-9])
    with pytest.raises(ValueError, match="cut short"):
        records.KeptCount.load(folder).profile()


def test_the_view_by_python_function_lies_beside_and_goes_with_its_count(place, counted, tmp_path):
    (tmp_path / "frames").write_text("native 1\t/lib/libc.so.6\tmalloc\ncost 0 1 1010\ntotals: 1010\n")
    frames = dataclasses.replace(counted, profile=str(tmp_path / "frames"), fingerprint={"counter": "frames"})
    records.keep(counted, place)
    records.keep(frames, place)
    (found,) = records.find(place.root, "abc123")
    assert found.by_python.profile().exact and found.by_python.record["total"] == 1010
    records.keep(counted, place)
    (found,) = records.find(place.root, "abc123")
    assert found.by_python is None


def test_what_makes_counts_differ_is_told(place, counted):
    first = records.KeptCount.load(records.keep(counted, place, records.BenchmarkFacts((), "v1")))
    other = dataclasses.replace(counted, fingerprint={"torch": "2.15.0", "counter": "callgrind"})
    second = records.KeptCount.load(records.keep(other, place, records.BenchmarkFacts((), "v2")))
    assert second.differs_from(first) == [
        "the benchmark itself was edited",
        "counter: none -> callgrind",
        "torch: 2.13.0 -> 2.15.0",
    ]
    assert first.differs_from(first) == []


def test_the_commit_itself_is_no_difference(place, counted):
    kept = []
    for commit in ("abc123", "def456"):
        fingerprint = {"python of commit": commit, "binaries": "torch 2.13.0"}
        other = dataclasses.replace(place, commit=commit)
        kept.append(records.KeptCount.load(records.keep(dataclasses.replace(counted, fingerprint=fingerprint), other)))
    assert kept[1].differs_from(kept[0]) == []


def test_outside_asv_there_is_no_place():
    assert records.place_of("dtensor.Detach", ("cpu",)) is None
