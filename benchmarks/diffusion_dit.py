"""A small diffusion transformer, compiled whole, block by block, and as one region that is used four times."""

import functools

import torch
from torch import nn
from torch.nn import functional

from harness import Compiling

WIDTH, HEADS, BLOCKS = 64, 4, 4


class DiffusionDiT(Compiling):
    """Compile a model of four equal blocks in three ways: the whole of it, each block, and the whole of it with the
    block as a region that is compiled once. Dynamic, a second size of images follows the first.

    Kept because real models are stacks of equal blocks, and these are the ways to keep from paying for each.
    """

    params = [["full", "regional", "hierarchical", "hierarchical, dynamic"], ["cpu", "cuda"]]
    param_names = ["way", "device"]
    blocks = BLOCKS
    small = {"blocks": 1}
    requires = ["torch.compiler.nested_compile_region"]

    @classmethod
    def suite_of(cls, way, device):
        return "full" if way in ("full", "hierarchical, dynamic") else "default"

    def setup(self, way, device):
        torch.set_float32_matmul_precision("high")
        torch.manual_seed(0)
        self.way, _, dynamic = way.partition(", ")
        self.options = {"dynamic": bool(dynamic), "fullgraph": True}
        block = nested_block() if self.way == "hierarchical" else Block
        self.models = {count: Model(block, count).eval().to(device) for count in (1, BLOCKS)}
        text, step = torch.randn(1, 8, WIDTH, device=device), torch.randn(1, WIDTH, device=device)
        sizes = (16, 24) if dynamic else (16,)
        self.inputs = [(torch.randn(1, size, WIDTH, device=device), text, step) for size in sizes]

    def work(self):
        model = self.models[self.blocks]
        with self.empty_caches(), torch.no_grad():
            if self.way == "regional":
                blocks = [torch.compile(block, **self.options) for block in model.blocks]
                run = functools.partial(model, blocks=blocks)
            else:
                run = torch.compile(model, **self.options)
            for inputs in self.inputs:
                run(*inputs)


def normed(x):
    return functional.layer_norm(x, (WIDTH,), eps=1e-5)


def attention(q, k, v):
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.self_out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.cross_q, self.cross_kv = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        self.cross_out = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU("tanh"), nn.Linear(4 * WIDTH, WIDTH))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(WIDTH, 6 * WIDTH))

    def forward(self, image, text, condition):
        chunks = self.modulation(condition).unsqueeze(1).chunk(6, dim=-1)
        shift_attention, scale_attention, gate_attention, shift_mlp, scale_mlp, gate_mlp = chunks
        h = normed(image) * (1 + scale_attention) + shift_attention
        image = image + gate_attention * self.self_out(attention(*self.qkv(h).chunk(3, dim=-1)))
        q, (k, v) = self.cross_q(normed(image)), self.cross_kv(text).chunk(2, dim=-1)
        image = image + self.cross_out(attention(q, k, v))
        h = normed(image) * (1 + scale_mlp) + shift_mlp
        return image + gate_mlp * self.mlp(h)


def nested_block():
    """A class of blocks whose forward is a region; made only where it is wanted."""
    forward = torch.compiler.nested_compile_region(Block.forward)
    return type("NestedBlock", (Block,), {"forward": forward})


class Model(nn.Module):
    def __init__(self, block, count):
        super().__init__()
        self.timestep = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.blocks = nn.ModuleList([block() for _ in range(count)])
        self.norm, self.out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, image, text, step, blocks=None):
        condition = self.timestep(step)
        for block in blocks or self.blocks:
            image = block(image, text, condition)
        return self.out(self.norm(image))
