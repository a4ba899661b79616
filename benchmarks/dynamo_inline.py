"""Dynamo: tracing calls of plain Python functions."""

import torch

from harness import Compiling


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


class InlineChain(Compiling):
    """Compile 1000 calls, each of them inlined ten deep: what Dynamo costs per Python call it sees through.

    Kept because every model is functions calling functions, and symbolic execution of a call is Dynamo's daily bread.
    """

    steps = 1000
    small = {"steps": 2}
    suite = "quick"

    def setup(self, device):
        torch.set_float32_matmul_precision("high")
        self.module = Chain(self.steps).to(device)
        self.input = torch.ones(10, device=device)

    def prepare(self):
        super().prepare()
        self.module.steps = self.steps

    def work(self):
        self.compile_and_call(self.module, self.input, backend="eager", dynamic=False)
