"""AOTAutograd: tracing a graph with many inputs, with and without a joint graph and a tensor subclass."""

import torch
from torch.testing._internal.two_tensor import TwoTensor

from harness import Workload


class AOTDispatcher(Workload):
    """Compile the addition of each of 100 separate inputs to itself: what AOTAutograd costs per input and output.

    No backward is run: training pays for the joint graph and its partition, all at compile time.
    """

    params = [[False, True], [False, True], ["cpu", "cuda"]]
    param_names = ["training", "subclass", "device"]
    region = "compile"
    inputs = 100

    def setup(self, training, subclass, device):
        if device == "cuda" and not torch.cuda.is_available():
            raise NotImplementedError("no CUDA device")
        self.tensors = [torch.ones(100, requires_grad=training, device=device) for _ in range(self.inputs)]
        if subclass:
            self.tensors = [TwoTensor(x, x.clone().detach().requires_grad_(training)) for x in self.tensors]

    def warm_up(self):
        self.prepare()
        self.compile(self.tensors[:2])

    def prepare(self):
        torch._dynamo.reset()

    def work(self):
        self.compile(self.tensors)

    def compile(self, inputs):
        @torch.compile(backend="aot_eager_decomp_partition", fullgraph=True)
        def add_each(*tensors):
            return [torch.add(x, x) for x in tensors]

        add_each(*inputs)
