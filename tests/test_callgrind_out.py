from pathlib import Path

import pytest

from harness import callgrind_out

FILES = Path(__file__).parent / "callgrind_files"


def text(name):
    return (FILES / f"{name}.out").read_text()


def test_self_instructions_of_each_function_add_up_to_the_total():
    counts = callgrind_out.parse(text("two_functions"))
    assert counts.total == 185
    assert counts.functions == {"outer": 125, "inner": 60}


def test_the_total_is_read_from_a_files_end_alone():
    assert callgrind_out.read_total(str(FILES / "two_functions.out")) == 185


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
        callgrind_out.parse(text(name))
