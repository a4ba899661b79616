"""asv's publisher of the overview and of reasons: every case at a glance; for each benchmark and commit, where the
instructions went and what moved.

A configuration that names this module in `plugins` gets, with `asv publish`, what is kept beside its results (see
store/records.py) as pages beside asv's own, and asv's pages lead there. They are one page, site/reasons.html, which
reads what it is asked for; links to it hold the commit's hash, and so stay valid as long as that commit is published.

    <html>/index.html, overview.css, overview.js, overview.json    the first page (overview.py)
    <html>/asv.html                                                asv's own, which lay there
    <html>/reasons.html, reasons.css, reasons.js, flame.css, flame.js
    <html>/numbers.js, elements.js, escaped.js, asv_link.js, asv_dark.css
    <html>/reasons/index.json                                      commits, oldest first, and what there is of each
    <html>/reasons/<commit>/<environment>/index.json.gz            its cases' numbers
    <html>/reasons/<commit>/<environment>/<benchmark>.json.gz      their profiles (case_pages.py)
    <html>/scripts/                                                asv's third-party scripts (third_party.py)

Environments and benchmarks have in these paths the names that `_file_name` makes. What asv wrote is mended where it
takes names for HTML (page_scripts.py), and while this plugin is in use asv's terminal is guarded (terminal.py).
"""

from __future__ import annotations

import collections
import concurrent.futures
import gc
import json
import multiprocessing
import os
import re
import shutil
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asv.config import Config
from asv.console import log
from asv.publishing import OutputPublisher

from harness import protocol
from harness.asv_plugin import case_pages, history, overview, page_scripts, private_parts, terminal, third_party
from harness.errors import HarnessError
from harness.overlay.git import Repository
from harness.profile import flame
from harness.profile.comparison import Run
from harness.store import records
from harness.store.noise import Measured
from harness.store.records import KeptCount
from harness.system import asv_folder

_SITE = Path(__file__).with_name("site")
_FILES = (
    *("overview.css", "overview.js", "reasons.html", "reasons.css", "reasons.js", "flame.js"),
    *("numbers.js", "elements.js", "escaped.js", "asv_link.js", "asv_dark.css"),
)
_LINKS = """    <link href="asv_dark.css" rel="stylesheet"/>
    <script src="numbers.js"></script>
    <script src="escaped.js"></script>
    <script src="asv_link.js"></script>
  </head>"""
_DATA = "reasons"
#: What makes two counts of a case comparable: they are of one series in asv too.
_Series = tuple[str, str]  # environment, benchmark


def setup() -> None:
    """asv calls this when it takes the plugin in, whatever it was asked to do."""
    terminal.guard()


class Reasons(OutputPublisher):  # type: ignore[misc]
    """Writes the overview and the reasons beside asv's own pages, when `asv publish` has written those. asv finds the
    class among the subclasses of OutputPublisher, and takes the attributes for a page of its own kind."""

    name = "reasons"
    button_label = "Reasons"
    description = "Where the instructions go, and what moved"
    order = 10

    @classmethod
    def publish(cls, conf: Config, repo: Any, benchmarks: Any, graphs: Any, revisions: Mapping[str, int]) -> None:
        html = Path(conf.html_dir)
        try:
            third_party.bring(html)
        except HarnessError as error:
            log.warning(f"{error}. asv's own links stay: its pages load their scripts from public servers.")
        try:
            page_scripts.mend(html)
        except HarnessError as error:
            log.warning(str(error))
        for name in _FILES:
            shutil.copyfile(_SITE / name, html / name)
        (html / "flame.css").write_text(flame.STYLE)
        page = html / "index.html"
        (html / "asv.html").write_text(page.read_text().replace("</head>", _LINKS))
        shutil.copyfile(_SITE / "overview.html", page)
        if conf.show_commit_url == "#":
            conf.show_commit_url = "reasons.html#commit="

        counted = history.counted(Path(conf.results_dir), benchmarks)
        for name in set(benchmarks) - {name for _, name in counted.values}:
            del benchmarks[name]  # asv's index is written after this, and its grid shows what is in there
        versions = {
            name.removesuffix(protocol.TRACK): benchmark["version"]
            for name, benchmark in benchmarks.items()
            if name.endswith(protocol.TRACK)
        }
        root = Path(asv_folder.NAME)
        # Commits that were counted to be compared have no results of asv's, and reasons all the same.
        numbers = {**repo.get_revisions(set(records.commits(root))), **revisions}
        commits = sorted(numbers, key=lambda commit: numbers[commit])
        published = _published(root, commits, versions)
        summaries = _write(published, html / _DATA)
        benchmarks_by_commit: dict[str, dict[str, list[str]]] = collections.defaultdict(dict)
        for (commit, environment), summary in summaries.items():
            benchmarks_by_commit[commit][environment] = sorted(summary)
        shown = {commit for by_commit in counted.values.values() for commit in by_commit}
        every = Repository(private_parts.folder_of_repository(repo)).described(
            [commit for commit in commits if commit in benchmarks_by_commit or commit in shown]
        )
        on_page = [one for one in every if one[0] in shown]
        measured = _noise(root, Path(conf.benchmark_dir))
        histories = history.histories(counted, benchmarks, [commit for commit, _, _ in on_page], measured)
        for name, noises in _by_benchmark(histories).items():
            benchmarks[name]["noise"] = max(noises)  # asv's own graph shows one band for all its lines
        details = _details(summaries, commits)
        overview_page = overview.page(conf.project, conf.hash_length, on_page, histories, details)
        (html / "overview.json").write_text(json.dumps(overview_page, separators=(",", ":")))
        described = [one for one in every if one[0] in benchmarks_by_commit]
        index = {
            "project": conf.project,
            "digits": conf.hash_length,
            "commits": [
                {"hash": commit, "seconds": seconds, "subject": subject, "environments": benchmarks_by_commit[commit]}
                for commit, seconds, subject in described
            ],
        }
        (html / _DATA).mkdir(exist_ok=True)
        (html / _DATA / "index.json").write_text(json.dumps(index, separators=(",", ":")))


