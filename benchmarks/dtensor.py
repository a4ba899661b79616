"""DTensor's dispatch: what an operation costs before any tensor is touched, on a mesh of 256 that is only pretended."""

import abc

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from harness import Workload


class OnMesh(Workload, abc.ABC):
    """Two replicated DTensors of 10 by 10; which operation is called on them, a subclass says as its `work`."""

    params = ["cpu", "cuda"]
    param_names = ["device"]
    calls = 20
    layouts = 9
    suite = "quick"
    stage = "imported"
    requires_grad = False

    def setup(self, device):
        torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=256)
        self.device = device
        self.mesh = init_device_mesh(device, (256,), mesh_dim_names=("dp",))
        self.a, self.b = (self.distributed(Replicate()) for _ in range(2))

    def distributed(self, placement):
        local = torch.ones(10, 10, device=self.device)
        return DTensor.from_local(local, self.mesh, [placement]).requires_grad_(self.requires_grad)


class Detach(OnMesh):
    """`detach` of a replicated DTensor. Kept as the floor: nothing is cheaper, so nearly all of it is dispatch."""

    params = ["cpu", "cuda", "meta"]

    def work(self):
        return self.a.detach()


class ToFromLocal(OnMesh):
    """To the local tensor and back. Kept because programs that mix DTensors with tensors do it at every border."""

    params = ["cpu", "cuda", "meta"]

    def work(self):
        return DTensor.from_local(self.a.to_local(), self.mesh, [Replicate()])


class Collectives(OnMesh):
    """Five redistributions, from and to every kind of placement: planning transforms and issuing collectives.
    Kept because every change of placement, asked for or not, goes this way."""

    calls = 2
    layouts = 3  # each takes as long as 400 of Detach

    def setup(self, device):
        super().setup(device)
        self.c = self.distributed(Partial())

    def work(self):
        self.a.redistribute(placements=[Shard(0)]).redistribute(placements=[Shard(1)]).redistribute(
            placements=[Replicate()]
        )
        self.c.redistribute(placements=[Replicate()])
        self.c.redistribute(placements=[Shard(0)])


class AddBackward(OnMesh):
    """An addition, its sum, and backward through both: dispatch below autograd. Kept because gradients have placements
    of their own, which nothing else here works out. On "meta" Python in the kernels' place has 7/10 of the count."""

    params = ["cpu", "cuda", "meta"]
    calls = 10
    requires_grad = True

    def setup(self, device):
        super().setup(device)
        self.work()  # the gradients are made; only the next call, which warms up, works out how to add to them

    def work(self):
        (self.a + self.b).sum().backward()


class Inplace(OnMesh):
    """`add_` of two DTensors. Kept because it may not change a placement, which is checked, and wraps nothing anew."""

    def work(self):
        return self.a.add_(self.b)


class View(OnMesh):
    """A view of another shape. Kept because the rules of views work out which dimension became which, in Python."""

    params = ["cpu", "cuda", "meta"]

    def work(self):
        return self.a.view(100)


class Random(OnMesh):
    """`uniform_`. Kept because random operations must be in step on all ranks, by an offset that DTensor keeps for them
    (on devices that have one, so not on the CPU)."""

    def work(self):
        return self.a.uniform_()


class CustomHandler(OnMesh):
    """`is_same_size`, which a handler of its own answers. Kept to tell the way to a handler from what it saves."""

    params = ["cpu", "cuda", "meta"]

    def work(self):
        return torch.ops.aten.is_same_size(self.a, self.b)
