"""What a server preloads; no torch is imported here."""

import types

import pytest

from harness import torch_rules
from harness.errors import StartError


@pytest.fixture
def importing(monkeypatch):
    """Let `preload` import modules that fail as told: by name, the name that is missing, None for one that is there."""

    def prepare(missing: dict[str, str | None]) -> list[str]:
        imported = []

        def import_module(name: str) -> None:
            imported.append(name)
            if missing[name] is not None:
                raise ModuleNotFoundError(f"No module named {missing[name]!r}", name=missing[name])

        monkeypatch.setattr(torch_rules, "PRELOAD", tuple(missing))
        monkeypatch.setattr(torch_rules, "importlib", types.SimpleNamespace(import_module=import_module))
        monkeypatch.setattr(torch_rules, "_rehearse", lambda: [])
        monkeypatch.setattr(torch_rules, "_compile_for_avx2", lambda: None)
        return imported

    return prepare


def test_what_a_release_does_not_have_is_passed_over(importing):
    imported = importing(
        {"torch": None, "torch._new": "torch._new", "torch.a.b": "torch.a", "torch.c": "jax", "torch.d": None}
    )
    torch_rules.TorchRules().preload()
    assert imported == list(torch_rules.PRELOAD)


def test_a_module_that_needs_one_of_torchs_own_that_is_gone_is_a_failure(importing):
    importing({"torch": None, "torch.distributed.tensor": "torch._gone"})
    with pytest.raises(ModuleNotFoundError, match=r"torch\._gone"):
        torch_rules.TorchRules().preload()


def test_without_torch_the_cure_is_said(importing):
    importing({"torch": "torch"})
    with pytest.raises(StartError, match="install the pin"):
        torch_rules.TorchRules().preload()


@pytest.mark.parametrize("has_setting", [False, True])
def test_a_release_without_a_setting_for_the_processor_compiles_for_avx2_too(monkeypatch, has_setting):
    compiler = types.SimpleNamespace(_get_optimization_cflags=lambda name: (["O3", "march=native"], ["link"]))
    settings = types.SimpleNamespace(cpp=types.SimpleNamespace(**({"march": "x"} if has_setting else {})))
    modules = {"torch._inductor.config": settings, "torch._inductor.cpp_builder": compiler}
    monkeypatch.setattr(torch_rules, "importlib", types.SimpleNamespace(import_module=modules.__getitem__))
    torch_rules._compile_for_avx2()
    flags, linking = compiler._get_optimization_cflags("g++")
    assert flags == ["O3", "march=native" if has_setting else "march=x86-64-v3"] and linking == ["link"]
