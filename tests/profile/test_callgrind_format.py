import pytest

from harness.inside import counters
from harness.profile import callgrind_format
from harness.profile.symbols import Function
from tests.conftest import ROOT

FILES = ROOT / "tests/callgrind_files"


def text(name):
    return (FILES / f"{name}.out").read_text()


def test_instructions_of_each_function_add_up_to_the_total():
    profile = callgrind_format.parse(text("two_functions"))
    assert profile.total == 185
    assert {name.name: (spent.own, spent.inclusive, spent.calls) for name, spent in profile.functions.items()} == {
        "outer": (125, 185, 0),
        "inner": (60, 60, 2),
    }


def test_recursion_counts_once_and_names_are_those_of_any_install():
    profile = callgrind_format.parse(text("recursion"))
    assert {tuple(name): (spent.own, spent.inclusive, spent.calls) for name, spent in profile.functions.items()} == {
        ("outer(int)", "libtorch_cpu"): (10, 207, 0),
        ("walk(int)", "libtorch_cpu"): (50, 190, 6),
        ("malloc", "libc"): (147, 147, 6),
        ("(no name)", "(no file)"): (4, 4, 0),
    }


def test_paths_are_estimated_and_hold_the_whole_total():
    profile = callgrind_format.parse(text("recursion"))
    assert not profile.exact and abs(profile.paths.inclusive - profile.total) <= 1
    outer, walk, malloc = (
        Function(name, place)
        for name, place in (("outer(int)", "libtorch_cpu"), ("walk(int)", "libtorch_cpu"), ("malloc", "libc"))
    )
    below = profile.paths.called[outer]
    assert set(below.called) == {walk, malloc} and malloc in below.called[walk].called[walk].called


def test_the_total_is_read_from_a_files_end_alone():
    assert counters.read_total(str(FILES / "two_functions.out")) == 185


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_totals_line", "no `totals:` line"),
        ("zero_total", "0 instructions"),
        ("wrapped_counter", "18,446,744,073,603,842,704, a count that wrapped"),
        ("two_events", "expected the one event Ir"),
    ],
)
def test_a_file_without_a_count_is_refused_with_what_was_found(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        callgrind_format.parse(text(name))
