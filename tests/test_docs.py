"""README.md and docs, held against the code: what a reader copies works, and tables list what there is."""

from __future__ import annotations

import functools
import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import docs_hook
import figures
import pytest

from harness import Compiling, Workload, cli
from harness.bisect import findings
from harness.check import verdicts
from harness.engine import progress
from harness.errors import HarnessError
from harness.inside import workload as inside
from harness.profile import model
from harness.protocol import Case, Counted, Failed, Skipped
from harness.store import records
from harness.suite.cases import DeclaredWorkload
from harness.suite.selection import all_workloads
from tests.conftest import ROOT

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Of the overview page.
PICTURE = ROOT / "docs/img/overview.png"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name)


def blocks(text: str, *languages: str) -> list[str]:
    return [body for language, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if language in languages]


def commands(text: str) -> list[str]:
    """What a reader types: the lines of blocks of shell, and of sessions those behind the prompt; comments left out."""
    typed = [line for block in blocks(text, "sh") for line in block.replace("\\\n", " ").splitlines()]
    typed += [
        line[2:]
        for block in blocks(text, "console")
        for line in block.replace("\\\n", " ").splitlines()
        if line[:2] == "$ "
    ]
    return [line.strip() for line in typed if line.strip()]


def prose(text: str) -> str:
    """A page less its blocks, so that every backtick that is left opens or closes a name."""
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under the line `heading` of a page, less its header."""
    text = "\n" + (ROOT / "docs" / page).read_text()
    assert f"\n{heading}\n" in text, f"{page} lacks the line {heading}"
    table = re.search(r"((?:^\|.*\n)+)", text.partition(f"\n{heading}\n")[2], re.M)
    assert table
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[1].splitlines()[2:]]


def quoted(cells: list[str]) -> list[str]:
    return [found for cell in cells for found in re.findall(r"`([^`]+)`", cell)]


# README


def test_the_readme_is_short_and_shows_one_picture():
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if line.startswith("![")] == [
        "![The overview: a row for each case, with its count, its noise and its parts](docs/img/overview.png)"
    ]
    assert lines[0] == "# torch-instruction-suite"


def test_the_picture_is_there():
    assert PICTURE.read_bytes().startswith(b"\x89PNG") and name(PICTURE) in (ROOT / "README.md").read_text()


@every_page
def test_no_sentence_excuses_old_figures(page):
    excuses = (
        r"earlier commits|(an|the) (earlier|older) commit\b|commits older|(was|were) measured (at|on)|from before|"
        r"has not been (measured|counted|made)|have not been (measured|counted|made)"
    )
    found = [line for line in page.read_text().splitlines() if re.search(excuses, line)]
    assert found == []


# What a reader copies


@every_page
def test_commands_of_the_harness_are_right(page):
    for line in commands(page.read_text()):
        words = shlex.split(line, comments=True)
        while words and "=" in words[0]:
            words = words[1:]
        if words[:1] == ["harness"] or words[:1] == [".venv/bin/harness"]:
            assert cli.parsed(words[1:]).command in cli.COMMANDS, line
        if words[1:3] == ["-m", "harness"]:
            assert cli.parsed(words[3:]).command in cli.COMMANDS, line


@every_page
def test_names_of_commands_in_the_text_are_right(page):
    for found in re.findall(r"`(?:\.venv/bin/)?harness ([a-z]+)", page.read_text()):
        assert found in cli.COMMANDS


@every_page
def test_asvs_commands_name_configurations_that_are_there(page):
    for line in commands(page.read_text()):
        for found in re.findall(r"--config (\S+)", line):
            assert (ROOT / found).exists(), line


@every_page
def test_what_make_is_asked_for_is_in_the_makefile(page):
    makefile = (ROOT / "Makefile").read_text()
    typed = [line for line in commands(page.read_text()) if re.search(r"\bmake\b", line)]
    inline = re.findall(r"`(make [^`]+)`", page.read_text())
    for line in typed + inline:
        words = shlex.split(line, comments=True)
        for word in words[words.index("make") + 1 :]:
            variable, equals, _ = word.partition("=")
            if equals:
                assert re.search(rf"^{variable} \?=|\$\({variable}\)", makefile, re.M), line
            else:
                assert re.search(
                    rf"^{re.escape(word)}:|^\$\(VENV\){re.escape(word.removeprefix('.venv'))}:", makefile, re.M
                ), line


@every_page
def test_scripts_that_are_named_are_there_and_know_their_options(page):
    for found in re.findall(r"\bscripts/\w+\.(?:py|sh)", page.read_text()):
        assert (ROOT / found).exists(), found
    for line in commands(page.read_text()):
        words = shlex.split(line, comments=True)
        if len(words) > 1 and words[1].startswith("scripts/"):
            text = (ROOT / words[1]).read_text()
            assert all(f'"{word}"' in text for word in words if word.startswith("--")), line


@every_page
def test_files_of_the_repository_that_are_named_are_there(page):
    """Except what lies in PyTorch's own folder `benchmarks`, and the file that a page asks its reader to write."""
    elsewhere = r"benchmarks/(dynamo|instruction_counts)\b|benchmarks/index\.py$"
    for found in re.findall(r"`((?:harness|benchmarks|scripts)/[^\s`]*)", prose(page.read_text())):
        assert (ROOT / found).exists() or re.match(elsewhere, found), found


