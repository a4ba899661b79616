"""Python wrappers around a call: what keeps Dynamo out, and what brings autograd in."""

import torch

from harness import Workload


class Disable(Workload):
    """One call of a function that Dynamo is told to leave alone, in both ways there are to tell it.

    Kept because libraries put such wrappers around their smallest functions.
    """

    params = ["disable", "_disable_dynamo"]
    param_names = ["way"]
    calls = 20
    layouts = 9
    suite = "quick"

    def setup(self, way):
        torch._dynamo.reset()
        self.a = torch.ones(1)
        wrap = {"disable": torch._dynamo.disable, "_disable_dynamo": torch._compile._disable_dynamo}[way]
        self.wrapped = wrap(lambda a: a)
        for _ in range(10):
            self.work()

    def work(self):
        return self.wrapped(self.a)


class AutogradFunctionApply(Workload):
    """One `apply` of a custom autograd function with 13 inputs and 2 outputs that computes and saves nothing.

    Kept because what is between Python and autograd's graph is paid by every custom function.
    """

    params = ["cpu", "cuda"]
    param_names = ["device"]
    calls = 20
    layouts = 9
    suite = "quick"

    def setup(self, device):
        Thirteen.outputs = tuple(torch.empty((0,), device=device) for _ in range(2))
        self.inputs = [torch.empty((0,), device=device, requires_grad=True) for _ in range(13)]
        for _ in range(100):
            self.work()

    def work(self):
        return Thirteen.apply(*self.inputs)


class Thirteen(torch.autograd.Function):
    outputs = ()

    @staticmethod
    def forward(ctx, *inputs):
        return Thirteen.outputs

    @staticmethod
    def backward(ctx, *gradients):
        raise RuntimeError("no backward is run")
