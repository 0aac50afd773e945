"""Understanding a fitted model: how good it is and for whom, what it looks at, why it says what it says.

Each module is one question, answered with plain values that a command prints and a report draws:
`scores` how good, with bootstrap intervals; `slices` which groups it serves badly; `shapley` and `trees` why
this prediction; `dependence` how the prediction moves with one column.
"""
