"""What a server and its workers must know of PyTorch."""
