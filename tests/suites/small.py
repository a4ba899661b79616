"""The benchmarks' own classes with smaller sizes, and fewer calls of those that call what is small already; copied
beside them into a package `small_suite` by test_counts_of_torch.py."""

import torch
from small_suite.aotdispatcher import BACKEND, AOTDispatcher
from small_suite.dtensor import (
    AddBackward,
    Collectives,
    CustomHandler,
    Detach,
    Inplace,
    Random,
    ToFromLocal,
    View,
)
from small_suite.dynamo_inline import InlineChain
from small_suite.export import SumFloordiv
from small_suite.guards import NNModuleGuardEval
from small_suite.runtime_overhead import Add1, EagerAdd1
from small_suite.wrappers import AutogradFunctionApply, Disable

from harness import Compiling, Workload


class SmallAOTDispatcher(AOTDispatcher):
    inputs = 3


class SmallInlineChain(InlineChain):
    steps = 3


class SmallSumFloordiv(SumFloordiv):
    numbers = 4


class Few:
    calls = 10
    layouts = 1


class SmallAdd1(Few, Add1):
    pass


class SmallEagerAdd1(Few, EagerAdd1):
    layouts = 4


class SmallDetach(Few, Detach):
    layouts = 3


class SmallToFromLocal(Few, ToFromLocal):
    pass


class SmallCollectives(Few, Collectives):
    pass


class SmallAddBackward(Few, AddBackward):
    pass


class SmallInplace(Few, Inplace):
    pass


class SmallView(Few, View):
    pass


class SmallRandom(Few, Random):
    pass


class SmallCustomHandler(Few, CustomHandler):
    pass


class SmallNNModuleGuardEval(Few, NNModuleGuardEval):
    pass


class SmallDisable(Few, Disable):
    pass


class SmallAutogradFunctionApply(Few, AutogradFunctionApply):
    pass


class SmallLinear(Compiling):
    """Compile one linear layer."""

    params = ["eager", BACKEND, "inductor"]
    param_names = ["backend"]

    def setup(self, backend):
        self.backend = backend
        self.layer = torch.nn.Linear(10, 10)
        self.input = torch.ones(10)

    def work(self):
        self.compile_and_call(self.layer, self.input, backend=self.backend, dynamic=False)


class CompilesInWork(InlineChain):
    """Counts all of `work`, most of which is compiling."""

    params = ()
    param_names = ()
    region = "work"
    steps = 3

    def setup(self):
        super().setup("cpu")


class NeverCompiles(Workload):
    """Asks for the compile region and compiles nothing."""

    region = "compile"

    def work(self):
        return torch.ones(2)


class CompilesOnce(InlineChain):
    """Forgets to reset Dynamo, so that only the warm-up compiles."""

    params = ["cpu"]
    steps = 3

    def warm_up(self):
        self.work()

    def prepare(self):
        pass
