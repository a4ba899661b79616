"""Long graphs of one small operation: what each further node costs, from the trace to the generated code."""

import torch

from harness import Compiling


class AddLoop(Compiling):
    """Compile a chain of adds, scaled adds and sines: what Dynamo, or with it Inductor, costs per node.

    Kept because every pass over a graph shows here, and one that is not linear shows most. With dynamic shapes the
    same nodes carry symbols.
    """

    params = [["eager", "inductor"], [False, True], [300, 1000], ["cpu", "cuda"]]
    param_names = ["backend", "dynamic", "steps", "device"]
    skip_params = [("eager", dynamic, 300, device) for dynamic in (False, True) for device in ("cpu", "cuda")]
    small = {"steps": 3}

    @classmethod
    def suite_of(cls, backend, dynamic, steps, device):
        return "full" if backend == "inductor" and (dynamic or steps == 1000) else "default"

    def setup(self, backend, dynamic, steps, device):
        self.steps = steps
        self.options = {"backend": backend, "dynamic": dynamic, "fullgraph": True}
        self.inputs = [torch.ones(1000, device=device) for _ in range(2)]

    def work(self):
        def add_loop(a, b, steps):
            x = a.clone()
            for i in range(steps):
                if i % 3 == 0:
                    x = x + b
                elif i % 3 == 1:
                    x = x + 8 * b
                else:
                    x = x.sin()
            return x

        self.compile_and_call(lambda a, b: add_loop(a, b, self.steps), *self.inputs, **self.options)


class MMLoop(Compiling):
    """Compile a chain of 201 small matrix products with max_autotune: what Inductor costs per kernel that it does not
    write itself. Kept because choosing and scheduling such kernels takes another way than the pointwise ones."""

    params = [[False, True], ["cpu", "cuda"]]
    param_names = ["dynamic", "device"]
    steps = 200
    small = {"steps": 2}

    @classmethod
    def suite_of(cls, dynamic, device):
        return "full" if dynamic else "default"

    def setup(self, dynamic, device):
        self.options = {"fullgraph": True, "dynamic": dynamic}
        self.inputs = [torch.ones(10, 10, device=device) for _ in range(2)]

    def work(self):
        def mm_loop(a, b, steps):
            z = torch.mm(a, b)
            for _ in range(steps):
                z = torch.mm(z, b)
            return z

        with torch._inductor.config.patch(max_autotune=True):
            self.compile_and_call(lambda a, b: mm_loop(a, b, self.steps), *self.inputs, **self.options)
