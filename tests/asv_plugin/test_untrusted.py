"""A suite whose every string is an attempt to be more than text: counted by asv, told by the command line, published,
and looked at in a real browser, which is to find text and nothing else. A minute.

Where an attempt would come through, the browser finds an element of its kind, asks for the picture `x`, or has run it.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import quote

import asv
import pytest

from harness.asv_plugin import page_scripts
from harness.cli import bench
from harness.engine import progress
from harness.errors import StartError
from harness.store import records
from harness.system import printable
from harness.system.printable import shown
from scripts import releases_table
from tests.browsing import Look, chromium, serving
from tests.projects import Repository

pytestmark = pytest.mark.asv

PICTURE = "<img src=x onerror=hit=1>"
#: What a terminal would obey, and what would turn the order of letters.
OBEYED = "\x1b[31mred\x1b]0;title\x07\x9b2J \u202eturned\u2066"
VALUES = [
    PICTURE,
    f"'\">{PICTURE}<b title='",
    "&lt;img src=x onerror=hit=1&gt;&amp;",
    "</script><script>hit=1</script><svg onload=hit=1>",
    "javascript:hit=1",
    "' onmouseover='hit=1' \" onfocus=\"hit=1\" `",
    OBEYED,
    "../../../up",
    "nul\0nul",
    "\U0001f469\u200d\U0001f4bb emoji",
    "x" * 10_000,
]
NAMES = [f"{PICTURE}{OBEYED}", f"'\">{PICTURE}`&amp;../\U0001f469\u200d\U0001f4bb"]
#: A function's name in ASCII, as the view by Python function tells them; with what some take for the end of a line.
FUNCTION = f"{PICTURE}\x1b[31m\x1c\r"
#: A benchmark may be called anything without a dot; asv takes what follows a parenthesis for parameters.
BENCHMARK = f"'\">{PICTURE}&amp;`\x1b[31m"
SUBJECT = f"'\">{PICTURE}</script>`\x1b[31m\u202e first"
TAG = "<img/src=x/onerror=hit=1>"

PROJECT = """
import types


def named(turns):
    total = 0
    for number in range(turns):
        total += number
    return total


_CODE = named.__code__.replace(co_name={function!r}, co_qualname={function!r}, co_filename={file!r})
named = types.FunctionType(_CODE, globals())


def work():
    return named(TURNS)


TURNS = {turns}
"""
SUITE = '''
from harness import Workload

OBEYED = {obeyed!r}
PICTURE = {picture!r}
VALUES = {values!r}
BENCHMARK = {benchmark!r}


class Work(Workload):
    """Its docstring: <img src=x onerror=hit=1></script><script>hit=1</script>"""

    params = [VALUES, ["fine", "raises", "skips"]]
    param_names = {names!r}
    skip_params = [(value, how) for value in VALUES[1:] for how in ("raises", "skips")]
    calls = 10

    def setup(self, value, how):
        import project

        if how == "raises":
            raise ValueError(PICTURE + OBEYED)
        if how == "skips":
            raise NotImplementedError(PICTURE + OBEYED)
        self.project = project

    def work(self):
        return self.project.work()


class Other(Work):
    params = ["one"]
    param_names = ["name"]
    skip_params = []

    def setup(self, name):
        super().setup(name, "fine")


Other.__name__ = Other.__qualname__ = BENCHMARK
globals()[BENCHMARK] = globals().pop("Other")
'''
#: In a module whose file is called PICTURE.
PLAIN = """
PICTURE = {picture!r}


def track_plain():
    import project

    return project.TURNS


