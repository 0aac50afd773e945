"""Figures about rung, beside its peers' in the same run: `python -m benchmarks.engine` and others."""
