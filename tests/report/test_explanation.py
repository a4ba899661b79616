"""Rows of explanations and comparisons, and what is written of them: as text, as a picture, for the pages. Pure."""

import dataclasses
import json
import re
import sys
import xml.etree.ElementTree

import pytest

from harness.asv_plugin import case_pages
from harness.errors import StartError
from harness.profile import comparison, flame, model
from harness.profile.comparison import Run
from harness.profile.components import Components
from harness.profile.model import CallPath, FunctionCost, Profile
from harness.profile.symbols import Function
from harness.report import columns, tables

A, B, C = (Function(name, "libpython") for name in "abc")
WORK, HELP = Function("work", "benchmarks/x.py"), Function("help", "torch/_ops.py")


def profile(**own):
    functions = {Function(name, "libpython"): FunctionCost(count, count, 10) for name, count in own.items()}
    paths = CallPath(0, {name: CallPath(spent.own) for name, spent in functions.items()})
    return Profile(sum(own.values()), functions, paths, exact=False)


BASE, HEAD = Run(profile(a=1000, b=500, c=70), 70, 10), Run(profile(a=1010, b=400, d=5), 70, 10)
PYTHON = Run(
    Profile(
        1000,
        {
            WORK: FunctionCost(600, 1000, 10),
            HELP: FunctionCost(400, 400, 20),
            Function("before", "x.py"): FunctionCost(0, 1000, 0),
        },
        CallPath(0, {WORK: CallPath(100, {A: CallPath(500), HELP: CallPath(400)})}),
        exact=True,
        lines={WORK: 7, HELP: 9},
        native={WORK: {A: 500, B: 100}, HELP: {A: 400}},
    ),
    100,
    10,
)


def test_the_rows_of_an_explanation_add_up_to_the_number():
    for run in (BASE, HEAD, PYTHON):
        overhead = run.overhead / run.calls
        assert sum(row.own for row in comparison.functions(run)) - overhead == pytest.approx(run.per_call)
        for figures in (comparison.libraries(run), comparison.parts(run, Components())):
            assert sum(figures.values()) / run.calls - overhead == pytest.approx(run.per_call)


def test_functions_come_by_their_own_or_by_their_inclusive_instructions():
    assert [row.function for row in comparison.functions(PYTHON)] == [WORK, HELP]  # what was there before is no row
    first = comparison.functions(PYTHON, inclusive=True)[0]
    assert (first.function, first.line, first.own, first.inclusive, first.calls) == (WORK, 7, 60, 100, 1)
    assert first.native == ((A, 50), (B, 10))


def test_machine_code_under_python_counts_where_it_lies():
    assert comparison.libraries(PYTHON) == {"libpython": 1000}
    assert comparison.parts(PYTHON, Components()) == {"the workload": 600, "torch": 400}


def test_a_comparison_names_what_moved_largest_first_and_adds_up():
    found = comparison.compare(BASE, HEAD)
    assert [(row.function.name, row.base, row.head) for row in found.rows] == [
        ("b", 50, 40),
        ("c", 7, 0),
        ("a", 100, 101),
        ("d", 0, 0.5),
    ]
    assert sum(row.change for row in found.rows) - found.overhead == pytest.approx(found.change) == pytest.approx(-15.5)
    assert found.rest(2) == (2, pytest.approx(1.5))


def test_equal_runs_give_an_empty_table():
    found = comparison.compare(BASE, BASE)
    assert found.rows == () and found.change == 0
    assert list(tables.compared(found, rows=20)) == []


def test_a_changed_overhead_is_a_row_of_its_own():
    found = comparison.compare(BASE, Run(BASE.profile, 90, 10))
    assert found.change == -2 and found.overhead == 2
    lines = list(tables.compared(found, rows=20))
    assert any("-2.00" in line and "an empty body" in line for line in lines) and "in all" in lines[-1]


@pytest.mark.parametrize("rows", [1, 2, 20])
def test_the_first_column_of_a_table_adds_up(rows):
    for lines, number in (
        (tables.compared(comparison.compare(BASE, HEAD), rows=rows), 1),
        (tables.explained(BASE, Components(), rows=rows, inclusive=False), 3),
    ):
        figures, added_up = [], 0
        for line in lines:
            found = re.match(r" *([-+]?[\d,]+\.\d\d) ", line)
            if found is None:
                figures = []  # a new table
                continue
            figures.append(float(found[1].replace(",", "")))
            if line.endswith("in all"):
                assert sum(figures[:-1]) == pytest.approx(figures[-1], abs=0.02), line
                figures, added_up = [], added_up + 1
        assert figures == [] and added_up == number


def test_figures_end_and_names_begin_below_each_other_whatever_they_are_made_of():
    lines = columns.lines(["count", "case"], [["7", "a"], ["1,234", "    in \x1b[31m\r\u2028b"], ["", ""]])
    assert lines == ["count  case", "    7  a", "1,234      in \\x1b[31m\\r\\u2028b", ""]
    assert columns.lines(["case", "count"], [["long", "1"], ["a", "22"]], names=[0])[1:] == [
        "long      1",
        "a        22",
    ]


def test_without_tabulate_a_sentence_says_where_there_is_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "tabulate", None)
    with pytest.raises(StartError, match="tables take the package tabulate, which .* lacks: use the environment asv"):
        columns.lines(["a"], [["b"]])


