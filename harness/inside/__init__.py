"""What runs under valgrind, and only that: server, worker, regions, the counting half of counters."""
