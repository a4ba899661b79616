"""Count a suite with asv, show how it goes, and write the pages.

On a terminal there is one live picture: how many cases are done, what each core is doing, how long it takes. Elsewhere
it is a line a case. What asv itself prints goes to .asv/asv.log, and is shown where asv fails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.cli.parser import add_config
from harness.engine import progress, settings
from harness.errors import HarnessError, StartError, SuiteError
from harness.store import costs, records
from harness.suite import suites
from harness.system import asv_folder, printable

HELP = "count a suite with asv and write the pages"
EXAMPLES = (
    "harness bench",
    "harness bench --suite default HEAD~3..HEAD",
    "harness bench --bench Detach --config asv.readable.conf.json",
)
_ASV_LOG, _EVENTS = Path(asv_folder.NAME, "asv.log"), Path(asv_folder.NAME, "progress.jsonl")
_TAIL_LINES = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("range", nargs="?", default="HEAD^!", help="commits, as asv takes them (default: %(default)s)")
    parser.add_argument("--suite", choices=suites.NAMES, default="quick", help="how much of it (default: %(default)s)")
    parser.add_argument("--bench", default="", metavar="REGEX", help="only cases whose names it finds, of any suite")
    add_config(parser)
    parser.add_argument("--resume", action="store_true", help="what is kept of a commit is not counted again")


def run(arguments: argparse.Namespace) -> int:
    """asv's status: 0, or that of what failed."""
    asv = Path(sys.executable).with_name("asv")
    if not asv.exists():
        raise StartError(f"no asv beside {sys.executable}: use the environment that `make setup` makes, .venv")
    asv_folder.check(Path(arguments.config))
    try:
        re.compile(arguments.bench)
    except re.error as error:
        raise SuiteError(f"--bench {arguments.bench!r} is no regular expression: {error}") from None
    _ASV_LOG.parent.mkdir(exist_ok=True)
    began = time.time()
    status = _count(arguments, str(asv))
    if status != 0:
        _show_log(f"asv ended with status {status}; its last lines, of {_ASV_LOG}:")
        print("what failed cases left is in .asv/failures", file=sys.stderr)
    published = _asv(arguments, str(asv), "publish")
    if published != 0:
        _show_log(f"the pages could not be written (asv's status {published}); its last lines, of {_ASV_LOG}:")
        return status or published
    _say_what_next(arguments, str(asv), began)
    return status


def _count(arguments: argparse.Namespace, asv: str) -> int:
    _EVENTS.write_text("")
    _ASV_LOG.write_text("")
    # Without --bench asv goes through all there is, and cases of larger suites are skipped. Of those that remain only
    # the headline is asked for with Callgrind, which gives no other number.
    readable = "readable" in Path(arguments.config).read_text()
    pattern = arguments.bench or ("" if readable else r"\.track_instructions")
    surroundings = {
        **os.environ,
        settings.PROGRESS: str(_EVENTS.resolve()),
        settings.AHEAD: "suite",
        settings.BENCH: pattern,
        # Whoever names benchmarks wants those, whatever suite they are in.
        settings.SUITE: "full" if arguments.bench and arguments.suite == "quick" else arguments.suite,
        **({settings.RESUME: "1"} if arguments.resume else {}),
    }
    _asv(arguments, asv, "machine", "--yes")
    more = ["--bench", pattern] if pattern else []
    more += ["--skip-existing-successful"] if arguments.resume and arguments.suite != "full" else []
    command = [asv, "--config", arguments.config, "run", "--show-stderr", *more, arguments.range]
    with open(_ASV_LOG, "a") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=surroundings
        )
    try:
        state = _watch(process, live if sys.stdout.isatty() else plain)
        if state.clocked:
            print(
                f"{len(state.clocked)} of {state.done} cases read the clock while they were counted: their numbers may "
                "depend on it (harness explain tells how often)"
            )
        return process.wait()
    except BaseException:
        process.terminate()  # asv ends its processes, and the supervisor sees that and ends ours
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        raise


def _asv(arguments: argparse.Namespace, asv: str, *words: str) -> int:
    with open(_ASV_LOG, "a") as log:
        command = [asv, "--config", arguments.config, *words]
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL).returncode


def _show_log(sentence: str) -> None:
    lines = _ASV_LOG.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    print(sentence, *(f"  {line}" for line in lines), sep="\n", file=sys.stderr)


# Progress


