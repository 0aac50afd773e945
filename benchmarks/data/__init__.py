"""What benchmarks have recorded: rows of runs, and tables of learning curves."""