@every_page
def test_links_of_the_repositorys_own_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not re.match(r"https?:", target):
            path, _, anchor = target.partition("#")
            found = page.parent / path if path else page
            assert found.exists() or found == PICTURE, target
            if anchor:
                slugs = {
                    re.sub(r"[^\w -]", "", line.strip("# ").lower()).replace(" ", "-")
                    for line in found.read_text().splitlines()
                    if line.startswith("#")
                }
                assert anchor in slugs, target


@pytest.mark.torch_native
def test_python_examples_are_whole_files_of_benchmarks(tmp_path):
    """Here that they are declared rightly; tests/pytorch/test_statements.py counts them."""
    suite = tmp_path / "copied_from_docs"
    suite.mkdir()
    shutil.copy(ROOT / "benchmarks/__init__.py", suite)
    examples = [example for page in PAGES for example in blocks(page.read_text(), "python")]
    for number, example in enumerate(examples):
        (suite / f"example{number}.py").write_text(example)
    assert [(one.__name__, len(one.choices())) for one in all_workloads(suite)] == [
        ("Index", 2),
        ("Sort", 2),
        ("Sorting", 6),
    ]


# Tables


def test_every_variable_that_is_read_is_in_the_table_and_no_other():
    read = set()
    for path in [
        *(ROOT / "harness").rglob("*.py"),
        *(ROOT / "benchmarks").glob("*.py"),
        *(ROOT / "scripts").glob("*.py"),
    ]:
        read |= set(re.findall(r"HARNESS_[A-Z]+", path.read_text()))
    told = [found for row in rows("reference/environment.md", "# Environment variables") for found in quoted(row[:1])]
    assert sorted(told) == sorted(read)


def test_exit_statuses_are_those_of_the_program():
    told = rows("reference/exit-statuses.md", "Of `harness` and its commands:")
    assert told == [list(found) for found in re.findall(r"^    (\d+) +(.*)$", cli.__doc__ or "", re.M)]
    of_bisect = rows("how-to/bisect.md", "The exit status tells how the search ended:")
    assert {row[1].partition(":")[0]: int(row[0]) for row in of_bisect[:3]} == findings.STATUS


def test_what_is_said_of_a_check_is_what_it_says():
    page = "how-to/check-a-change.md"
    named = {name for row in rows(page, "## What it says") for name in row[0].split(", ")}
    assert named == {kind.value for kind in verdicts.Kind}
    text = (ROOT / "docs" / page).read_text()
    statuses = {int(found) for found in re.findall(r"^\| (\d) \|", text, re.M)}
    wrong_arguments = 2
    assert statuses - {wrong_arguments} == {
        verdicts.NOTHING_REGRESSED,
        verdicts.BROKEN,
        verdicts.REGRESSED,
        verdicts.CANNOT_TELL,
    }


