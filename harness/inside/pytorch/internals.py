"""The names of torch's insides that this harness uses, and whether the torch under test has them.

No release promises them: variables, settings, functions, modules and events are looked for in the server, after it has
rehearsed. What is not there becomes a sentence for whoever reads the counts; the numbers that hang on it are absent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import pkgutil
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Effect:
    """A variable of the server's environment, where torch shows that it heeds it, and what follows where it does not.

    `seen` is a dotted name, called if it ends with "()"; `accepted` are the values it may then have.
    """

    variable: str
    seen: str
    accepted: tuple[object, ...]
    otherwise: str


EFFECTS = (
    Effect(
        "ATEN_CPU_CAPABILITY",
        "torch.backends.cpu.get_cpu_capability()",
        ("AVX2", "DEFAULT"),
        "a kernel for a processor that valgrind does not know ends its case",
    ),
    Effect("OMP_NUM_THREADS", "torch.get_num_threads()", (1,), "counts hang on which thread takes which work"),
    Effect(
        "TORCHINDUCTOR_VEC_ISA_OK",
        "torch._inductor.config.cpp.vec_isa_ok",
        (True,),
        "a case of Inductor waits for a compiled probe, in turns that depend on the clock",
    ),
    Effect(
        "TORCHINDUCTOR_COMPILE_THREADS",
        "torch._inductor.config.compile_threads",
        (1,),
        "counts of Inductor hang on which thread or process compiles what",
    ),
    Effect(
        "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS",
        "torch._inductor.config.cpp_cache_precompile_headers",
        (False,),
        "the first case of Inductor may count what later ones find made",
    ),
)

#: What is called or set by its name elsewhere in the harness, and what follows where it is not there.
NEEDED = {
    "torch.compile": "cases that compile fail",
    "torch._dynamo.reset": "cases that compile fail",
    "torch._dynamo.config.enable_cpp_symbolic_shape_guards": "cases that compile fail",
    "torch._inductor.utils.fresh_cache": "cases that compile with empty caches fail",
    "torch.backends.cuda.is_built": "training is not rehearsed",
    "torch.cuda.is_available": "cases with the device cuda fail",
    "torch.compiled_with_cxx11_abi": "statements in C++ are not built",
    "torch.version.git_version": "two builds of one version are not told apart",
}

#: What says where torch keeps caches, by the variable that every worker gets with a folder of its own.
CACHES: dict[str, tuple[str, tuple[object, ...]]] = {
    "TORCHINDUCTOR_CACHE_DIR": ("torch._inductor.runtime.runtime_utils.cache_dir", ()),
    "TRITON_CACHE_DIR": ("torch._inductor.runtime.runtime_utils.triton_cache_dir", (0,)),
}


class Watcher:
    """Is told by torch of Dynamo's outermost compile steps (`start`, `end`), and of the events in them that
    torch._dynamo.utils.dynamo_timed logs (`began`, `ended`)."""

    def start(self) -> int:
        """What torch calls, as does `end`: it takes this object for the module `_instruction_counter`."""
        return 0

    def end(self, number: int) -> int:
        """`number` is what `start` gave."""
        return 0

    def began(self, event: str) -> None:
        """Before the event is logged."""

    def ended(self, event: str) -> None:
        """After it is."""

    def install(self) -> Callable[[], None]:
        """Be told from now on; what is returned ends it. Of what this torch has no names for, nothing is told."""
        utils: Any = importlib.import_module("torch._dynamo.utils")
        config: Any = importlib.import_module("torch._dynamo.config")
        before: list[tuple[Any, str, Any]] = []

        def replace(owner: Any, **values: Any) -> None:
            if all(hasattr(owner, name) for name in values):
                before.extend((owner, name, getattr(owner, name)) for name in values)
                for name, value in values.items():
                    setattr(owner, name, value)

        if hasattr(utils, "_instruction_counter"):
            replace(config, record_compile_time_instruction_count=True)
            replace(utils, _instruction_counter=self)
        logger = getattr(utils, "ChromiumEventLogger", None)
        begin: Any = getattr(logger, "log_event_start", None)
        end: Any = getattr(logger, "log_event_end", None)

        def log_event_start(log: Any, event: str, *arguments: Any, **keywords: Any) -> None:
            self.began(event)
            begin(log, event, *arguments, **keywords)

        def log_event_end(log: Any, event: str, *arguments: Any, **keywords: Any) -> None:
            end(log, event, *arguments, **keywords)
            self.ended(event)

        replace(logger, log_event_start=log_event_start, log_event_end=log_event_end)

        def restore() -> None:
            for owner, name, value in before:
                setattr(owner, name, value)

        return restore


class Seen(Watcher):
    """What torch told while the server rehearsed."""

    def __init__(self) -> None:
        self.steps = 0
        self.events: set[str] = set()

    def start(self) -> int:
        self.steps += 1
        return 0

    def began(self, event: str) -> None:
        self.events.add(event)


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """What was compiled by name, what could not be and why, and what torch told of it."""

    done: tuple[str, ...] = ()
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    seen: Seen = dataclasses.field(default_factory=Seen)


@dataclasses.dataclass(frozen=True)
class Lacks:
    """What the torch under test lacks when it compiles, as its rehearsal showed: a sentence each. `no_steps` says why
    its compile steps cannot be counted apart, `no_phases` why what happens in them cannot; None where it can."""

    notes: tuple[str, ...] = ()
    no_steps: str | None = None
    no_phases: str | None = None


def look(absent: Sequence[str], processor: str | None) -> tuple[str, ...]:
    """What the imported torch lacks, a sentence each. `absent` are the modules that were to be imported and are not
    there, `processor` is a sentence on what Inductor compiles for, if there is one."""
    torch = f"torch {_resolve('torch.__version__')}"
    notes = [] if processor is None else [processor]
    if absent:
        modules = ", ".join(absent)
        notes.append(
            f"{torch} comes without {modules}: what took their place is imported by every worker that needs it"
        )
    notes += [f"{torch} has no {name}: {follows}" for name, follows in NEEDED.items() if not _there(name)]
    notes += filter(None, (_heeded(torch, effect) for effect in EFFECTS))
    notes += filter(None, (_mkl(torch), *_caches(torch)))
    return tuple(notes)


def look_at_compiling(events: Iterable[str], rehearsal: Rehearsal) -> Lacks:
    """What a rehearsal showed. `events` are those that phases are told by."""
    no_steps, no_phases = _compiling(f"torch {_resolve('torch.__version__')}", events, rehearsal)
    notes = [note for note in (no_steps, no_phases) if note is not None]
    notes += [
        f"rehearsing {name!r} failed ({reason}): what only the first compile of its kind in a process does, every "
        "worker does itself, and may count"
        for name, reason in rehearsal.failed.items()
    ]
    return Lacks(tuple(notes), no_steps, no_phases)


def _compiling(torch: str, events: Iterable[str], rehearsal: Rehearsal) -> tuple[str | None, str | None]:
    seen = rehearsal.seen
    if not seen.steps:
        rehearsed = f"while {len(rehearsal.done)} compilations were rehearsed"
        return (
            f"{torch} called no torch._dynamo.utils._instruction_counter {rehearsed}, so compile steps cannot be "
            "counted: cases that count only them fail, others do not tell how much of them is compiling"
        ), None
    missing = [event for event in events if event not in seen.events]
    if not missing:
        return None, None
    logged = ", ".join(sorted(event for event in seen.events if "." not in event)) or "none"
    return None, (
        f"{torch} logged no event {' nor '.join(map(repr, missing))} while it compiled (it logged: {logged}): "
        "the phases of a compile cannot be told apart, so there is only its whole"
    )


def _heeded(torch: str, effect: Effect) -> str | None:
    set_to = f"{effect.variable}={os.environ.get(effect.variable, '')}"
    try:
        value = _resolve(effect.seen.removesuffix("()"))
        value = value() if effect.seen.endswith("()") else value
    except (ImportError, AttributeError):
        return f"{torch} has no {effect.seen}, where {set_to} is seen to be heeded: if it is not, {effect.otherwise}"
    if value in effect.accepted:
        return None
    return f"{torch} does not heed {set_to} ({effect.seen} is {value!r}): {effect.otherwise}"


def _mkl(torch: str) -> str | None:
    """MKL tells how many threads it may use only in a text. A torch without MKL tells nothing."""
    if not _there("torch.__config__.parallel_info"):
        return f"{torch} has no torch.__config__.parallel_info, where MKL_NUM_THREADS=1 is seen to be heeded"
    threads = re.search(r"mkl_get_max_threads\(\) : (\d+)", _resolve("torch.__config__.parallel_info")())
    if threads is None or threads[1] == "1":
        return None
    return (
        f"{torch} does not heed MKL_NUM_THREADS=1 (MKL uses {threads[1]}): counts hang on which thread takes which work"
    )


def _caches(torch: str) -> Iterator[str]:
    """Whether caches lie where the variables say, which every worker sets to a folder of its own."""
    follows = "workers may find each other's caches, and count what is cached as cheaper"
    for variable, (name, arguments) in CACHES.items():
        with tempfile.TemporaryDirectory() as folder, _variable(variable, folder):
            try:
                answered = _resolve(name)(*arguments)
            except (ImportError, AttributeError):
                yield f"{torch} has no {name}, where {variable} is seen to be heeded: if it is not, {follows}"
                continue
            if answered != folder:
                yield f"{torch} does not heed {variable} ({name} says {answered!r} for {folder!r}): {follows}"


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _there(name: str) -> bool:
    try:
        _resolve(name)
    except (ImportError, AttributeError):
        return False
    return True


def _resolve(name: str) -> Any:
    """What a dotted name leads to. Raises ImportError or AttributeError."""
    return pkgutil.resolve_name(name)
