"""Find the commit that changed a count."""
