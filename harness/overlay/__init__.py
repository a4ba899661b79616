"""A commit's Python over a wheel's binaries: git, PyTorch's files, wheels, the tree, laying it in place."""
