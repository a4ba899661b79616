"""Calling what is already compiled: guards, wrappers, and the launch of one small kernel."""

import torch

from harness import Workload


class Add1(Workload):
    """One call of a compiled `a + 1` on two elements: all of it is overhead.

    Kept because every call of every compiled function pays it.
    """

    params = [["plain", "inference_mode", "requires_grad", "backward"], [False, True], ["cpu", "cuda"]]
    param_names = ["grad_mode", "dynamic", "device"]
    calls = 20
    layouts = 9
    backend = "inductor"

    @classmethod
    def suite_of(cls, grad_mode, dynamic, device):
        return "quick" if grad_mode in ("plain", "backward") and not dynamic else "default"

    def setup(self, grad_mode, dynamic, device):
        torch._dynamo.reset()
        self.a = torch.ones(2, device=device, requires_grad=grad_mode in ("requires_grad", "backward"))
        self.add1 = torch.compile(lambda a: a + 1, backend=self.backend, fullgraph=True, dynamic=dynamic)
        self.pending = []
        self.backward = grad_mode == "backward"
        self.work = {"inference_mode": self.call_in_inference_mode, "backward": self.go_back}.get(grad_mode, self.call)
        with torch.inference_mode(grad_mode == "inference_mode"):
            for _ in range(10):
                y = self.add1(self.a)
                if self.backward:
                    y.sum().backward()

    def prepare(self):
        if self.backward:
            self.pending = [self.add1(self.a).sum() for _ in range(self.calls)]

    def call(self):
        self.add1(self.a)

    def call_in_inference_mode(self):
        with torch.inference_mode():
            self.add1(self.a)

    def go_back(self):
        self.pending.pop().backward()

    work = call


class EagerAdd1(Add1):
    """The same call with nothing compiled behind it: the wrapper and the guards alone."""

    params = ["cpu", "cuda"]
    param_names = ["device"]
    backend = "eager"

    @classmethod
    def suite_of(cls, device):
        return "quick"

    def setup(self, device):
        super().setup("plain", False, device)