def _watch(process: subprocess.Popen[bytes], show: Callable[[progress.Progress], Any]) -> progress.Progress:
    """Show the events until the process is over; what they add up to."""
    state = progress.Progress(expected=_earlier_seconds())
    with open(_EVENTS) as events, show(state) as show_event:
        while True:
            running = process.poll() is None
            for line in iter(events.readline, ""):
                event = progress.decode(line)
                if event is not None:
                    state.take(event, time.monotonic())
                    show_event(event)
            show_event(None)
            if not running:
                return state
            time.sleep(0.2)


def _earlier_seconds() -> dict[str, float]:
    try:
        counted = costs.newest(Path(asv_folder.NAME), "callgrind")
    except HarnessError:
        return {}
    return {f"{count.case[0]}({', '.join(count.case[1])})": sum(count.record["seconds"].values()) for count in counted}


@contextlib.contextmanager
def plain(state: progress.Progress) -> Iterator[Callable[[dict[str, Any] | None], None]]:
    """A line a case."""

    def show_event(event: dict[str, Any] | None) -> None:
        text = None if event is None else progress.line(event)
        if text is not None:
            print(text, flush=True)

    yield show_event


@contextlib.contextmanager
def live(state: progress.Progress) -> Iterator[Callable[[dict[str, Any] | None], None]]:
    """One picture that stays where it is, below a line a case."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    # Past the guard of what is printed, since a live picture is made of what a terminal obeys; texts are guarded here.
    console = Console(file=sys.__stdout__)  # which knows NO_COLOR

    def text(line: str, style: str = "") -> Text:
        return Text(printable.shown(line), style=style, overflow="ellipsis", no_wrap=True)

    began = time.monotonic()

    def picture() -> Group:
        now = time.monotonic()
        left = state.seconds_left(now)
        about = "" if left is None or not state.cases else f", about {_minutes(left)} left"
        rows: list[Text | ProgressBar] = [
            text(f"{state.done} of {len(state.cases) or '?'} cases, {_minutes(now - began)}{about}")
        ]
        rows.append(ProgressBar(total=max(1, len(state.cases)), completed=state.done, width=60))
        for number, (name, since) in enumerate(state.running.items(), 1):
            rows.append(text(f"  core {number}: {name}  {_minutes(now - since)}"))
        if not state.running:
            what = "the server imports torch" if state.server == "starting" else _last_line()
            rows.append(text(f"  {what}"))
        return Group(*rows)

    with Live(get_renderable=picture, console=console, refresh_per_second=4, transient=True) as live:

        def show_event(event: dict[str, Any] | None) -> None:
            line = None if event is None else progress.line(event)
            if line is not None:
                style = {"failed": "red", "skipped": "dim"}.get((event or {}).get("state", ""), "")
                live.console.print(text(line, style))
            if event is not None:
                live.refresh()  # also a case that is over before the next tick is seen to run

        yield show_event


def _last_line() -> str:
    lines = _ASV_LOG.read_text(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "asv starts")


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


# The end


def _say_what_next(arguments: argparse.Namespace, asv: str, began: float) -> None:
    """The three commands that are wanted next, with the name of a case that was counted."""
    root = Path(asv_folder.NAME)
    newest = [
        count
        for commit in records.commits(root)
        for count in records.find(root, commit)
        if count.has_profile and count.kept_at >= began
    ]
    own = Path(sys.executable).with_name("harness")
    harness = _short(own) if own.exists() else f"{_short(Path(sys.executable))} -m harness"
    config = "" if arguments.config == "asv.conf.json" else f" --config {arguments.config}"
    print(f"counts and profiles: {root}/counts    pages: {_pages(arguments.config)}    asv's own words: {_ASV_LOG}")
    print("next:")
    print(f"    {_short(Path(asv))}{config} preview")
    if newest:
        count = min(newest, key=lambda count: (not count.record["benchmark"].startswith("dtensor.Detach"), count.case))
        params = "".join(f" --param {shlex.quote(f'{name}={value}')}" for name, value in count.parameters.items())
        print(f"    {harness} explain {count.record['benchmark']}{params}{config}")
        print(
            f"    {_short(Path(asv))}{config} continuous --factor 1.002 HEAD~1 HEAD --bench {count.record['benchmark']}"
        )
    else:
        print(f"    {harness} costs{config}")


def _pages(config: str) -> str:
    match = re.search(r'"html_dir": *"([^"]+)"', Path(config).read_text())
    return f"{match[1] if match else 'html'}/index.html"


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
