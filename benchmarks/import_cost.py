"""Importing torch and its compiler: what every program and every worker of a pool pays before its first line."""

import importlib

from harness import Workload


class ImportCost(Workload):
    """Import a module in a process that has only its parent: in instructions, what `python -X importtime` tells in
    microseconds. Kept because one careless import at the top of a file is paid by everybody."""

    params = ["torch", "torch._dynamo", "torch._inductor"]
    param_names = ["module"]
    stage = "bare"

    @classmethod
    def suite_of(cls, module):
        return "full" if module == "torch" else "default"

    def setup(self, module):
        parent = module.rpartition(".")[0]
        if parent:
            importlib.import_module(parent)
        self.module = module

    def warm_up(self):
        """Nothing: a module is imported once in a process."""

    def work(self):
        importlib.import_module(self.module)
