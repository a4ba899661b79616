"""What a server preloads and rehearses; no torch is imported here."""

import contextlib
import types

import pytest

from harness.errors import StartError
from harness.inside.pytorch import adapter, internals


@pytest.fixture
def importing(monkeypatch):
    """Let `preload` import modules that fail as told: by name, the name that is missing, None for one that is there."""

    def prepare(missing: dict[str, str | None]) -> list[str]:
        imported = []

        def import_module(name: str) -> None:
            imported.append(name)
            if missing[name] is not None:
                raise ModuleNotFoundError(f"No module named {missing[name]!r}", name=missing[name])

        monkeypatch.setattr(adapter, "PRELOAD", tuple(missing))
        monkeypatch.setattr(adapter, "importlib", types.SimpleNamespace(import_module=import_module))
        monkeypatch.setattr(adapter, "_tell_one_latency", lambda: None)
        monkeypatch.setattr(adapter, "_spread_tables", lambda: None)
        monkeypatch.setattr(adapter, "_rehearse", lambda: internals.Rehearsal(("eager",)))
        monkeypatch.setattr(adapter, "_compile_for_avx2", lambda: "for another processor")
        monkeypatch.setattr(internals, "look", lambda *given: (repr(given),))
        monkeypatch.setattr(
            internals, "look_at_compiling", lambda events, rehearsal: internals.Lacks((repr(rehearsal.done),))
        )
        return imported

    return prepare


def test_what_a_release_does_not_have_is_passed_over_and_told(importing):
    imported = importing(
        {"torch": None, "torch._new": "torch._new", "torch.a.b": "torch.a", "torch.c": "jax", "torch.d": None}
    )
    rules = adapter.TorchRules()
    assert rules.notes() == ()
    rules.preload()
    assert imported == list(adapter.PRELOAD)
    (told,) = rules.notes()
    assert told == "(['torch._new', 'torch.a.b'], 'for another processor')"
    rules.rehearse()
    assert rules.notes() == (told, "('eager',)")


def test_a_module_that_needs_one_of_torchs_own_that_is_gone_is_a_failure(importing):
    importing({"torch": None, "torch.distributed.tensor": "torch._gone"})
    with pytest.raises(ModuleNotFoundError, match=r"torch\._gone"):
        adapter.TorchRules().preload()


def test_without_torch_the_cure_is_said(importing):
    importing({"torch": "torch"})
    with pytest.raises(StartError, match="install the pin"):
        adapter.TorchRules().preload()


def builder(monkeypatch, flag: str, **settings: str) -> types.SimpleNamespace:
    """Inductor's builder, made up: it gives the compiler this flag, and `settings` are those of its C++."""
    compiler = types.SimpleNamespace(_get_optimization_cflags=lambda name: (["O3", flag], ["link"]))
    modules = {
        "torch._inductor.config": types.SimpleNamespace(cpp=types.SimpleNamespace(**settings)),
        "torch._inductor.cpp_builder": compiler,
    }
    monkeypatch.setattr(adapter, "importlib", types.SimpleNamespace(import_module=modules.__getitem__))
    return compiler


@pytest.mark.parametrize("has_setting", [False, True])
def test_a_release_without_a_setting_for_the_processor_compiles_for_avx2_too(monkeypatch, has_setting):
    compiler = builder(monkeypatch, "march=native", **({"march": "x86-64-v3"} if has_setting else {}))
    assert adapter._compile_for_avx2() is None
    flags, linking = compiler._get_optimization_cflags("g++")
    assert flags == ["O3", "march=native" if has_setting else "march=x86-64-v3"] and linking == ["link"]


def test_that_inductor_compiles_for_another_processor_is_said(monkeypatch):
    builder(monkeypatch, "march=native", march="native")
    assert "(torch._inductor.config.cpp.march is 'native')" in (adapter._compile_for_avx2() or "")
    builder(monkeypatch, "mcpu=native")
    assert "(torch._inductor.cpp_builder gives the compiler O3 mcpu=native)" in (adapter._compile_for_avx2() or "")
    del builder(monkeypatch, "march=native")._get_optimization_cflags
    assert "(there is neither torch._inductor.config.cpp.march nor " in (adapter._compile_for_avx2() or "")


def test_what_cannot_be_rehearsed_is_told_with_the_reason_and_the_rest_is(monkeypatch):
    def compile(body, backend, fullgraph):
        if backend == "inductor":
            raise TypeError("no\n   compiler")
        return lambda given: None

    resets = []
    modules = {
        "torch": types.SimpleNamespace(
            ones=lambda *size, **options: None,
            compile=compile,
            _dynamo=types.SimpleNamespace(reset=lambda: resets.append(1)),
            backends=types.SimpleNamespace(cuda=types.SimpleNamespace(is_built=lambda: True)),
        ),
        "torch._dynamo.utils": types.SimpleNamespace(),
        "torch._dynamo.config": types.SimpleNamespace(),
        "torch._inductor.utils": types.SimpleNamespace(fresh_cache=contextlib.nullcontext),
        "torch.testing._internal.two_tensor": types.SimpleNamespace(TwoTensor=lambda a, b: None),
    }
    imports = types.SimpleNamespace(import_module=modules.__getitem__)
    for module in (adapter, internals):
        monkeypatch.setattr(module, "importlib", imports)
    rehearsal = adapter._rehearse()
    assert (rehearsal.done, rehearsal.failed) == (("eager", "subclass"), {"inductor": "TypeError: no compiler"})
    assert len(resets) == 3 and rehearsal.seen.events == set()


@pytest.mark.parametrize(
    ("types_there", "reason"),
    [(120, None), (0, "torch was built in another way"), (None, "could not be built with torch's headers")],
)
def test_where_pybind11s_tables_cannot_have_room_it_is_said_and_the_fingerprint_is_another(
    importing, monkeypatch, types_there, reason
):
    spread_tables = adapter._spread_tables
    importing({"torch": None})

    def loaded(path):
        assert path == "/site/_torch_tables.so"
        if types_there is None:
            raise OSError(f"{path}: cannot open shared object file")
        return types.SimpleNamespace(spread_tables=lambda: types_there)

    monkeypatch.setattr(adapter.ctypes, "PyDLL", loaded)
    extension = types.SimpleNamespace(__file__="/site/_client_requests.so")
    torch = types.SimpleNamespace(__version__="9", version=None, backends=types.SimpleNamespace(cpu=None), _dynamo=None)
    modules = {"_client_requests": extension, "torch": torch}
    monkeypatch.setattr(adapter, "importlib", types.SimpleNamespace(import_module=modules.get))
    monkeypatch.setattr(adapter, "_spread_tables", spread_tables)
    rules = adapter.TorchRules()
    rules.preload()
    _, *told = rules.notes()
    assert (told == []) if reason is None else (len(told) == 1 and reason in told[0])
    assert rules.versions()["pybind11's tables"] == ("spread" if reason is None else "as they are")
