"""torch.export: symbolic sums and splits, whole exports counted."""

import torch

from harness import Compiling


class SumFloordiv(Compiling):
    """Export the sum of 100 numbers read from tensors, halved: what a floor division of a long symbolic sum costs.

    Kept because it once took minutes (pytorch#134133).
    """

    region = "work"
    requires = ["torch._export.config.use_new_tracer_experimental"]
    numbers = 100
    small = {"numbers": 3}

    def setup(self, device):
        self.tensors = [torch.tensor(i + 2, device=device) for i in range(self.numbers)]

    def work(self):
        with torch._export.config.patch(use_new_tracer_experimental=True):
            torch.export.export(Halved(), (self.tensors[: self.numbers],), strict=True)


class Halved(torch.nn.Module):
    def forward(self, tensors):
        return sum(tensor.item() for tensor in tensors) // 2


class UnbindSplitFlipCat(Compiling):
    """Export tensors cut into pieces of sizes read from other tensors: thousands of unbacked sizes in one graph.

    Kept because every such size is an expression that every later check meets. As specified it has 40 pairs of
    tensors with 128 pieces each.
    """

    region = "work"
    params = [[1, 40], [128], ["cpu", "cuda"]]
    param_names = ["pairs", "pieces", "device"]
    requires = ["torch.fx.experimental._config.AggressiveGuardFreeMode.SKIP_RANGE_ANALYSIS"]
    small = {"pairs": 1, "pieces": 4}
    limit_seconds = 7200  # all 40 pairs take Callgrind the better part of an hour

    @classmethod
    def suite_of(cls, pairs, pieces, device):
        return "full" if pairs == 40 else "default"

    def setup(self, pairs, pieces, device):
        fx = torch.fx.experimental._config
        torch._dynamo.config.capture_scalar_outputs = True
        fx.aggressive_guard_free_semantics = fx.AggressiveGuardFreeMode.SKIP_RANGE_ANALYSIS
        torch.fx.config.do_not_emit_stack_traces = True
        torch.manual_seed(0)
        self.pairs, self.pieces = pairs, pieces
        self.sizes = [torch.randint(1, 10, (pieces,), device=device) for _ in range(pairs)]

    def prepare(self):
        super().prepare()
        sizes = [one[: self.pieces] for one in self.sizes[: self.pairs]]
        self.inputs = sizes, [torch.arange(int(one.sum()), device=one.device) for one in sizes]

    def work(self):
        torch.export.export(FlippedPieces(), self.inputs)


class FlippedPieces(torch.nn.Module):
    def forward(self, all_sizes, all_data):
        results = []
        for sizes, data in zip(all_sizes, all_data, strict=True):
            items = [scalar.item() for scalar in sizes.to(torch.int64).unbind()]
            for item in items:
                torch._check(item >= 0)
            sum(items)
            results.append(torch.cat([piece.flip(0) for piece in data.split(items)]))
        return results