def test_attributes_of_a_workload_are_those_of_the_class():
    methods = quoted([row[0] for row in rows("reference/workload.md", "## Methods")])
    attributes = rows("reference/workload.md", "## Attributes")
    for workload, told in (
        (Workload, methods),
        (Compiling, quoted([row[0] for row in rows("reference/workload.md", "## Compiling")])),
    ):
        for each in told:
            assert callable(getattr(workload, each.partition("(")[0])), each
    for cells in attributes:
        for each in quoted(cells[:1]):
            default = getattr(Workload, each)
            told = "none" if default == () else f"{default:g}" if isinstance(default, float) else repr(default)
            assert cells[1].strip("`").replace('"', "'") == told, each
    declared = {**vars(inside.Workload), **vars(DeclaredWorkload), **vars(Workload)}
    plain = {each for each, value in declared.items() if not each.startswith("_") and not callable(value)}
    # asv's, which nobody sets; and what the class works with
    plain -= {"version", "track_instructions", "unit", "timeout"} | {
        each for each in plain if isinstance(declared[each], classmethod | property)
    }
    assert plain == set(quoted([row[0] for row in attributes]))


def test_a_record_has_the_keys_that_are_told(tmp_path):
    counted = Counted(1, 100, 0, 10, None, {"count": 1.0}, fingerprint={"counter": "callgrind"})
    folder = records.keep(counted, records.Place(tmp_path, "commit", "environment", "loops.Loop", ("1",)))
    told = quoted([row[0] for row in rows("reference/files.md", "## count.json")])
    assert sorted(told) == sorted(json.loads((folder / "count.json").read_text()))


def test_a_profile_has_the_keys_that_are_told():
    profile = model.Profile(0, {}, model.CallPath(), exact=True)
    told = quoted([row[0] for row in rows("reference/files.md", "## profile.json.gz")])
    assert sorted(told) == sorted(json.loads(profile.encode()))


def test_events_have_the_fields_that_are_told():
    (text,) = blocks((ROOT / "docs/reference/files.md").read_text(), "json")
    told = [json.loads(line) for line in text.splitlines()]
    assert {event["event"] for event in told} == set(re.findall(r'"event": "(\w+)"', progress.__doc__ or ""))
    case = Case("benchmarks.dtensor", "Detach", 0, ("cpu",), 1.0)
    ends: dict[str, Any] = {
        "counted": Counted(1, 1, 0, 1, None, {}),
        "skipped": Skipped(1, "no CUDA device"),
        "failed": Failed(1, "it failed"),
    }
    for event in told:
        if event["event"] == "end":
            assert sorted(event) == sorted(json.loads(progress.ended(case, ends[event["state"]], 1.5)))


def test_suites_are_named_as_they_are():
    from harness.suite import suites

    assert [row[0] for row in rows("how-to/compare-commits.md", "## Choose a suite")] == list(suites.NAMES)


# Figures


@every_page
def test_every_figure_can_be_made(page):
    text = page.read_text()
    assert (
        text.count("<!-- figures: ") == len(figures.places(text)) == text.count("<!-- end of figures -->")
        or "`<!--" in text
    )
    assert set(figures.places(text)) - {"NAME"} <= figures.FIGURES.keys()


def test_every_figure_has_a_place():
    found = {each for page in PAGES for each in figures.places(page.read_text())}
    assert found == figures.FIGURES.keys()


def test_figures_take_the_place_of_older_ones():
    text = "a\n{}b\n{}".format(
        *(f"<!-- figures: {each} -->\nold\n<!-- end of figures -->\n" for each in ("costs", "sizes"))
    )
    once = figures.filled(text, {"costs": "new"})
    assert once == text.replace("old", "\nnew\n", 1) == figures.filled(once, {"costs": "new"})