track_plain.pretty_name = PICTURE
track_plain.unit = PICTURE
"""


class Hostile(Repository):
    def __init__(self, folder: Path) -> None:
        suite = SUITE.format(obeyed=OBEYED, picture=PICTURE, values=VALUES, names=NAMES, benchmark=BENCHMARK)
        super().__init__(folder, "", suite)
        self.write(f"benchmarks/{PICTURE}.py", PLAIN.format(picture=PICTURE))
        self.temporary = folder.parent / "temporary"
        self.temporary.mkdir()
        self.commits = {}
        for turns in (100, 200):
            text = PROJECT.format(function=FUNCTION, file=f"/{PICTURE}/\x1b[31m.py", turns=turns)
            self.commits[turns] = self.commit(text, f"{SUBJECT} {turns}")
        self.git("tag", TAG)
        assert self.asv("machine", "--yes").returncode == 0
        machines = folder / ".asv-machine.json"
        told = json.loads(machines.read_text())
        next(each for each in told.values() if isinstance(each, dict))["cpu"] = PICTURE
        machines.write_text(json.dumps(told))
        self.runs = [self.asv("run", "--show-stderr", f"{commit}^!") for commit in self.commits.values()]
        named = f"work.{BENCHMARK}"  # of one case, so that it has a picture
        self.explained = [
            self.harness("explain", named, "--python", "--flame", "explained.svg", "HEAD"),
            self.harness("explain", "work.Work", "HEAD"),
            self.harness("diff", *self.commits.values(), named, "--python", "--flame", "diff.svg"),
            self.harness("diff", *self.commits.values(), "work.Work"),
            self.harness("costs"),
        ]
        self.told = self.asv("publish")

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "HARNESS_PROGRESS": str(self.folder / "progress.txt")}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return Hostile(tmp_path_factory.mktemp("hostile") / "repository")


def test_it_was_counted_explained_and_published(hostile):
    for answer in hostile.runs:
        assert answer.returncode == 2, answer.stdout + answer.stderr  # since one case raises
    for answer in (*hostile.explained, hostile.told):
        assert answer.returncode == 0, answer.stdout + answer.stderr
    found = [each.case for each in records.find(hostile.folder / ".asv", hostile.commits[100])]
    wanted = [(f"work.{BENCHMARK}", ("one",)), *(("work.Work", (text, "fine")) for text in VALUES)]
    assert sorted(found) == sorted(wanted)


def test_nothing_that_a_terminal_would_obey_is_printed(hostile):
    printed = [answer.stdout + answer.stderr for answer in (*hostile.runs, *hostile.explained, hostile.told)]
    for text in printed:
        assert text == shown(text)
    asv_said, explained = printed[0], "".join(printed[2:6])
    escapes = OBEYED.encode("unicode_escape").decode()
    assert f"ValueError: {PICTURE}{escapes}" in asv_said and f"skipped: {PICTURE}{escapes}" in asv_said
    assert f"{PICTURE}{escapes}=nul\\x00nul" in explained  # a parameter's name, and its value
    assert f"{PICTURE}\\x1b[31m\\x1c\\r  " in explained  # a function's name
    assert "\U0001f469\u200d\U0001f4bb emoji" in explained and 'File "' in asv_said


def test_json_is_exact(hostile):
    answer = hostile.harness("explain", "work.Work", "--json", "HEAD")
    told = [each["parameters"] for each in json.loads(answer.stdout)]
    assert sorted(each[NAMES[0]] for each in told) == sorted(VALUES)


def test_progress_lines_which_are_followed_on_a_terminal_are_shown(hostile, capsys):
    lines = (hostile.folder / "progress.txt").read_text().splitlines()
    with printable.streams(), bench.plain(progress.Progress()) as tell:
        for event in map(progress.decode, lines):
            tell(event)
    text = capsys.readouterr().out
    assert text == shown(text) and f"work.{BENCHMARK}(one)  ".replace("\x1b", "\\x1b") in text, text


def test_flame_graphs_are_text(hostile):
    for name in ("explained.svg", "diff.svg"):
        root = ElementTree.parse(hostile.folder / name).getroot()
        assert {each.tag.rpartition("}")[2] for each in root.iter()} == {"svg", "title", "style", "text", "g", "rect"}
        assert all(set(each.attrib) <= {"class", "x", "y", "width", "height", "fill", "role"} for each in root.iter())
        assert PICTURE in "".join(root.itertext())


def test_the_feed_has_no_elements_but_asvs(hostile):
    root = ElementTree.parse(hostile.folder / ".asv/html/regressions.xml").getroot()
    contents = [each.text or "" for each in root.iter() if each.tag.endswith("content")]
    assert len(contents) == len(VALUES)
    assert not any("<" in re.sub(r'<a href="[^"]*">|</a>|<br>', "", text) for text in contents)


def test_a_table_in_markdown_holds_names_as_text():
    names = [f"work.Work({value})" for value in (*VALUES, "a`b|c\\|d\n| e", "a|<b>", "`<b>")]
    lines = list(releases_table.table(["v1", "<b>|`[a](b)\n"], {name: [1.0, 2.0] for name in names}, 0.0, 3.0, False))
    assert len(lines) == 2 + len(names)
    for line in lines:
        assert line.count("|") == 5 and "\n" not in line and line == shown(line)
        assert "<" not in re.sub(r"`[^`]*`|<code>[^<`]*</code>", "", line)
    assert lines[0].startswith("| instructions a call | v1 | &#60;b&#62;&#124;&#96;&#91;a&#93;")


# In a browser

#: Everything of asv's own and ours that is there without an attempt having come through, by selector.
MADE = (
    "img[src='x'], [onload], [onmouseover], [onfocus], b[title], a[href^='javascript:'], "
    "script:not([src]):not(head script)"
)


class Watching(Look):
    """A look at pages on which every tooltip and popup is opened."""

    def find_nothing(self) -> str:
        """Every element's text, after a look for what should not be there."""
        self.page.evaluate(
            "() => { if (window.$) $('*').filter((at, each) => $(each).data('bs.tooltip')).tooltip('show') }"
        )
        # A few only: asv forgets graphs of which it has not drawn the popup yet.
        self.page.evaluate(
            "() => { if (window.$) $('*').filter((at, e) => $(e).data('bs.popover')).slice(0, 3).popover('show') }"
        )
        self.page.wait_for_load_state("networkidle")
        assert self.page.evaluate("window.hit") is None
        assert self.page.evaluate("(made) => [...document.querySelectorAll(made)].map((e) => e.outerHTML)", MADE) == []
        return self.page.evaluate("document.documentElement.textContent")


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


