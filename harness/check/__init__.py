"""Whether a change cost anything: both sides counted at once, and a verdict for each case."""
