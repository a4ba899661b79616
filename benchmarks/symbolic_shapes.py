"""Symbols: sizes and numbers that Dynamo does not know, in graphs that Inductor compiles."""

import torch

from harness import Compiling


class UpdateHint(Compiling):
    """Compile a split into 20 sizes read from a tensor: what unbacked sizes and the checks on them cost.

    Kept because substituting a size's hint was once quadratic (pytorch#129893).
    """

    def setup(self, device):
        torch._dynamo.config.capture_scalar_outputs = True
        torch.manual_seed(0)
        self.splits = torch.randint(10, (20,), device=device)
        self.input = torch.randn(int(self.splits.sum()), device=device)

    def work(self):
        def split(sizes, x):
            listed = sizes.tolist()
            for size in listed:
                torch._check(size >= 0)
                torch._check(size <= 20)
            return x.split(listed)

        torch.compile(split, fullgraph=True)(self.splits, self.input)


class SymIntSum(Compiling):
    """Compile the sum of 200 numbers read from a tensor, with `sum` and with a loop: what a growing symbolic expression
    costs. Kept because each step once simplified the whole expression again."""

    params = [["sum", "loop"], ["cpu", "cuda"]]
    param_names = ["way", "device"]

    def setup(self, way, device):
        torch._dynamo.config.capture_scalar_outputs = True
        torch.manual_seed(0)
        self.numbers = torch.randint(10, (200,), device=device)
        self.add_up = {"sum": self.with_sum, "loop": self.in_a_loop}[way]

    @staticmethod
    def with_sum(numbers):
        return torch.tensor(sum(numbers.tolist()))

    @staticmethod
    def in_a_loop(numbers):
        total = 0
        for number in numbers.tolist():
            total += number
        return torch.tensor(total)

    def work(self):
        torch.compile(self.add_up, fullgraph=True)(self.numbers)


class FloatArgs(Compiling):
    """Call a compiled addition with eight Python floats: the compilation, and those that a changing float asks for.

    Kept because floats become symbols only after a recompilation, which nothing else here does.
    """

    def setup(self, device):
        torch.manual_seed(0)
        self.device = device

    def work(self):
        with self.empty_caches():
            add = torch.compile(lambda x, y: x + y)
            for i in range(8):
                add(torch.arange(3, device=self.device), i * 2.5)
