"""What a search asks for and what it makes of the answers; prober, results and repository are made up: milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.bisect import findings
from harness.bisect.messages import Point, Probe, Probed, Survey
from harness.bisect.search import Options, Search
from harness.store.noise import Measured, facts_of

Count = Callable[[int, str, int], float | None]


class ProbingProcess:
    """Counts what `count(point, counter, layout)` says, for the one case there is."""

    def __init__(self, digests: str, count: Count) -> None:
        points = tuple(
            Point(f"{number:040x}", "/wheel", "torch 1.0 (commit abc)", digest, own=True)
            for number, digest in enumerate(digests)
        )
        self.survey = Survey(
            "work.Work", "1", "instructions", 0.004, ("of",), (("'all'",),), {0: ("all",)}, points, "3.11.7", "x86_64"
        )
        self.asked: list[tuple[int, str, int]] = []
        self._count = count

    def probe(self, probes: list[Probe]) -> Any:
        for probe in probes:
            key = int(probe.commit, 16), probe.counter, probe.memory_layout
            self.asked.append(key)
            value = self._count(*key)
            counts = {} if value is None else {0: value}
            failures = {} if counts else {0: "it does not import\nTraceback ..."}
            yield Probed(probe.serial, counts, failures, "torch 1.0 (commit abc): no native file differs", (), {})


class AsvProject:
    keep = Path("kept")

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], float] = {}
        self.stored: dict[tuple[str, str], dict[int, float]] = {}

    def environment_name(self, counter: str) -> str:
        return f"environment-{counter}"

    def saved(self, benchmark: Any, counter: str, commit: str, wheel_name: str) -> dict[int, tuple[float, str]]:
        known = self.known.get((counter, commit))
        return {} if known is None else {0: (known, "torch 1.0 (commit abc): no native file differs")}

    def save(self, benchmark: Any, counter: str, commit: str, counts: Any, failures: Any) -> None:
        self.stored[counter, commit] = counts


class Repository:
    def subject(self, commit: str) -> str:
        return f"subject {int(commit, 16)}"

    def commit(self, name: str) -> str:
        return name

    def changed(self, before: str, after: str) -> list[str]:
        return ["torch/file.py"]


def search(
    digests: str, count: Count, project: AsvProject | None = None, measured: Measured | None = None, **options: Any
) -> tuple[findings.CaseFinding, ProbingProcess]:
    process = ProbingProcess(digests, count)
    made: Any = Search(
        project or AsvProject(),  # type: ignore[arg-type]
        process,  # type: ignore[arg-type]
        Repository(),  # type: ignore[arg-type]
        measured or Measured(),
        Options(cores=2, **options),
    )
    (found,) = made.run()
    return found, process


def step_at(place: int, size: float = 1.05) -> Count:
    return lambda point, counter, layout: 1000.0 * (size if point >= place else 1.0)


def test_the_ends_and_what_is_found_are_counted_with_the_counter_that_confirms():
    found, process = search("abcdefgh", step_at(5))
    assert process.asked[:2] == [(0, "callgrind", 0), (7, "callgrind", 0)]
    assert process.asked[-2:] == [(4, "callgrind", 0), (5, "callgrind", 0)]
    assert {counter for _, counter, _ in process.asked[2:-2]} == {"readable"}
    (step,) = found.steps
    assert found.outcome == "found" and step.culprit.subject == "subject 5" and step.culprit.files == ("torch/file.py",)
    assert step.change == findings.Change(1000, 1050) and step.counter == "callgrind" and step.doubt is None


def test_equal_trees_next_to_each_other_are_counted_once_and_the_first_of_them_is_named():
    found, process = search("aaaaaabbbb", step_at(6))
    assert sorted(process.asked) == [(0, "callgrind", 0), (6, "callgrind", 0)]
    assert found.steps[0].culprit.subject == "subject 6"


def test_a_revert_is_not_counted_again():
    _, process = search("abca", lambda point, counter, layout: 1000.0 + point % 3)
    assert sorted(process.asked) == [(0, "callgrind", 0)]


def test_a_step_near_noise_gets_a_second_opinion_and_a_clear_one_does_not():
    _, process = search("abcd", step_at(2, size=1.02))
    assert {layout for _, _, layout in process.asked} == {0}
    found, process = search("abcd", step_at(2, size=1.006))
    assert [key for key in process.asked if key[2]] == [(1, "readable", 1), (2, "readable", 1)]
    assert found.outcome == "found" and found.steps[0].elsewhere == findings.Change(1000, 1006)


def test_the_measured_noise_of_a_case_decides_what_a_step_is():
    declared, process = search("abcd", step_at(2, size=1.002))
    assert declared.outcome == "no change" and len(process.asked) == 2
    counts = (1000.0, 1000.3)  # less than the least that is believed
    quiet = Measured().with_counts("work.Work  of=all", facts_of("readable", "3.11.7", "x86_64"), counts)
    found, _ = search("abcd", step_at(2, size=1.002), measured=quiet)
    assert found.outcome == "found" and found.steps[0].change == findings.Change(1000, 1002)
    assert found.facts()["noise measured"] and "; noise 0.05 %, measured" in "\n".join(found.lines())
    asked, _ = search("abcd", step_at(2, size=1.002), measured=quiet, noise=0.01)
    assert asked.outcome == "no change"


@pytest.mark.parametrize("elsewhere", [1.0, 1.003, 0.99])
def test_a_step_that_another_layout_does_not_show_is_noise(elsewhere):
    sizes = {0: 1.006, 1: elsewhere}
    found, _ = search("abcd", lambda point, counter, layout: 1000.0 * (sizes[layout] if point >= 2 else 1))
    assert found.steps[0].is_noise and found.outcome == "no change"
    assert "noise, since it does not show in another memory layout," in "\n".join(found.lines())


def test_a_change_that_the_confirming_counter_does_not_see_is_not_sure():
    count: Count = lambda point, counter, layout: 1000.0 * (1.05 if point >= (2 if counter == "readable" else 3) else 1)  # noqa: E731
    found, _ = search("abcde", count)
    assert found.outcome == "cannot tell"
    assert "callgrind counted another change than readable" in (found.steps[0].doubt or "")


def test_a_side_that_the_confirming_counter_cannot_count_is_not_sure():
    def count(point: int, counter: str, layout: int) -> float | None:
        return None if counter == "callgrind" and point == 2 else step_at(2)(point, counter, layout)

    found, _ = search("abcde", count)
    assert found.outcome == "cannot tell" and found.steps[0].doubt == "callgrind could not count both sides"
    assert found.steps[0].counter == "readable"


def test_a_change_that_is_spread_cannot_be_told():
    found, _ = search("abcdefghi", lambda point, counter, layout: 1000.0 + 2 * point)
    assert found.outcome == "cannot tell" and "spread over several commits" in (found.steps[0].doubt or "")


def test_ends_that_cannot_be_counted_are_said():
    found, _ = search("abcdef", lambda p, c, layout: None if p in (0, 5) else step_at(3)(p, c, layout))
    assert found.outcome == "found" and found.steps[0].culprit.subject == "subject 3"
    assert "nothing can be counted" in found.why
    found, _ = search("abcdef", lambda *key: None)
    assert found.outcome == "cannot tell" and "it does not import" in found.why


def test_what_is_saved_is_taken_and_what_is_counted_is_saved():
    project = AsvProject()
    first, process = search("abcdefgh", step_at(5), project)
    assert {(counter, int(commit, 16)) for counter, commit in project.stored} == {
        (counter, point) for point, counter, _ in process.asked
    }
    project.known = {key: counts[0] for key, counts in project.stored.items()}
    again, process = search("abcdefgh", step_at(5), project)
    assert process.asked == [] and again == first


def test_a_second_opinion_is_not_saved():
    project = AsvProject()
    _, process = search("abcd", step_at(2, size=1.006), project)
    readable = {int(commit, 16) for counter, commit in project.stored if counter == "readable"}
    assert readable == {point for point, counter, layout in process.asked if counter == "readable" and not layout}


def test_outcomes_of_several_cases():
    def of(outcome: str) -> findings.CaseFinding:
        change = findings.Change(1, 2)
        culprit = findings.Culprit("c", "s", ())
        return {
            "no change": findings.CaseFinding("case", change),
            "cannot tell": findings.CaseFinding("case", None),
            "found": findings.CaseFinding("case", change, (findings.FoundStep(culprit, change, "callgrind"),)),
        }[outcome]

    assert findings.outcome([of("no change"), of("cannot tell"), of("found")]) == "found"
    assert findings.outcome([of("no change"), of("cannot tell")]) == "cannot tell"
    assert findings.outcome([of("no change")]) == "no change"
    assert len(set(findings.STATUS.values()) | {1, 2}) == 5
