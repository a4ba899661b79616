"""What moves a case's count between memory layouts: functions, and the Python functions under which they ran.

    python scripts/movers.py BENCHMARK [--param NAME=VALUE] [--layouts 6] [--rows 12] [--benchmarks FOLDER]

The case is counted in several memory layouts by the readable counter. The two whose counts lie furthest apart are then
counted by Python function, and what differs between those is printed. Layouts differ in what means nothing: the length
of a variable that nobody reads, and which modules are imported first. A cure makes the rows of a function go away.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.engine import client
from harness.errors import CaseSkipped, HarnessError
from harness.profile.comparison import Run
from harness.profile.symbols import Function
from harness.report import columns
from harness.store import records
from harness.suite import counting
from harness.suite.cases import DeclaredWorkload
from harness.suite.selection import choose, find

SUITE = Path(__file__).parent.parent / "benchmarks"
IMPORTED_FIRST = ((), ("wave", "sqlite3"), ("http.server", "xml.dom.minidom"))
PADDINGS = (0, 40, 1000)
#: Layouts, as changes of a Configuration; the first is everybody's.
LAYOUTS: list[dict[str, Any]] = [
    {"padding": padding, "import_first": modules} for modules, padding in itertools.product(IMPORTED_FIRST, PADDINGS)
]
_LEAST = 0.005  # instructions per call; the rows' sum tells what is left out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", help="as asv names it, e.g. dtensor.Detach")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="only this case")
    parser.add_argument("--layouts", type=int, default=6, help=f"2 to {len(LAYOUTS)} (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=12, help="of each table (default: %(default)s)")
    parser.add_argument("--benchmarks", type=Path, default=SUITE, metavar="FOLDER", help="the package of benchmarks")
    arguments = parser.parse_args()
    if not 2 <= arguments.layouts <= len(LAYOUTS):
        parser.error(f"--layouts is {arguments.layouts}; it takes 2 to {len(LAYOUTS)}")
    try:
        workload = find(arguments.benchmarks, arguments.benchmark, arguments.param)
        for params in choose(workload, arguments.param):
            for line in lines(workload, params, LAYOUTS[: arguments.layouts], arguments.rows):
                print(line, flush=True)
    except HarnessError as error:
        sys.exit(f"movers: {error}")


def lines(
    workload: type[DeclaredWorkload], params: tuple[object, ...], layouts: list[dict[str, Any]], rows: int
) -> Iterator[str]:
    """Lines of one case, as they become known."""
    yield f"{workload.benchmark()}({', '.join(map(str, params))})"
    counts = []
    try:
        for layout in layouts:
            counts.append(counting.count(workload, params, counter="readable", ahead="nothing", **layout))
            yield f"  {counts[-1]:,.2f} with {named(layout)}"
    except CaseSkipped as reason:
        yield f"  skipped: {reason}"
        return
    least, most = min(counts), max(counts)
    yield f"  spread {most / least - 1:.4%}"
    if least == most:
        return
    base, head = (run(workload, params, layouts[counts.index(count)]) for count in (least, most))
    yield f"  by Python function, from the least to the most: {head.per_call - base.per_call:+,.2f} instructions"
    moved = differences(base, head)
    by_native: dict[Function, float] = collections.defaultdict(float)
    by_python: dict[Function, float] = collections.defaultdict(float)
    for (python, native), change in moved.items():
        by_native[native] += change
        by_python[python] += change
    for title, changes in (("machine code", by_native), ("Python function", by_python)):
        yield from ["", *table([[name.name] for name in changes], list(changes.values()), [title], rows)]
    pairs = [[native.name, python.name] for python, native in moved]
    yield from ["", *table(pairs, list(moved.values()), ["machine code", "under"], rows), ""]


def run(workload: type[DeclaredWorkload], params: tuple[object, ...], layout: dict[str, Any]) -> Run:
    """The case in this layout, counted by Python function."""
    configuration = counting.configuration_for(workload, counter="frames", ahead="nothing", **layout)
    with tempfile.TemporaryDirectory(prefix="movers-") as folder, client.session(configuration) as directory:
        place = records.Place(Path(folder), "here", "here", workload.benchmark(), tuple(map(str, params)))
        counting.ask(workload, params, directory, place=place)
        (record,) = Path(folder).rglob("count.json")
        kept = records.KeptCount.load(record.parent)
        assert kept is not None, f"no count was kept in {record.parent}"
        return kept.run()


def differences(base: Run, head: Run) -> dict[tuple[Function, Function], float]:
    """By Python function and the machine code under it, how many instructions a call more `head` executed."""
    changes: dict[tuple[Function, Function], float] = collections.defaultdict(float)
    for side, sign in ((base, -1), (head, 1)):
        for python, below in side.profile.native.items():
            for native, own in below.items():
                changes[python, native] += sign * own / side.calls
    return {pair: change for pair, change in changes.items() if abs(change) >= _LEAST}


def table(names: list[list[str]], changes: list[float], heads: list[str], rows: int) -> list[str]:
    """The largest changes first; the last row is what the others come to."""
    ordered = sorted(zip(changes, names, strict=True), key=lambda pair: -abs(pair[0]))
    shown = [[f"{change:+,.2f}", *name] for change, name in ordered[:rows] if abs(change) >= _LEAST]
    left = ordered[len(shown) :]
    if left:
        blank = [""] * (len(heads) - 1)
        shown.append([f"{sum(change for change, _ in left):+,.2f}", f"{len(left)} more", *blank])
    return columns.lines(["change", *heads], shown, names=range(1, len(heads) + 1))


def named(layout: dict[str, Any]) -> str:
    first = f", {' and '.join(layout['import_first'])} first" if layout["import_first"] else ""
    return f"padding {layout['padding']}{first}"


if __name__ == "__main__":
    main()
