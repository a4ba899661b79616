"""Names of torch's insides, looked for in a torch that is made up: each one that is missing becomes a sentence."""

from __future__ import annotations

import dataclasses
import os
import types
from collections.abc import Callable
from typing import Any

import pytest

from harness.errors import CountError
from harness.inside.counters import OpcodeCounter
from harness.inside.pytorch import adapter, internals
from harness.inside.pytorch.internals import EFFECTS, NEEDED, Lacks, Rehearsal, Seen

PARALLEL = "torch.__config__.parallel_info"


def seen(*events: str, steps: int = 4) -> Seen:
    found = Seen()
    found.steps, found.events = steps, set(events)
    return found


ALL_SEEN = seen(*adapter.PHASES, "dynamo", "pass.of.some.kind")


@pytest.fixture
def torch(monkeypatch) -> dict[str, Any]:
    """What the dotted names of a torch that has everything lead to; tests take some away."""
    names: dict[str, Any] = {name: object() for name in NEEDED}
    for effect in EFFECTS:
        value = effect.accepted[0]
        called = effect.seen.endswith("()")
        names[effect.seen.removesuffix("()")] = (lambda value=value: value) if called else value
    for variable, (name, _) in internals.CACHES.items():
        names[name] = lambda *arguments, variable=variable: os.environ[variable]
    names["torch.__version__"] = "9.9"
    names[PARALLEL] = lambda: "ATen\n\tmkl_get_max_threads() : 1\n"

    def resolve(name: str) -> Any:
        try:
            return names[name]
        except KeyError:
            raise AttributeError(name) from None

    monkeypatch.setattr(internals, "_resolve", resolve)
    return names


def look(rehearsal: Rehearsal | None = None, absent: tuple[str, ...] = (), processor: str | None = None) -> Lacks:
    """What both looks find, in one."""
    compiling = internals.look_at_compiling(adapter.PHASES, rehearsal or Rehearsal(("eager",), seen=ALL_SEEN))
    return dataclasses.replace(compiling, notes=(*internals.look(absent, processor), *compiling.notes))


def test_of_a_torch_that_has_everything_nothing_is_said(torch):
    assert look() == Lacks()


@pytest.mark.parametrize("name", NEEDED)
def test_a_function_or_setting_that_is_gone_is_said(torch, name):
    del torch[name]
    assert look() == Lacks((f"torch 9.9 has no {name}: {NEEDED[name]}",))


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.variable)
def test_a_variable_without_effect_is_said_with_the_value_found(torch, monkeypatch, effect):
    monkeypatch.setenv(effect.variable, "wanted")
    name = effect.seen.removesuffix("()")
    torch[name] = (lambda: "AVX512") if effect.seen.endswith("()") else "AVX512"
    (note,) = look().notes
    assert note == f"torch 9.9 does not heed {effect.variable}=wanted ({effect.seen} is 'AVX512'): {effect.otherwise}"
    del torch[name]
    (note,) = look().notes
    assert note.startswith(f"torch 9.9 has no {effect.seen}, where {effect.variable}=wanted is seen to be heeded")


def test_every_variable_of_the_environment_is_looked_for():
    """But two: what Inductor compiles for _compile_for_avx2 looks at, and what MKL uses stands in a text."""
    looked_for = {effect.variable for effect in EFFECTS} | {"TORCHINDUCTOR_CPP_MARCH", "MKL_NUM_THREADS"}
    assert adapter.RULES.environment().keys() == looked_for


def test_threads_of_mkl_are_said_and_a_torch_without_mkl_has_none(torch):
    torch[PARALLEL] = lambda: "mkl_get_max_threads() : 8"
    (note,) = look().notes
    assert "does not heed MKL_NUM_THREADS=1 (MKL uses 8)" in note
    torch[PARALLEL] = lambda: "OpenMP only"
    assert look().notes == ()
    del torch[PARALLEL]
    (note,) = look().notes
    assert "has no torch.__config__.parallel_info" in note


@pytest.mark.parametrize("variable", internals.CACHES)
def test_a_cache_that_lies_elsewhere_is_said(torch, monkeypatch, tmp_path, variable):
    monkeypatch.setenv(variable, "as before")
    name, _ = internals.CACHES[variable]
    torch[name] = lambda *arguments: "/var/tmp/shared"
    (note,) = look().notes
    assert f"does not heed {variable} ({name} says '/var/tmp/shared' for " in note
    del torch[name]
    (note,) = look().notes
    assert f"has no {name}, where {variable} is seen to be heeded" in note
    assert os.environ[variable] == "as before"


def test_a_variable_of_a_worker_is_among_those_looked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "environ", {})
    adapter.RULES.enter_worker(str(tmp_path))
    assert os.environ.keys() == internals.CACHES.keys()


def test_modules_processor_and_failed_rehearsals_are_said(torch):
    rehearsal = Rehearsal(("eager",), {"inductor": "TypeError: no"}, ALL_SEEN)
    processor, modules, rehearsed = look(rehearsal, ("torch._a", "torch._b"), "for another processor").notes
    assert processor == "for another processor"
    assert rehearsed.startswith("rehearsing 'inductor' failed (TypeError: no): ")
    assert modules.startswith("torch 9.9 comes without torch._a, torch._b: ")


