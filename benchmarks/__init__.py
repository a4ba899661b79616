"""What PyTorch costs the host, in instructions: one file per subsystem."""

#: torch's caches, threads and compile region need the harness's torch rules.
RULES = "torch"