def test_a_figure_says_what_it_was_counted_with(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "ASV", tmp_path)
    facts = {"counter": "callgrind", "valgrind": "valgrind-3.19.0", "python": "3.11.7 (main)", "torch": "2.13.0+cpu"}
    for benchmark, total in (("dtensor.Detach", 53_000_00), ("loops.AddLoop", 4_000_000_000)):
        counted = Counted(1, total, 0, 1, None, {"count": 2.0, "setup": 1.0}, fingerprint=facts)
        records.keep(counted, records.Place(tmp_path, "0123456789abcdef", "environment", benchmark, ("cpu",)))
    cases = [{"name": "dtensor.Detach(cpu)", "suite": "quick", "parameters": {"device": "cpu"}}]
    cases += [{"name": "dtensor.View(cpu)", "suite": "default", "parameters": {"device": "cpu"}}]
    cases += [{"name": "dtensor.Detach(cuda)", "suite": "quick", "parameters": {"device": "cuda"}}]
    monkeypatch.setattr(figures, "listed", lambda: cases)
    text = figures.what_it_cost()
    assert text.startswith("All of the quick suite:\n")
    versions = r"valgrind 3\.19\.0, Python 3\.11\.7, torch 2\.13\.0"
    told = rf"\*Commit 0123456789, counted \d{{4}}-\d\d-\d\d on \d+ cores, .+; {versions}"
    assert re.search(told, text)
    assert "loops.AddLoop" in text
    assert "\n| `dtensor.Detach(cpu)` | 5,300,000.00 |\n\n*Commit 0123456789" in figures.counts()
    cases[0]["name"] = "dtensor.Detach(meta)"
    with pytest.raises(HarnessError, match=re.escape("not kept are dtensor.Detach(meta)")):
        figures.counts()
    with pytest.raises(HarnessError, match="no whole suite is kept"):
        figures.what_it_cost()
    assert "| `callgrind` | 2 | 1,001 million |" in figures.rates()


def test_the_numbers_of_one_run_are_a_figure_once_they_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "ASV", tmp_path)
    with pytest.raises(HarnessError, match="no count by readable"):
        figures.phases()
    counted = Counted(
        1,
        200,
        0,
        2,
        None,
        {"count": 2.0},
        metrics={"tracing": 50},
        fingerprint={"counter": "readable", "torch": "2.13.0"},
    )
    benchmark, parameters = "aotdispatcher.AOTDispatcher", ("False", "False", "cpu")
    about = records.BenchmarkFacts(("training", "subclass", "device"))
    records.keep(counted, records.Place(tmp_path, "0123456789", "environment", benchmark, parameters), about)
    text = figures.phases()
    (command,) = commands(text)
    assert cli.parsed(shlex.split(command)[1:]).param == ["training=False", "subclass=False", "device=cpu"]
    assert "100.00  training=False subclass=False device=cpu\n" in text and " 25.00  tracing\n" in text


# The site


@functools.cache
def built(folder: Path) -> Path:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("site"))


class Fetched(HTMLParser):
    """The addresses that a browser fetches when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") in ("canonical", "prev", "next"):
            return
        wanted = "href" if tag == "link" else "src"
        self.found += [given[wanted] or ""] if wanted in given else []


def test_nothing_is_fetched_from_elsewhere_when_a_page_is_read(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) >= len(PAGES) - 2
    for page in pages:
        reader = Fetched()
        reader.feed(page.read_text())
        assert reader.found and [each for each in reader.found if urllib.parse.urlparse(each).netloc] == [], page
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]*", style.read_text()) == [], style


def test_the_reference_of_the_command_line_is_the_parsers(site):
    page = (site / "reference/command-line.html").read_text()
    for command, parser in cli.parser().commands.items():
        assert f">harness {command}<" in page
        for action in parser._actions:
            for option in action.option_strings:
                assert option in page, (command, option)
    assert docs_hook.PLACE not in page


def test_the_reference_is_the_same_wherever_it_is_made(monkeypatch):
    made = docs_hook.command_line()
    monkeypatch.setenv("HARNESS_WHEELS", "/wheels")
    monkeypatch.setenv("COLUMNS", "40")
    assert docs_hook.command_line() == made


def test_every_page_is_in_the_navigation():
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert named == {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
