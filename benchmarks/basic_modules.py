"""Compiling modules made of modules: finding parameters, guarding attributes, tracing calls."""

import torch
from torch import nn

from harness import Compiling


class ListOfLinears(Compiling):
    """Compile 20 linear layers kept in a list, each used about twice: a small model as people write them.

    Kept because it goes through everything from module attributes to generated kernels. The padding of shapes changes
    only what is generated for a GPU.
    """

    params = [["eager", "inductor"], [False, True], ["cpu", "cuda"]]
    param_names = ["backend", "force_shape_pad", "device"]
    skip_params = [("eager", True, "cpu"), ("eager", True, "cuda"), ("inductor", True, "cpu")]

    @classmethod
    def suite_of(cls, backend, force_shape_pad, device):
        return "full" if backend == "inductor" else "default"

    def setup(self, backend, force_shape_pad, device):
        torch.set_float32_matmul_precision("high")
        self.backend, self.force_shape_pad, self.device = backend, force_shape_pad, device
        self.module = Linears(20)
        self.input = torch.ones(10, device=device)

    def work(self):
        with torch._inductor.config.patch(force_shape_pad=self.force_shape_pad):
            module = self.module.to(self.device)
            self.compile_and_call(module, self.input, backend=self.backend, dynamic=False)


class Linears(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.linears = nn.ModuleList([nn.Linear(10, 10) for _ in range(count)])

    def forward(self, x):
        for i, layer in enumerate(self.linears):
            x = self.linears[i // 2](x) + layer(x)
        return x


class NestedModule(Compiling):
    """Compile 85 modules nested four deep and four wide: what Dynamo costs per module it steps into.

    Kept because calls of modules take another way through Dynamo than plain functions (dynamo_inline) do.
    """

    def setup(self, device):
        torch.set_float32_matmul_precision("high")
        self.module = Nested(depth=3, width=4).to(device)
        self.input = torch.ones(10, device=device)

    def work(self):
        self.compile_and_call(self.module, self.input, backend="eager", dynamic=False)


class Nested(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        self.relu_a, self.relu_b, self.a = nn.ReLU(), nn.ReLU(), 2
        self.children_ = nn.Sequential(*(Nested(depth - 1, width) if depth else nn.ReLU() for _ in range(width)))

    def forward(self, x):
        x = self.relu_a(x)
        x = x + self.children_(x)
        return x + self.relu_b(x) + self.a


class DeepNestedModule(Compiling):
    """Compile 41 linear layers, each one module deeper than the one before: what a long path of attributes costs.

    Kept because names and guards of such a path grow with its length, and so quadratically with the depth.
    """

    def setup(self, device):
        self.module = Deep(40).to(device)
        self.input = torch.ones(1, 10, device=device)

    def work(self):
        module = self.module
        torch.compile(lambda x: module(x), backend="eager")(self.input)


class Deep(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.child = Deep(depth - 1) if depth else None
        self.linear = nn.Linear(10, 10)

    def forward(self, x):
        return self.linear(x if self.child is None else self.child(x))
