"""Architecture search, strategy beside strategy, with equal seeds, data, epochs and retraining.

python -m benchmarks.nas run                     # what has no row yet, of all experiments
python -m benchmarks.nas run cifar --seeds 0,1
python -m benchmarks.nas run --quick             # short forms, for a look
python -m benchmarks.nas report                  # docs/search_experiments.md from the rows
"""
