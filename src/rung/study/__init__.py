"""The loop, tune(), and what it returns."""
