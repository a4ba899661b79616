"""Take a count: the supervisor beside a fork server, what starts that under valgrind, and whoever asks it."""
