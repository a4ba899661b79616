import dataclasses
import gzip
import json

import pytest

from harness import kept
from harness.messages import Counted


@pytest.fixture
def place(tmp_path):
    return kept.Place(tmp_path / ".asv", "abc123", "virtualenv-py3.11", "dtensor.Detach", ("cpu", "a/b"))


@pytest.fixture
def counted(tmp_path):
    profile = tmp_path / "profile"
    profile.write_text("totals: 1010\n")
    return Counted(1, 1010, 10, 10, str(profile), {"count": 1.0}, (1010,), {"rest": 30}, {"torch": "2.13.0"})


def test_a_count_lies_where_the_documentation_says(place, counted):
    folder = kept.keep(counted, place)
    assert str(folder).endswith(".asv/counts/abc123/virtualenv-py3.11/dtensor.Detach/cpu-a_b-0443ed91")
    record = json.loads((folder / "count.json").read_text())
    assert record["numbers"] == {"rest": 30}
    assert record["instructions per call"] == 100 and record["fingerprint"] == {"torch": "2.13.0"}
    assert gzip.decompress((folder / "callgrind.out.gz").read_bytes()) == b"totals: 1010\n"


def test_a_newer_count_takes_its_place_and_equal_profiles_make_equal_files(place, counted):
    first = (kept.keep(counted, place) / "callgrind.out.gz").read_bytes()
    assert (kept.keep(counted, place) / "callgrind.out.gz").read_bytes() == first
    assert [path.name for path in place.folder.parent.iterdir()] == [place.folder.name]


def test_cases_whose_names_differ_only_in_what_a_file_name_cannot_hold_lie_apart(place):
    other = dataclasses.replace(place, parameters=("cpu", "a:b"))
    assert other.folder.name.startswith("cpu-a_b-") and other.folder != place.folder
    assert dataclasses.replace(place, parameters=("cpu", "a_b")).folder.name == "cpu-a_b"


def test_a_count_that_cannot_be_kept_whole_leaves_nothing(place, counted, tmp_path):
    (tmp_path / "profile").unlink()
    with pytest.raises(OSError):
        kept.keep(counted, place)
    assert list(place.folder.parent.iterdir()) == []


def test_outside_asv_there_is_no_place():
    assert kept.place_of("dtensor.Detach", ("cpu",)) is None
