"""All that knows asv: its results, git and releases, and the pages that `asv publish` writes."""