def test_python_functions_are_shown_with_their_line_and_the_machine_code_under_them():
    text = "\n".join(tables.explained(PYTHON, Components(), rows=20, inclusive=False))
    assert "work  benchmarks/x.py:7" in text and "in a  libpython" in text


def test_a_profile_comes_back_from_its_file_as_it_was():
    for run in (BASE, PYTHON):
        assert model.decode(run.profile.encode()) == run.profile


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"", b'{"form": 0}', b'{"form": 2, "names": []}'])
def test_what_is_no_profile_is_refused(data):
    with pytest.raises(ValueError):
        model.decode(data)


def boxes(text):
    """By name: the width of a flame graph's box in per cent, and the colour of the rectangle that is seen."""
    name = "{http://www.w3.org/2000/svg}"
    root = xml.etree.ElementTree.fromstring(text)
    (drawn,) = [root] if root.get("class") else root.findall(f"{name}svg/{name}svg")
    seen = "change" if "by-change" in drawn.get("class").split() else "part"
    found = {}
    for group in drawn.findall(f"{name}g"):
        place = group.find(f"{name}svg")
        colours = {rect.get("class"): rect.get("fill") for rect in place.findall(f"{name}rect")}
        found[group.find(f"{name}title").text.splitlines()[0]] = float(place.get("width").rstrip("%")), colours[seen]
    return found


def draw(run, base=None):
    return flame.picture(
        flame.graph(run, Components(), base), "work <1> & more", "a subtitle", by_change=base is not None
    )


def test_a_flame_graph_is_as_wide_as_its_instructions_and_says_what_they_are():
    text = draw(PYTHON)
    found = boxes(text)
    assert found["work"][0] == pytest.approx(2.5 * found["help"][0]) == pytest.approx(2 * found["a"][0]) == 100
    assert 'x="0.000%" y="18" width="50.000%"' in text and 'x="50.000%" y="18" width="40.000%"' in text
    assert found["work"][1] != found["help"][1]
    assert "40.00 instructions a call, 40.00%" in text and "work &lt;1&gt; &amp; more" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_difference_is_warm_where_a_path_grew_and_cold_where_it_shrank():
    before = dataclasses.replace(
        PYTHON.profile, paths=CallPath(0, {WORK: CallPath(100, {A: CallPath(600), HELP: CallPath(200)})})
    )
    text = draw(PYTHON, Run(before, 100, 10))
    found = boxes(text)
    assert found["help"][1].startswith("hsl(8,") and found["a"][1].startswith("hsl(215,")
    assert "+20.00 since the base" in text and "-10.00 since the base" in text
    same = boxes(draw(PYTHON, PYTHON))
    assert {colour for _, colour in same.values()} == {"hsl(0, 0%, 86%)"}


def test_a_difference_is_of_one_call_however_many_a_run_holds():
    paths = CallPath(0, {WORK: CallPath(200, {A: CallPath(1000), HELP: CallPath(800)})})
    twice = Run(dataclasses.replace(PYTHON.profile, total=2000, paths=paths), 200, 20)
    assert {colour for _, colour in boxes(draw(PYTHON, twice)).values()} == {"hsl(0, 0%, 86%)"}


def test_a_part_has_one_colour_in_all_graphs_of_a_page_and_in_its_tables():
    parts = {"torch": 0}
    text = flame.graph(PYTHON, Components(), parts=parts).text
    assert boxes(text)["help"][1] == f"hsl({flame.hue(0)}, 58%, 76%)"
    assert list(parts) == ["torch", "the workload", "interpreter"]
    assert boxes(text)["work"][1] == f"hsl({flame.hue(1)}, 58%, 76%)"


def test_a_page_has_everything_that_the_number_is_made_of():
    bundle = case_pages.Bundle(Components())
    bundle.add({"parameters": {"device": "cpu"}}, {"c": (HEAD, BASE), "python": (PYTHON, None)})
    told = json.loads(json.dumps(bundle.told()))
    views = told["cases"][0]["views"]
    for view in views.values():
        assert sum(row[1] for row in view["functions"]) + view["functions left"][1] == view["total"]
        assert sum(own for _, own in view["parts"]) == sum(own for _, own in view["libraries"]) == view["total"]
        assert all(row[0] < len(told["names"]) for row in view["functions"])
    moved = views["c"]["moved"]
    assert sum(head - base for _, base, head, _ in moved["rows"]) + moved["left"][1] - moved[
        "overhead"
    ] == pytest.approx(moved["head"] - moved["base"])
    assert "moved" not in views["python"]
    assert boxes(views["python"]["flame"])["help"][0] == 40
    (part,) = [part for part in told["parts"] if part[0] == "torch"]
    assert boxes(views["python"]["flame"])["help"][1].startswith(f"hsl({part[1]},")


def test_what_is_small_is_not_drawn_on_a_page():
    paths = CallPath(0, {A: CallPath(996, {B: CallPath(4)})})
    small = Run(Profile(1000, {A: FunctionCost(996, 1000, 1), B: FunctionCost(4, 4, 1)}, paths, True), 0, 1)
    bundle = case_pages.Bundle(Components())
    bundle.add({}, {"c": (small, None)})
    assert boxes(bundle.told()["cases"][0]["views"]["c"]["flame"]).keys() == {"a"}
    assert boxes(draw(small)).keys() == {"a", "b"}
