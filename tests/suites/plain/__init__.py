"""A suite of pure Python for the tests: its server starts in no time."""
