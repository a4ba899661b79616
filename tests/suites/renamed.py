"""Changes torch in the server that imports it first, as a release might: Inductor's event has another name, and it
compiles with more threads than the variable says. Copied into `small_suite` by test_counts_of_torch.py."""

import os

if "TORCHINDUCTOR_COMPILE_THREADS" in os.environ:  # in a server only, not where the suite is looked through
    import torch._dynamo.utils
    import torch._inductor.config

    dynamo_timed = torch._dynamo.utils.dynamo_timed
    add_data = torch._dynamo.utils.CompileEventLogger.add_data
    names = {"inductor_compile": "inductor"}

    def renamed(key, phase_name=None, **options):
        return dynamo_timed(key, names.get(phase_name, phase_name), **options)

    def add_to_renamed(event, *level, **data):
        add_data(names.get(event, event), *level, **data)

    torch._dynamo.utils.dynamo_timed = renamed
    torch._dynamo.utils.CompileEventLogger.add_data = staticmethod(add_to_renamed)
    torch._inductor.config.compile_threads = 3
