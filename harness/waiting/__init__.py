"""`harness count --wait`: a server that waits for the next count, and the command that asks it."""
