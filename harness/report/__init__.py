"""Answer a question about counts: resolve it to records, then tables, flame graphs."""