def _noise(root: Path, suite: Path) -> Measured:
    """What is known of how noisy cases are; of a file that holds none, that is told, and the pages are made."""
    try:
        return Measured.read(root, suite)
    except HarnessError as error:
        log.warning(f"{error}. The pages show the noise that classes declare.")
        return Measured()


def _by_benchmark(histories: Iterable[overview.History]) -> dict[str, list[float]]:
    """The noises of each benchmark's cases, by asv's name for it."""
    noises: dict[str, list[float]] = collections.defaultdict(list)
    for each in histories:
        noises[f"{each.benchmark}{protocol.TRACK}"].append(each.noise)
    return noises


def _details(
    summaries: Mapping[tuple[str, str], Mapping[str, Any]], commits: Iterable[str]
) -> dict[tuple[str, str, tuple[str, ...]], overview.Detail]:
    """What is behind each case's newest count that has a profile."""
    place = {commit: number for number, commit in enumerate(commits)}
    details = {}
    for commit, environment in sorted(summaries, key=lambda key: place[key[0]]):
        for benchmark, rows in summaries[commit, environment].items():
            for row in rows:
                key = (environment, benchmark, tuple(row["asv"]))
                moved = tuple(row["moved"]) if row.get("moved") else None
                details[key] = overview.Detail(commit, row["parts"], moved, row["notes"])
    return details


def _published(root: Path, commits: Iterable[str], versions: Mapping[str, str]) -> dict[_Series, list[KeptCount]]:
    """What is kept of these commits, in their order, of benchmarks as they are now."""
    published: dict[_Series, list[KeptCount]] = collections.defaultdict(list)
    for commit in commits:
        for count in records.find(root, commit):
            version = versions.get(count.record["benchmark"])
            if count.has_profile and version is not None and count.record.get("version", version) == version:
                published[count.record["environment"], count.record["benchmark"]].append(count)
    return published


def _write(published: dict[_Series, list[KeptCount]], target: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Write every bundle; returns by commit and environment, and then by benchmark, what its cases counted."""
    summaries: dict[tuple[str, str], dict[str, Any]] = collections.defaultdict(dict)
    # Processes, not threads: reading profiles is Python's own work. The largest first.
    ordered = sorted(published.items(), key=lambda item: -sum(count.size for count in item[1]))
    context = multiprocessing.get_context("fork")
    # What they read is trees without cycles, which nobody need search for garbage.
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), context, gc.disable) as pool:
        jobs = {pool.submit(_write_series, several, target): series for series, several in ordered}
        for job in concurrent.futures.as_completed(jobs):
            environment, benchmark = jobs[job]
            log.dot()
            for commit, summary in job.result().items():
                summaries[commit, environment][benchmark] = summary
    for (commit, environment), summary in summaries.items():
        _pack(target / commit / _file_name(environment) / "index.json.gz", dict(sorted(summary.items())))
    return summaries


def _write_series(several: list[KeptCount], target: Path) -> dict[str, Any]:
    """Write one benchmark's bundles of one environment, commit by commit; returns by commit what its cases counted."""
    before: dict[tuple[str, ...], tuple[KeptCount, dict[str, Run]]] = {}
    summaries: dict[str, Any] = {}
    by_commit: dict[str, list[KeptCount]] = collections.defaultdict(list)
    for count in several:
        by_commit[count.record["commit"]].append(count)
    for commit, cases in by_commit.items():
        bundle = case_pages.Bundle(cases[0].components)
        summary = []
        for count in cases:
            key = tuple(count.record["parameters"])
            try:
                runs = _runs(count)
            except (OSError, ValueError) as error:
                log.warning(f"the profile in {count.folder} cannot be read: {error}")
                continue
            last, last_runs = before.get(key, (None, {}))
            case: dict[str, Any] = {
                "parameters": count.parameters,
                "asv": count.asv_texts,
                "notes": count.notes,
                "fingerprint": count.fingerprint,
            }
            row = {
                "parameters": count.parameters,
                "asv": count.asv_texts,
                "number": count.record["instructions per call"],
                "notes": count.notes,
            }
            if last is not None:
                case |= {"before": last.record["commit"], "differs": count.differs_from(last)}
                row["before"] = last.record["instructions per call"]
            views = {name: (run, last_runs.get(name)) for name, run in runs.items()}
            summary.append({**row, **bundle.add(case, views)})
            before[key] = count, {**last_runs, **runs}
        if summary:
            summaries[commit] = summary
            environment, benchmark = cases[0].record["environment"], cases[0].record["benchmark"]
            _pack(target / commit / _file_name(environment) / f"{_file_name(benchmark)}.json.gz", bundle.told())
    return summaries


def _runs(count: KeptCount) -> dict[str, Run]:
    views = {"c": count, "python": count.by_python}
    return {name: view.run() for name, view in views.items() if view is not None and view.has_profile}


def _file_name(name: str) -> str:
    """As site/reasons.js asks for it: neither a path nor the folder above."""
    return re.sub(r"^\.", "%2E", urllib.parse.quote(name, safe="!'()*"))


def _pack(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    records.pack(path, json.dumps(content, separators=(",", ":")).encode())
