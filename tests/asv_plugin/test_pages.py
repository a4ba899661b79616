"""What `asv publish` makes, looked at in a real browser that can reach nothing but the pages: seconds to a minute.

Screenshots are left in $SITE_SCREENSHOTS, or in `.pytest_cache/screenshots`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest

from tests.browsing import Look, Quiet, chromium, serving

pytestmark = pytest.mark.asv


@pytest.fixture(scope="module")
def address(published):
    with serving(published.folder / ".asv/html") as made:
        yield made


class Unpacking(Quiet):
    """As some servers do with what ends in .gz: lets the browser unpack it."""

    def end_headers(self):
        if self.path.endswith(".gz"):
            self.send_header("Content-Encoding", "gzip")
        super().end_headers()


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


@pytest.fixture
def look(browser, address):
    made = Look(browser, address)
    yield made
    made.page.close()
    assert made.complaints == []


def too_wide(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def test_scripts_come_from_npm_with_their_licences_and_no_link_leaves(published):
    html = published.folder / ".asv/html"
    assert "asv's own links stay" not in published.said
    assert "//" not in (html / "asv.html").read_text().replace("https://github.com/airspeed-velocity/asv/", "")
    for package in ("jquery", "flot", "bootstrap", "stupid-table-plugin", "blueimp-md5"):
        assert "MIT" in next((html / "scripts" / package).glob("LICENSE*")).read_text() or package != "blueimp-md5"
        assert list((html / "scripts" / package).glob("LICENSE*"))
    assert '"MIT"' in (html / "scripts/flot-orderbars/package.json").read_text()


def test_the_grid_and_a_graph_with_parameters_switched(look, published):
    page = look.at("asv.html")
    page.wait_for_selector("#summarygrid-display a[href*='work.Work']")
    look.picture("grid")
    page.click("#summarygrid-display a[href*='work.Work']")
    page.wait_for_selector("#main-graph canvas")
    reasons = page.locator("#reasons-link")
    assert reasons.is_visible() and reasons.get_attribute("href") == "reasons.html#benchmark=work.Work"
    page.click("#graphdisplay-navigation a:text-is('100')")  # which is chosen, as all are
    page.click("#graphdisplay-navigation a:text-is('once')")
    page.wait_for_function("location.hash.includes('p-turns=200')")
    page.wait_for_function("document.getElementById('reasons-link').hash.includes('twice')")
    page.wait_for_function("/[0-9] k$/.test(document.querySelector('.flot-y-axis .flot-tick-label').textContent)")
    look.picture("graph")
    assert page.evaluate("$.asv.pretty_unit(1987654321, 'instructions')") == "1.988 G"
    assert page.evaluate("[999_960, 52_900, 7, 8e9].map((n) => $.asv.pretty_unit(n, 'instructions'))") == [
        "1000 k",
        "52.9 k",
        "7",
        "8 G",
    ]
    assert page.evaluate("$.asv.pretty_unit(2, 'seconds')") == "2.000s"
    page.focus("#reasons-link")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('turns=200, times=twice')")


def test_a_point_of_the_graph_leads_to_that_commits_reasons(look, published):
    page = look.at("asv.html#work.Work.track_instructions")
    page.wait_for_selector("#main-graph canvas")
    page.wait_for_function("$.asv.main_json.show_commit_url.includes('work.Work')")
    opened = page.evaluate(
        """() => { let opened; window.open = (url) => { opened = url; };
        const revision = Number(Object.keys($.asv.main_json.revision_to_hash)[0]);
        $('#main-graph').trigger('plotclick', [{}, {datapoint: [revision, 1]}]); return opened; }"""
    )
    assert opened.startswith("reasons.html#benchmark=work.Work&commit=")
    page = look.at(opened)
    page.wait_for_selector(".number")


def test_the_regressions_page_shows_the_costlier_commit(look, published):
    page = look.at("asv.html#/regressions")
    page.wait_for_selector("#regressions-body table a[href*='work.Work']")
    commit = page.locator(f"#regressions-body a:text-is('{published.commits['costlier'][:8]}')").first
    assert commit.get_attribute("href").startswith("reasons.html#commit=" + published.commits["costlier"][:8])
    look.picture("regressions")


def test_a_profile_has_numbers_tables_and_a_flame_graph(look, published):
    commit = published.commits["costlier"]
    page = look.at_reasons(commit=commit, benchmark="work.Work", **{"p-turns": "100", "p-times": "once"})
    assert page.inner_text("h1") == "work.Work turns=100, times=once"
    assert page.locator(".flame g").count() > 5
    number = float(page.get_attribute(".number", "title").replace(",", ""))
    assert number == published.result(commit, "work.Work")[0]
    assert "_PyEval_EvalFrameDefault" in page.inner_text("main") and "libpython" in page.inner_text("main")
    assert not too_wide(page)
    look.picture("profile")


def test_the_difference_adds_up_and_names_the_function(look, published):
    commit, before = published.commits["costlier"], published.commits["first"]
    page = look.at_reasons(commit=commit, benchmark="work.Work", view="python", **{"p-turns": "100", "p-times": "once"})
    assert f"What moved since {before[:8]}" in page.inner_text("main")
    rows = page.locator("h2#moved + table tbody tr")
    titles = [row.locator("td span[title]").first.get_attribute("title") for row in rows.all()]
    changes = [float(title.replace("\u2212", "-").replace("\u00b1", "").replace(",", "")) for title in titles]
    assert sum(changes[:-1]) == pytest.approx(changes[-1], abs=0.05) and changes[-1] > 0
    assert "add_up" in rows.first.inner_text() and "project.py:2" in rows.first.inner_text()
    assert page.locator(".notice").count() == 0
    page.click("button:has-text('colour by change')")
    page.wait_for_selector(".flame.by-change g")
    seen = page.locator(".flame rect:visible")
    assert seen.count() > 5 and {rect.get_attribute("class") for rect in seen.all()} == {"change"}
    assert not too_wide(page)
    look.picture("difference")


def boxes(page) -> dict[str, tuple[float, float]]:
    """By the words of each box that is shown: where it begins and how wide it is, in per cent of the graph."""
    return page.evaluate(
        """() => {
        const whole = document.querySelector(".flame").getBoundingClientRect();
        return Object.fromEntries([...document.querySelectorAll(".flame g")].map((group) => {
            const place = group.querySelector("rect").getBoundingClientRect();
            const words = group.querySelector("title").textContent;
            return [words, [100 * (place.left - whole.left) / whole.width, 100 * place.width / whole.width]];
        })); }"""
    )


def test_the_page_shows_the_graph_that_the_command_line_writes(look, published, tmp_path):
    commit, before = published.commits["costlier"], published.commits["first"]
    words = [
        "work.Work",
        "--param",
        "turns=100",
        "--param",
        "times=once",
        "--python",
        "--flame",
        str(tmp_path / "a.svg"),
    ]
    assert published.harness("diff", before, commit, *words).returncode == 0
    page = look.at_reasons(commit=commit, benchmark="work.Work", view="python", **{"p-turns": "100", "p-times": "once"})
    shown = boxes(page)
    space = "{http://www.w3.org/2000/svg}"
    written = {}
    for group in xml.etree.ElementTree.parse(tmp_path / "a.svg").getroot().iter(f"{space}g"):
        place = group.find(f"{space}svg")
        told = [float(place.get(name).rstrip("%")) for name in ("x", "width")]
        if told[1] >= 0.5:  # a page leaves smaller ones out
            written[group.find(f"{space}title").text] = told
    assert shown.keys() == written.keys() and len(shown) > 10
    assert all(shown[words] == pytest.approx(written[words], abs=0.1) for words in shown)


def test_a_box_that_is_zoomed_to_takes_the_whole_width_below_its_callers(look, published):
    commit = published.commits["costlier"]
    page = look.at_reasons(commit=commit, benchmark="work.Work", view="python", **{"p-turns": "100", "p-times": "once"})
    first = boxes(page)
    name = next(words for words in first if words.startswith("sort\n"))
    page.locator(".flame g", has_text="sort\n").first.click()
    zoomed = boxes(page)
    assert zoomed[name] == pytest.approx((0, 100), abs=0.1)
    (caller,) = [words for words in zoomed if words.startswith("work\n")]
    assert zoomed[caller] == pytest.approx((0, 100), abs=0.1)
    (below,) = [words for words in zoomed if words.startswith("list_sort_impl\n")]
    assert zoomed[below][1] == pytest.approx(100 * first[below][1] / first[name][1], abs=0.1)
    assert not any(words.startswith("add_up\n") for words in zoomed)
    assert page.inner_text("#told").startswith("sort, project.py (project.py), ")
    page.keyboard.press("Escape")
    assert boxes(page) == first


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_part_is_coloured_alike_in_the_graph_and_in_the_table(browser, address, published, scheme):
    look = Look(browser, address, color_scheme=scheme)
    page = look.at_reasons(commit=published.commits["costlier"], benchmark="work.Work", view="python")
    row = page.locator("td.name", has_text="the workload").first
    swatch = row.locator(".swatch").evaluate("(each) => getComputedStyle(each).backgroundColor")
    box = page.locator(".flame g", has_text="(the workload)").first.locator("rect.part")
    fill, opacity = box.evaluate("(each) => [getComputedStyle(each).fill, getComputedStyle(each).fillOpacity]")
    rest = "" if opacity == "1" else f", {opacity}"
    assert swatch == (f"rgba({fill[4:-1]}{rest})" if rest else fill)
    look.page.close()
    assert look.complaints == []


def test_names_are_shown_where_there_is_room_for_them(look, published):
    page = look.at_reasons(commit=published.commits["costlier"], benchmark="work.Work", view="c")
    wide = page.locator(".flame text:visible").count()
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function(f"document.querySelectorAll('.flame g:not(.narrow)').length < {wide}")
    narrow = page.locator(".flame text:visible").count()
    assert 5 < narrow < wide and not too_wide(page)
    look.picture("narrow profile")


def test_equal_commits_have_nothing_that_moved(look, published):
    page = look.at_reasons(commit=published.commits["equal"], benchmark="work.Work")
    assert "no change" in page.inner_text("main")
    assert "Nothing: every function executed what it did before." in page.inner_text("main")


def test_commits_lead_to_cases_and_a_link_by_half_a_hash_stays_valid(look, published):
    page = look.at("reasons.html")
    page.wait_for_selector("td a")
    assert [row.inner_text() for row in page.locator("td.name").all()] == [
        "the same again",
        "add_up is costlier",
        "first",
    ]
    page = look.at_reasons(commit=published.commits["costlier"][:10])
    assert page.locator("tbody tr").count() == 4 and page.locator("td.more").count() == 4
    page.click("tbody a >> nth=0")
    page.wait_for_selector(".flame g")
    page.select_option("select >> nth=0", label="turns=100, times=twice")
    page.wait_for_selector("h1:has-text('turns=100, times=twice')")
    page.select_option("select >> nth=1", index=2)
    page.wait_for_selector(f"p a:has-text('{published.commits['first'][:8]}')")


def test_what_is_not_there_is_said(look):
    page = look.at_reasons(commit="0123456789")
    assert "nothing is published of commit 0123456789" in page.inner_text(".notice")


def test_keys_walk_the_flame_graph(look, published):
    page = look.at_reasons(
        commit=published.commits["costlier"], benchmark="work.Work", view="python", **{"p-turns": "100"}
    )
    page.focus(".flame g[tabindex='0']")
    told = []
    for key in ("ArrowDown", "ArrowDown", "Enter", "Escape"):
        page.keyboard.press(key)
        told.append((page.inner_text("#told"), page.locator(".flame g").count()))
    assert len({text for text, _ in told[:2]}) == 2 and "project.py" in told[1][0]
    assert told[2][1] < told[1][1] == told[3][1]
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
    assert {"A", "SELECT", "BUTTON"} <= reached


def test_it_is_dark_where_that_is_wished(browser, address, published):
    dark = Look(browser, address, color_scheme="dark")
    page = dark.at_reasons(commit=published.commits["costlier"], benchmark="work.Work", view="python")
    red = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert red < 60
    dark.picture("dark")
    page = dark.at("asv.html#work.Work.track_instructions")
    page.wait_for_selector("#main-graph canvas")
    assert "invert" in page.evaluate("getComputedStyle(document.documentElement).filter")
    dark.picture("dark graph")
    page.close()
    assert dark.complaints == []


def test_any_static_host_will_do(browser, published):
    with serving(published.folder / ".asv/html", Unpacking) as address:
        other = Look(browser, address)
        page = other.at_reasons(commit=published.commits["costlier"], benchmark="work.Work")
        assert page.locator(".flame g").count() > 5 and other.complaints == []
        page.close()


def test_without_npm_asvs_own_links_stay_and_a_line_says_so(published, tmp_path):
    shims = tmp_path / "bin"
    shims.mkdir()
    for tool in ("git", "python3"):
        (shims / tool).symlink_to(str(shutil.which(tool)))
    answer = subprocess.run(
        [str(Path(sys.executable).with_name("asv")), "publish", "--html-dir", str(tmp_path / "html")],
        cwd=published.folder,
        capture_output=True,
        text=True,
        env={**published.environment(), "PATH": str(shims), "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "npm is not installed (Debian, Ubuntu: apt-get install npm). asv's own links stay" in answer.stdout
    assert "https://" in (tmp_path / "html/asv.html").read_text()
    assert (tmp_path / "html/reasons/index.json").exists()
