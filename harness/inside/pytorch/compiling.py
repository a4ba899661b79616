"""The half of `Compiling` that runs under valgrind: what every call of a workload that compiles does first."""

from __future__ import annotations

import abc
import contextlib
import importlib
from collections.abc import Callable
from typing import Any

from harness.inside.workload import Workload


class Compiling(Workload, abc.ABC):
    """A workload that compiles anew in every call: Dynamo forgets before each, and compile steps are what counts.

    Unless a subclass says otherwise its one parameter is the device.
    """

    region = "compile"
    params = ["cpu", "cuda"]
    param_names = ["device"]

    def prepare(self) -> None:
        _torch("torch._dynamo").reset()
        # As PyTorch counts compiling: guards on symbols would be compiled by a C++ compiler, which nobody counts.
        _torch("torch._dynamo.config").enable_cpp_symbolic_shape_guards = False

    def compile_and_call(self, body: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        """What `body` gives for `inputs` once torch.compile has compiled it with `options`, its caches empty."""
        with self.empty_caches():
            return _torch("torch").compile(body, **options)(*inputs)

    def empty_caches(self) -> contextlib.AbstractContextManager[Any]:
        """Inductor's caches on disk are empty inside, and as before afterwards."""
        cache: contextlib.AbstractContextManager[Any] = _torch("torch._inductor.utils").fresh_cache()
        return cache


def _torch(name: str) -> Any:
    """Imported where it is used: whoever only asks for counts has no need of torch."""
    return importlib.import_module(name)
