"""What earlier tables teach: a matrix of configurations by tables, and the portfolio that is made of it.

`python -m benchmarks.portfolio record` fills `benchmarks/data/portfolio` (a line a cell, small tables first),
`build` makes `src/rung/tabular/meta/portfolio.json` of it, `evaluate` says what it is worth for a table that
it has not seen. `forests`, `leaves` and `smoothing` look at a learner's defaults on many tables.
"""
