"""What papers say, what rung does, what peers do, all from runs: `python -m benchmarks.conformance`."""
