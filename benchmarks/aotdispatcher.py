"""AOTAutograd: tracing and partitioning graphs of many inputs, of training, and of many uses of one value."""

import torch
from torch.testing._internal.two_tensor import TwoTensor

from harness import Compiling

BACKEND = "aot_eager_decomp_partition"


class AOTDispatcher(Compiling):
    """Compile the addition of each of 100 separate inputs to itself: what AOTAutograd costs per input and output.

    No backward is run: training pays for the joint graph and its partition, all at compile time. Kept because it is
    the one that moves when wrappers, subclasses or the metadata of inputs get costlier.
    """

    params = [[False, True], [False, True], ["cpu", "cuda"]]
    param_names = ["training", "subclass", "device"]
    inputs = 100
    small = {"inputs": 2}

    @classmethod
    def suite_of(cls, training, subclass, device):
        return "default" if training or subclass else "quick"

    def setup(self, training, subclass, device):
        self.tensors = [torch.ones(100, requires_grad=training, device=device) for _ in range(self.inputs)]
        if subclass:
            self.tensors = [TwoTensor(x, x.clone().detach().requires_grad_(training)) for x in self.tensors]

    def work(self):
        def add_each(*tensors):
            return [torch.add(x, x) for x in tensors]

        torch.compile(add_each, backend=BACKEND, fullgraph=True)(*self.tensors[: self.inputs])


class Partitioner(Compiling):
    """Compile 100 matrix products, each followed by two sines, for training: a long chain to cut into forward and
    backward. Kept because the min-cut partitioner's cost grows with the graph, and nothing else here has a deep one.
    """

    weights = 100
    small = {"weights": 2}

    def setup(self, device):
        self.input = torch.randn(16, 16, device=device)
        self.matrices = [torch.randn(16, 16, device=device, requires_grad=True) for _ in range(self.weights)]

    def work(self):
        def chain(x, matrices):
            for matrix in matrices:
                x = torch.sin(torch.sin(torch.matmul(matrix, x)))
            return x

        torch.compile(chain, backend=BACKEND, fullgraph=True)(self.input, self.matrices[: self.weights])


class ParallelUses(Compiling):
    """Compile 16 values that feed each other in place, for training: many ways through one graph.

    Kept because the partitioner once took exponential time where values had many parallel users (pytorch#145081).
    """

    def setup(self, device):
        self.input = torch.randn(4, 4, device=device, requires_grad=True)

    def work(self):
        def spread(x):
            values = [x + (x + i) for i in range(16)]
            for i in range(12):
                values[i] = torch.sin(values[i]).mul(values[i])
                for later in (1, 2, 3):
                    values[i + later] -= values[i]
            return sum(values)

        torch.compile(spread, backend=BACKEND, fullgraph=True)(self.input)