@pytest.mark.parametrize("event", adapter.PHASES)
def test_an_event_that_is_logged_no_more_takes_all_phases_with_it(torch, event):
    others = [name for name in adapter.PHASES if name != event]
    found = look(Rehearsal(("eager",), seen=seen(*others, "another", "pass.of.some.kind")))
    assert found.notes == (found.no_phases,) and found.no_steps is None
    logged = ", ".join(sorted([*others, "another"]))
    assert (found.no_phases or "").startswith(
        f"torch 9.9 logged no event {event!r} while it compiled (it logged: {logged})"
    )


def test_compile_steps_that_are_not_told_of_are_said(torch):
    found = look(Rehearsal(("eager",), seen=seen(steps=0)))
    assert found.notes == (found.no_steps,) and found.no_phases is None
    assert "called no torch._dynamo.utils._instruction_counter while 1 compilations were rehearsed" in found.notes[0]


# What is told of a compile then


@pytest.fixture
def dynamo(monkeypatch) -> types.SimpleNamespace:
    """Dynamo's modules `utils` and `config`, as far as they are watched, made up."""

    class ChromiumEventLogger:
        def log_event_start(self, event: str, time: int) -> None: ...
        def log_event_end(self, event: str, time: int) -> None: ...

    utils = types.SimpleNamespace(_instruction_counter="torch's own", ChromiumEventLogger=ChromiumEventLogger)
    config = types.SimpleNamespace(record_compile_time_instruction_count=False)
    modules = {"torch._dynamo.utils": utils, "torch._dynamo.config": config}
    monkeypatch.setattr(internals, "importlib", types.SimpleNamespace(import_module=modules.__getitem__))
    return types.SimpleNamespace(utils=utils, config=config)


def spend(turns: int) -> None:
    for _ in range(turns):
        pass


def compiles(dynamo: types.SimpleNamespace) -> Callable[[], None]:
    """A compile step that spends 100 in Dynamo's tracing, 1000 in AOTAutograd and within that 5000 in Inductor."""

    def event(name: str, body: Callable[[], None]) -> None:
        logger = dynamo.utils.ChromiumEventLogger()
        logger.log_event_start(name, 0)
        body()
        logger.log_event_end(name, 1)

    def aot() -> None:
        spend(1000)
        event("inductor_compile", lambda: event("code_gen", lambda: spend(5000)))

    def work() -> None:
        number = dynamo.utils._instruction_counter.start()
        event("bytecode_tracing", lambda: spend(100))
        event("backend_compile", lambda: event("create_aot_dispatcher_function", aot))
        event("build_guards", lambda: spend(300))
        dynamo.utils._instruction_counter.end(number)

    return work


def numbers(region: str, work: Callable[[], None]) -> dict[str, int]:
    counter = OpcodeCounter(None, "", True)
    made = adapter.RULES.regions[region](counter)
    made.count(work, 1)
    (reading,) = made.read()
    return reading.metrics


def test_what_inductor_does_within_aotautograd_is_the_backends(dynamo):
    for region in ("compile", "work"):
        told = numbers(region, compiles(dynamo))
        order = sorted(("backend", "aot_autograd", "guards", "tracing"), key=told.__getitem__, reverse=True)
        assert order == ["backend", "aot_autograd", "guards", "tracing"]
        assert 3 < told["backend"] / told["aot_autograd"] < 6


def test_without_its_events_a_compile_is_told_whole(dynamo, monkeypatch):
    monkeypatch.setattr(adapter.RULES, "lacks", Lacks(no_phases="an event is missing"))
    assert numbers("compile", compiles(dynamo)).keys() == {"total"}
    told = numbers("work", compiles(dynamo))
    assert told.keys() == {"compile"} and told["compile"] > 6000


def test_without_its_compile_steps_work_is_counted_and_the_compile_region_says_why_not(dynamo, monkeypatch):
    del dynamo.utils._instruction_counter
    monkeypatch.setattr(adapter.RULES, "lacks", Lacks(no_steps="no steps are told of"))
    assert numbers("work", lambda: spend(100)) == {}
    with pytest.raises(CountError, match="no steps are told of"):
        numbers("compile", lambda: spend(100))


def test_a_watcher_leaves_torch_as_it_was(dynamo):
    logger = dynamo.utils.ChromiumEventLogger
    before = logger.log_event_start, logger.log_event_end
    found = Seen()
    restore = found.install()
    assert dynamo.config.record_compile_time_instruction_count is True
    compiles(dynamo)()
    assert found.steps == 1 and found.events == {*adapter.PHASES, "code_gen"}
    restore()
    assert (logger.log_event_start, logger.log_event_end) == before
    assert dynamo.utils._instruction_counter == "torch's own"
    assert dynamo.config.record_compile_time_instruction_count is False


def test_a_watcher_passes_over_what_is_not_there(dynamo):
    del dynamo.utils._instruction_counter, dynamo.utils.ChromiumEventLogger
    Seen().install()()
    assert vars(dynamo.utils) == {} and dynamo.config.record_compile_time_instruction_count is False
