"""The first page of what asv publishes: what it is made of (pure), and how it looks in a browser."""

from __future__ import annotations

import json
import math
import tarfile
import time
from pathlib import Path

import pytest

from harness.asv_plugin import history as asv_history
from harness.asv_plugin import overview, third_party
from harness.store.noise import Measured, facts_of
from tests import browsing
from tests.browsing import Look, serving

COMMITS = [(f"{number:040x}", 1_700_000_000 + number, f"commit {number}") for number in range(3)]
#: For the tests alone.
AXE = third_party.Package(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    {"axe.min.js": "axe.min.js"},
    "LICENSE",
)


def history(name: str, counts, noise=0.004, **parameters) -> overview.History:
    return overview.History("env", name, parameters, tuple(map(repr, parameters.values())), counts, noise)


# What it is made of


def test_rows_are_in_order_and_those_that_were_never_counted_are_none():
    several = [
        history("b.B", [1.0, None, 2.0]),
        history("a.A", [None, None, None]),
        history("a.A", [3.0, 4.0, 5.0], x=1),
    ]
    page = overview.page("project", 8, COMMITS, several, {})
    assert [(row["benchmark"], row["counts"]) for row in page["rows"]] == [
        ("a.A", [3.0, 4.0, 5.0]),
        ("b.B", [1.0, None, 2.0]),
    ]
    assert page["commits"] == [list(commit) for commit in COMMITS]


def test_what_is_behind_a_count_is_found_by_what_asv_lists_its_values_as():
    detail = overview.Detail(
        "abc", {"python": 0.5, **{f"part {n}": 0.01 * n for n in range(9)}}, ("f", "f.py", 12.0), ["note"]
    )
    page = overview.page("p", 8, COMMITS, [history("a.A", [1.0, 2.0, 3.0], x="1")], {("env", "a.A", ("'1'",)): detail})
    (row,) = page["rows"]
    assert row["parts"][0] == ["python", 0.5] and len(row["parts"]) == 6
    assert (row["moved"], row["notes"], row["profile"]) == (["f", "f.py", 12.0], ["note"], "abc")
    (bare,) = overview.page("p", 8, COMMITS, [history("a.A", [1.0, 2.0, 3.0], x="1")], {})["rows"]
    assert not {"parts", "moved", "profile"} & bare.keys(), "what is absent is absent"


def test_asvs_results_become_histories():
    benchmarks = {
        "m.A.track_instructions": {"params": [["'cpu'", "'1'", "1"]], "param_names": ["x"], "noise": 0.1},
        "m.A.track_total": {"params": [["'cpu'", "'1'", "1"]], "param_names": ["x"]},
    }
    found = {
        ("env", "m.A.track_instructions"): {"one": [1.0, None, math.nan], "two": [2.0, 3.0, math.nan]},
        ("env", "m.A.track_total"): {"one": [9.0, 9.0, 9.0]},
    }
    facts = facts_of("readable", "3.11", "x86_64")
    measured = Measured().with_counts("m.A  x='1'", {**facts, "torch": "2"}, (1000, 1002))
    counted = asv_history.Counted(found, {"env": facts})
    made = asv_history.histories(counted, benchmarks, ["one", "two", "three"], measured)
    assert [(each.parameters["x"], each.counts) for each in made] == [
        ("cpu", [1.0, 2.0, None]),
        ("'1'", [None, 3.0, None]),
        ("1", [None, None, None]),
    ]
    assert {each.benchmark for each in made} == {"m.A"} and [each.noise for each in made] == [0.1, 0.002, 0.1]


# How it looks


@pytest.fixture(scope="module")
def browser():
    with browsing.chromium() as made:
        yield made


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    with tarfile.open(third_party.fetch(AXE, folder)) as packed:
        content = packed.extractfile("package/axe.min.js")
        assert content is not None
        return content.read().decode()


def site(folder: Path, page: dict) -> Path:
    """A folder with the page alone, of made-up counts."""
    folder.mkdir(exist_ok=True)
    own = Path(overview.__file__).with_name("site")
    for name in ("overview.css", "overview.js", "reasons.css", "numbers.js", "elements.js"):
        (folder / name).write_text((own / name).read_text())
    (folder / "index.html").write_text((own / "overview.html").read_text())
    (folder / "asv.html").write_text("<title>asv</title><link rel=icon href=swallow.ico><p>asv's own</p>")
    (folder / "swallow.ico").write_bytes(b"")
    (folder / "overview.json").write_text(json.dumps(page))
    return folder


