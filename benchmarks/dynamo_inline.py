"""Dynamo: tracing calls of plain Python functions."""

import torch
from torch._inductor.utils import fresh_cache

from harness import Workload


def f0(x):
    return x + 1


def f1(x):
    return f0(x)


def f2(x):
    return f1(x)


def f3(x):
    return f2(x)


def f4(x):
    return f3(x)


def f5(x):
    return f4(x)


def f6(x):
    return f5(x)


def f7(x):
    return f6(x)


def f8(x):
    return f7(x)


def f9(x):
    return f8(x)


class Chain(torch.nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def forward(self, x):
        for _ in range(self.steps):
            x = f9(x)
        return x


class InlineChain(Workload):
    """Compile 1000 calls, each of them inlined ten deep: what Dynamo costs per Python call it sees through."""

    params = ["cpu", "cuda"]
    param_names = ["device"]
    region = "compile"
    steps = 1000

    def setup(self, device):
        if device == "cuda" and not torch.cuda.is_available():
            raise NotImplementedError("no CUDA device")
        torch.set_float32_matmul_precision("high")
        self.module = Chain(self.steps).to(device)
        self.input = torch.ones(10, device=device)

    def warm_up(self):
        self.module.steps = 2
        super().warm_up()
        self.module.steps = self.steps

    def prepare(self):
        torch._dynamo.reset()

    def work(self):
        with fresh_cache():
            torch.compile(self.module, backend="eager", dynamic=False)(self.input)