@pytest.fixture
def watching(hostile, browser):
    with serving(hostile.folder / ".asv/html") as address:
        made = Watching(browser, address)
        yield made
        made.page.close()
        assert made.complaints == []


def test_asvs_grid_and_list_and_regressions_show_names_and_code_as_text(watching):
    page = watching.at("asv.html")
    page.wait_for_selector("#summarygrid-display .benchmark-plot canvas")
    told = watching.find_nothing()
    assert BENCHMARK in told and "Its docstring: <img src=x onerror=hit=1></script><script>" in told
    watching.picture("untrusted grid")
    for place in ("summarylist", "regressions", "regressions?grouped=true"):
        page = watching.at(f"asv.html#/{place}")
        body = place.partition("?")[0]
        page.wait_for_selector(f"#{body}-body tbody a")
        told = watching.find_nothing()
        assert all(repr(value) in told for value in VALUES)
        watching.picture(f"untrusted {body}")


def test_asvs_graphs_show_parameters_tags_and_machines_as_text(watching, hostile):
    names = watching.at("asv.html") and watching.page.evaluate("Object.keys($.asv.main_json.benchmarks)")
    assert len(names) == 3
    for name in names:
        page = watching.at("asv.html#" + quote(name, safe=""))
        page.wait_for_selector("#main-graph canvas")
        told = watching.find_nothing()
        assert TAG in told and f"cpu: {PICTURE}" in told
        page.evaluate(  # the pointer leaves a point of the graph, and comes to the first commit's
            """() => $('#main-graph').trigger('plothover', [{}, null]).trigger('plothover', [{}, {pageX: 9, pageY: 9,
            datapoint: [Number(Object.keys($.asv.main_json.revision_to_hash)[0]), 1]}])"""
        )
        told = watching.find_nothing()
        assert f"1.00 {PICTURE} @ {hostile.commits[100][:8]}" in told or not name.endswith("track_plain")
    for axis in NAMES:
        page = watching.at(f"asv.html#work.Work.track_instructions?x-axis={quote(axis, safe='')}")
        page.wait_for_selector("#main-graph .flot-x-axis .flot-tick-label")
        told = watching.find_nothing()
        assert all(name in told for name in NAMES) and PICTURE in told
        watching.picture("untrusted graph")


def test_reasons_show_commits_parameters_and_functions_as_text(watching, hostile):
    page = watching.at("reasons.html")
    page.wait_for_selector("td a")
    assert f"{SUBJECT} 100" in watching.find_nothing()
    page = watching.at_reasons(commit=hostile.commits[200])
    told = watching.find_nothing()
    assert f"{SUBJECT} 200" in told and all(
        value in told for value in (*VALUES, *NAMES, BENCHMARK) if "\0" not in value
    )
    links = page.evaluate("[...document.querySelectorAll('tbody a')].map((each) => each.getAttribute('href'))")
    assert len(links) == len(VALUES) + 1
    for link in links:
        page = watching.at(f"reasons.html{link}")
        page.wait_for_selector(".flame g")
        told = watching.find_nothing()
        assert f"{SUBJECT} 200" in told
        page.hover(".flame g >> nth=1")
        watching.find_nothing()
    page = watching.at_reasons(
        commit=hostile.commits[200], benchmark=quote(f"work.{BENCHMARK}", safe=""), view="python"
    )
    assert FUNCTION in watching.find_nothing()
    watching.picture("untrusted reasons")


def test_pictures_run_nothing_in_a_browser(hostile, browser):
    with serving(hostile.folder) as address:
        watching = Watching(browser, address)
        for name in ("explained.svg", "diff.svg"):
            watching.at(name)
            assert PICTURE in watching.find_nothing()
        watching.page.close()
        assert [each for each in watching.complaints if "404" not in each] == []  # there is no icon


def test_an_asv_that_is_not_known_is_said(tmp_path):
    www = Path(asv.__file__).parent / "www"
    for name in page_scripts._MENDED:
        (tmp_path / name).write_text((www / name).read_text())
    before = (tmp_path / "summarygrid.js").read_text()
    (tmp_path / "graphdisplay.js").write_text("$(bm_name)")
    with pytest.raises(StartError, match="this asv's graphdisplay.js are not known here, so the name of a benchmark"):
        page_scripts.mend(tmp_path)
    assert (tmp_path / "graphdisplay.js").read_text() == "$(bm_name)"
    assert (tmp_path / "summarygrid.js").read_text() != before  # the others are mended all the same