def several(commits: int, cases: int) -> dict:
    described = [(f"{number:040x}", 1_700_000_000 + 86_400 * number, f"commit {number}") for number in range(commits)]
    made, details = [], {}
    for number in range(cases):
        base = 50_000.0 * (1 + number)
        counts = [base * (1 + 0.0001 * (turn % 3)) for turn in range(commits)]
        if number % 20 == 3:
            counts[-1] = counts[-2] * (1.02 if number % 40 == 3 else 0.97) if commits > 1 else counts[-1]
        name = f"file{number % 12:02}.Class{number:03}"
        made.append(history(name, counts, device="cpu", mode="plain"))
        details["env", name, ("'cpu'", "'plain'")] = overview.Detail(
            described[-1][0],
            {"python": 0.5, "dispatcher": 0.3, "guards": 0.1},
            ("function", "torch/file.py", 1234.0),
            [],
        )
    return overview.page("a project", 8, described, made, details)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The address of a page of 100 commits of 231 cases."""
    with serving(site(tmp_path_factory.mktemp("large") / "html", several(100, 231))) as address:
        yield address


def opened(look: Look, place: str = "index.html"):
    page = look.at(place)
    page.wait_for_function("document.body.dataset.shown !== undefined")
    return page


@pytest.fixture
def look(browser, large):
    made = Look(browser, large)
    yield made
    made.page.close()
    assert made.complaints == []


def names(page) -> list[str]:
    return page.locator("tr.case td.name").all_inner_texts()


def test_every_case_is_a_row_below_its_file_and_news_are_on_top(look):
    page = opened(look)
    assert page.locator("tr.case").count() == 231 and page.locator("tr.file").count() == 12
    assert page.locator("caption").inner_text() == "231 of 231 cases"
    heads = page.locator(".verdicts h2").all_inner_texts()
    assert heads == ["Regressed: 6", "Improved: 6"]
    first = page.locator(".verdicts li").first
    assert "+2.00 %" in first.inner_text() and "function" in first.inner_text()
    assert page.locator("svg.spark").count() == 231 and page.locator("div.bar").count() == 231
    look.picture("overview")


def test_it_is_filtered_as_one_types_and_sorted_by_any_column(look):
    page = opened(look)
    page.fill("#find", "class00")
    assert len(names(page)) == 10 and page.locator("caption").inner_text() == "10 of 231 cases"
    page.fill("#find", "")
    for head in (
        "instructions a call",
        "since the commit before",
        "since the oldest",
        "noise",
        "what moved most",
        "case",
    ):
        page.click(f"th button:text-is('{head}')")
        assert page.locator("th[aria-sort]").count() == 1
    page.click("th button:text-is('instructions a call')")
    assert names(page)[0].startswith("file02.Class230") and page.locator("tr.file").count() == 0
    page.click("th button:text-is('instructions a call')")
    assert names(page)[0].startswith("file00.Class000")


def test_it_works_by_keyboard(look):
    page = opened(look)
    page.focus("#find")
    page.keyboard.type("class003")
    assert len(names(page)) == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "case"
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    for _ in range(6):  # past the other columns to the case itself
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.href").endswith(
        "#commit=" + f"{99:040x}" + "&benchmark=file03.Class003&environment=env&p-device=cpu&p-mode=plain"
    )


@pytest.mark.parametrize("width", [360, 390, 768, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(browser, large, axe, width, scheme):
    look = Look(browser, large, color_scheme=scheme)
    page = look.page
    page.set_viewport_size({"width": width, "height": 900})
    opened(look)
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    page.fill("#find", "class00")  # what axe looks at, it looks at slowly
    page.evaluate(axe)
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa']})")
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
    assert any(each["id"] == "color-contrast" for each in found["passes"])
    look.picture(f"overview {scheme} {width}")
    page.close()
    assert look.complaints == []


def test_a_hundred_commits_are_shown_at_once(browser, large):
    """The whole page in a few seconds on a busy machine; the time itself is printed and not asserted."""
    look = Look(browser, large)
    began = time.monotonic()
    opened(look)
    print(f"100 commits of 231 cases: {time.monotonic() - began:.2f} s")
    assert look.page.locator("tr.case").count() == 231
    look.page.close()


def test_one_commit_is_worth_looking_at(browser, tmp_path):
    with serving(site(tmp_path / "html", several(1, 24))) as address:
        look = Look(browser, address)
        page = opened(look)
        assert "One commit is counted so far" in page.locator("main").inner_text()
        assert page.locator(".verdicts").count() == 0 and page.locator("div.bar").count() == 24
        assert page.locator("div.bar").first.get_attribute("aria-label") == "python 50 %, dispatcher 30 %, guards 10 %"
        look.picture("overview one commit")
        page.close()
        assert look.complaints == []


@pytest.mark.parametrize("place", ["#/", "#summarylist?sort=1", "#file.Class.track_instructions?p-a=1", "#regressions"])
def test_asvs_addresses_lead_to_asvs_pages(look, place):
    page = look.at(f"index.html{place}")
    page.wait_for_url(f"**/asv.html{place}")


def test_nothing_counted_is_said(browser, tmp_path):
    with serving(site(tmp_path / "html", overview.page("p", 8, COMMITS, [], {}))) as address:
        look = Look(browser, address)
        assert "nothing is counted yet" in opened(look).locator("main").inner_text()
        look.page.close()


@pytest.mark.asv
def test_the_published_project_has_it_with_the_function_that_moved(browser, published):
    with serving(published.folder / ".asv/html") as address:
        look = Look(browser, address)
        page = opened(look)
        assert page.locator("tr.case").count() == 4
        row = page.locator("tr.case", has_text="turns=100, times=once")
        assert "no change" in row.inner_text() and "%" in row.locator("td").nth(3).inner_text()
        assert "add_up" not in row.inner_text(), "the newest commit changed nothing"
        look.picture("overview published")
        row.locator("td.name a").click()
        page.wait_for_selector("h1:has-text('turns=100, times=once')")
        page.go_back()
        page.wait_for_selector("tr.case")
        page.locator("tr.case svg.spark").first.click()
        page.wait_for_selector("#main-graph canvas")
        labels = page.locator(".flot-y-axis .flot-tick-label").all_inner_texts()
        assert len(set(labels)) == len(labels) > 2, labels
        look.picture("graph of a case")
        page.close()
        assert look.complaints == []
