"""Counts that are kept beside asv's results: records, profiles, what they cost, and asking for a new one."""
