"""Who runs next, and how far."""
