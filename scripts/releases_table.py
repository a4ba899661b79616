"""A table, release by release, out of asv's results: counts, and each one's change against the release before.

    python scripts/releases_table.py [--bench REGEX] [--least PERCENT] [--changes] [--config FILE]
                                     [--into docs/releases.md]

The cases that changed most come first; changes of `--bold` per cent and more are set in bold; --changes leaves the
counts out. With --into the table takes the place of what lies between the lines `<!-- releases -->` and
`<!-- end of releases -->` of that file, with the conditions in which the counts were taken.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from asv.config import Config
from asv.machine import Machine
from asv.plugin_manager import plugin_manager
from asv.repo import get_repo
from asv.results import iter_results_for_machine
from figures import days, machine

from harness.protocol import TRACK
from harness.store import records
from harness.system.printable import shown

BEGIN, END = "<!-- releases -->", "<!-- end of releases -->"
#: By case: a count for each release, None where the release could not run it.
Counts = dict[str, list[float | None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="asv.releases.conf.json", help="asv's configuration (default: %(default)s)")
    parser.add_argument("--bench", default="", help="only cases with this regular expression in their names")
    parser.add_argument(
        "--least", type=float, default=0.0, help="only cases that changed by so many per cent in a step"
    )
    parser.add_argument("--bold", type=float, default=3.0, help="what is in bold, in per cent (default: %(default)s)")
    parser.add_argument("--changes", action="store_true", help="only the changes, no counts")
    parser.add_argument("--into", type=Path, help="put the table into this file")
    arguments = parser.parse_args()
    into = arguments.into and arguments.into.resolve()
    configuration = Path(arguments.config).resolve()
    releases, counts = read(configuration, arguments.bench)
    if not counts:
        raise SystemExit(f"asv's results hold no counts of {arguments.bench!r}: `make releases` takes them")
    lines = "\n".join(table(list(releases), counts, arguments.least, arguments.bold, arguments.changes))
    if into is None:
        print(lines)
        return
    text = into.read_text()
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise SystemExit(f"{into} lacks the line {BEGIN}, or {END} after it")
    into.write_text(f"{before}{begin}\n{conditions(configuration.parent, releases)}\n\n{lines}\n\n{end}{after}")


def read(configuration: Path, bench: str) -> tuple[dict[str, str], Counts]:
    """The releases and their commits, oldest first, and this machine's counts of every case that one of them has."""
    os.chdir(configuration.parent)  # as asv does
    conf = Config.load(str(configuration))
    for plugin in conf.plugins:
        plugin_manager.import_plugin(plugin)
    repository = get_repo(conf)
    with contextlib.redirect_stdout(sys.stderr):
        machine = Machine.load(interactive=False, use_defaults=True).machine
    tags = sorted(repository.get_tags().items(), key=lambda tag: repository.get_date_from_name(tag[0]))
    counts: Counts = {}
    for number, (_, commit) in enumerate(tags):
        for results in iter_results_for_machine(conf.results_dir, machine):
            if results.commit_hash != commit:
                continue
            for key in results.get_all_result_keys():
                if not key.endswith(TRACK):
                    continue
                params = results.get_result_params(key)
                values = results.get_result_value(key, params)
                for choice, value in zip(itertools.product(*params), values, strict=True):
                    plain = ", ".join(text.strip("'") for text in choice)
                    name = f"{key.removesuffix(TRACK)}({plain})"
                    if re.search(bench, name) and value is not None and not math.isnan(value):
                        counts.setdefault(name, [None] * len(tags))[number] = value
    return dict(tags), counts


def conditions(folder: Path, releases: dict[str, str]) -> str:
    """How the counts that are kept of these releases in asv's `folder` were taken, as a sentence in italics."""
    found = [each for commit in releases.values() for each in records.find(folder / ".asv", commit)]
    if not found:
        return f"*Counted on {machine()}.*"
    counters = " and ".join(sorted({each.fingerprint.get("counter", "unknown") for each in found}))
    rules = " and ".join(sorted({each.fingerprint.get("counting rules", "unknown") for each in found}))
    return f"*Counted {days(found)} with the {counters} counter and counting rules {rules}, on {machine()}.*"


def steps(values: list[float | None]) -> list[float | None]:
    """Each count's change against the one before, in per cent."""
    pairs = itertools.pairwise(values)
    return [None, *(None if before is None or after is None else (after / before - 1) * 100 for before, after in pairs)]


def table(releases: list[str], counts: Counts, least: float, bold: float, changes: bool) -> Iterator[str]:
    """Lines of Markdown."""
    if changes:  # the first release changed from nothing
        yield f"| change | {' | '.join(map(plain, releases[1:]))} | {plain(releases[0])} to {plain(releases[-1])} |"
        yield f"| --- |{' ---: |' * len(releases)}"
    else:
        yield f"| instructions a call | {' | '.join(map(plain, releases))} | all in all |"
        yield f"| --- |{' ---: |' * (len(releases) + 1)}"
    largest = {
        name: max((abs(step) for step in steps(values) if step is not None), default=0.0)
        for name, values in counts.items()
    }
    for name in sorted(counts, key=lambda name: (-largest[name], name)):
        if largest[name] < least:
            continue
        values = counts[name]
        if changes:
            cells = [change(step, bold) or "n/a" for step in steps(values)[1:]]
        else:
            cells = [cell(value, step, bold) for value, step in zip(values, steps(values), strict=True)]
        known = [value for value in values if value is not None]
        whole = change((known[-1] / known[0] - 1) * 100 if len(known) > 1 else None, bold)
        yield f"| {code(name)} | {' | '.join(cells)} | {whole} |"
    left = sum(change < least for change in largest.values())
    if left:
        yield f"\n{left} more changed by less than {least:g} % in every step."


def plain(text: str) -> str:
    """Text in Markdown that stays that text, in any place of a table: what could be markup or HTML is written by its
    number, which Markdown takes for nothing else."""
    return re.sub(r"[^\w .,()=-]|_", lambda found: f"&#{ord(found[0])};", shown(text))


def code(text: str) -> str:
    """The same as code; where fences of it will not do, as HTML's."""
    return f"<code>{plain(text)}</code>" if re.search(r"[`|\\\s]", text.replace(" ", "")) else f"`{shown(text)}`"


def cell(value: float | None, step: float | None, bold: float) -> str:
    return f"{'n/a' if value is None else shortened(value)} {change(step, bold)}".rstrip()


def change(step: float | None, bold: float) -> str:
    if step is None:
        return ""
    return f"**{step:+.1f} %**" if abs(step) >= bold else f"{step:+.1f} %"


def shortened(value: float) -> str:
    size, unit = next(((size, unit) for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if value >= size), (1, ""))
    return f"{value / size:.4g} {unit}".rstrip()


if __name__ == "__main__":
    main()
