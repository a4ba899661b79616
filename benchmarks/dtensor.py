"""DTensor's dispatch: what an operation costs before any tensor is touched."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate
from torch.testing._internal.distributed.fake_pg import FakeStore

from harness import Workload


class Detach(Workload):
    """`detach` of a replicated DTensor: the cheapest operation there is, so nearly all of it is dispatch."""

    params = ["cpu", "cuda"]
    param_names = ["device"]
    calls = 100
    layouts = 9

    def setup(self, device):
        if device == "cuda" and not torch.cuda.is_available():
            raise NotImplementedError("no CUDA device")
        dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=256)
        mesh = init_device_mesh(device, (256,), mesh_dim_names=("dp",))
        self.tensor = DTensor.from_local(torch.ones(10, 10, device=device), mesh, [Replicate()])

    def work(self):
        return self.tensor.detach()
