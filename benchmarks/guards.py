"""Guards: what is checked before compiled code may be called again."""

import torch

from harness import Workload


class NNModuleGuardEval(Workload):
    """One check of all guards of a model with 20 layers that share an object, and nothing else.

    Kept because every call of compiled code pays it, models with many attributes most of all.
    """

    params = [[False, True]]
    param_names = ["dynamic"]
    calls = 20
    layouts = 9
    suite = "quick"
    requires = ["torch._dynamo.eval_frame._debug_get_cache_entry_list"]

    def setup(self, dynamic):
        torch._dynamo.reset()
        model = Model(20)
        rows = torch.randn(128, 64)[:64]  # a view, so that shapes are related to its base's
        with torch._dynamo.config.patch(enable_cpp_symbolic_shape_guards=False):
            torch.compile(model, backend="eager", fullgraph=True, dynamic=dynamic)(rows)
        (entry, *_) = torch._dynamo.eval_frame._debug_get_cache_entry_list(Model.forward.__code__)
        self.manager = entry.guard_manager
        self.locals = {"self": model, "x": rows}
        if not self.manager.check(self.locals):
            raise RuntimeError("the guards do not pass for the very input they were made for")

    def work(self):
        return self.manager.check(self.locals)


class Shared:
    def __init__(self):
        self.flag = True


class Layer(torch.nn.Module):
    def __init__(self, number, shared):
        super().__init__()
        self.eps, self.scale, self.shared = 1e-6, 0.5 + number * 0.001, shared
        self.register_buffer("offset", torch.randn(64))

    def forward(self, x):
        if self.shared.flag:  # reading it is what makes guards on the object that all layers share
            x = x + self.eps
        return x * self.scale + self.offset


class Model(torch.nn.Module):
    def __init__(self, layers):
        super().__init__()
        shared = Shared()
        self.layers = torch.nn.ModuleList([Layer(number, shared) for number in range(layers)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
