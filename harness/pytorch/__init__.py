"""PyTorch's part outside of valgrind: workloads that compile, statements and their C++, the names of components."""
