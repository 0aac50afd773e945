"""The judge of `rung fit`: systems that fit tables, side by side on fixed tables, splits and budgets.

Every system gets the same two CSV files, in a process of its own, in an environment of its own, and is
timed from the start of that process to the written predictions. A run is a line in
`benchmarks/data/cash/rows.jsonl`; `docs/benchmark.md` is made of these lines alone.
"""
