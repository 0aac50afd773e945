"""What a step of an architecture search costs, beside the reference: `python -m benchmarks.supernet`."""
