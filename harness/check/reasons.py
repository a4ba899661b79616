"""Why a case moved: the profiles that were kept of both sides, compared function by function."""

from __future__ import annotations

from pathlib import Path

from harness.check.messages import CaseCounted
from harness.check.verdicts import Moved, Reason
from harness.profile import comparison
from harness.profile.comparison import Run
from harness.store.records import KeptCount

_FUNCTIONS = 10


def reason(base: CaseCounted, head: CaseCounted) -> Reason:
    runs: list[Run] = []
    components = None
    for report in (base, head):
        if report.folder is None:
            return Reason(lacking=(report.failed or report.skipped or "nothing was kept of it").splitlines()[0])
        count = KeptCount.load(Path(report.folder))
        shown = count and (count.by_python if report.fingerprint.get("counter") == "frames" else count)
        try:
            if shown is None:
                raise ValueError("nothing is kept of it")
            runs.append(shown.run())
            components = shown.components
        except (OSError, ValueError) as error:
            return Reason(lacking=f"the profile in {report.folder} cannot be read: {error}")
    before, after = runs
    difference = comparison.compare(before, after)
    functions = tuple(
        Moved(row.function.name, row.function.place, row.base, row.head) for row in difference.rows[:_FUNCTIONS]
    )
    assert components is not None
    was, is_now = (comparison.parts(run, components) for run in runs)
    parts = {name: is_now.get(name, 0) / after.calls - was.get(name, 0) / before.calls for name in {**was, **is_now}}
    moved = tuple(sorted(((name, by) for name, by in parts.items() if by), key=lambda part: (-abs(part[1]), part[0])))
    return Reason("python" if after.python else "c", functions, difference.rest(_FUNCTIONS)[1], moved)
