"""docs/meta.md: what rung learns from earlier tables, and what it is worth; made from the shipped memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.portfolio.evaluating import BUDGETS, accuracy, said
from benchmarks.reports.markdown import listed
from rung.tabular.meta import Memory
from rung.tabular.meta.features import NAMES, ROWS, SECONDS
from rung.tabular.meta.memory import VARIABLE

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "meta.md"
_TEXT: Final = """# Learning from earlier tables

`rung.tabular.meta` knows how {configurations} configurations did on {tables} tables, and says for a new table
which to try first. What it knows is one file, `portfolio.json`, a line a table; no table itself is in it.

```python
from rung.tabular.meta import meta_features, nearest, suggest

features = meta_features(table, y, classes, sizes)  # arrays of the encoder; y codes, or values with classes=0
nearest(features, 3)  # the earlier tables that are most like it
suggest(features, "binary", {{"lightgbm", "linear", "extra_trees"}})  # configurations, in the order to try
```

## What a table is like

{features} meta-features, from at most {rows:,} rows, in at most about {seconds:g} s (usually a twentieth of
it): counts and shares; the shape of the columns' distributions; entropies and mutual information; and
landmarks, what four very simple learners reach on 500 rows. Formulas and sources stand in
`src/rung/tabular/meta/features.py`. Two tables are as far apart as the mean of their features' differences,
each in interquartile ranges of the known tables and at most three of them (L1; L2 on demand).

## Which configurations first

A configuration's regret on a table is (loss - best) / (median - best) among the table's configurations, at
most 1. The order is greedy: the next configuration is the one that lowers most the mean of the least regret
([Feurer et al. 2022](https://arxiv.org/abs/2007.04074)). Two things differ from the paper: tables count by
how much they are like the new one (a table with another kind of task a third of that), and a gain is divided
by the square root of the seconds that the configuration is predicted to take. Those come from a surrogate,
two ridge regressions that are fitted from the file when first asked: one of the logarithm of the seconds, one
of the rank, over learner, hyperparameters, size and meta-features. `Surrogate.predict` answers for
configurations that are not in the file, too.

## What it is worth

Each table left out in turn; configurations one after another, each for its recorded seconds of one core,
until the time is up; the least regret by then. "Better : worse" counts tables against the defaults' order.

{figures}
- *random*: all configurations in a random order, the mean of 20.
- *defaults*: the learners' defaults in the order of a search without memory, then the others at random; a
  default that has changed since a table was recorded stands as it was then.
- *paper*: the greedy order with equal weights and no costs.
- *portfolio*: the same, with costs. *suggest*: with costs and weights, which `suggest` gives.
- *surrogate*: by predicted rank times the root of the predicted seconds; `suggest(..., by="surrogate")`.

{verdict}

The surrogate, each table predicted from the others: the mean rank correlation with the regret is
{correlation}, and half of the predicted seconds are off by less than a factor of {factor}.

This is the regret of the single best configuration. A search that averages its models gains less from the
order than these figures say. The tables are {kinds}: {names}.

## The file

{recipe}

    nice -n 15 python -m benchmarks.portfolio record    # cells that are not there yet; needs RUNG_DATA
    python -m benchmarks.portfolio build                # portfolio.json
    python -m benchmarks.portfolio evaluate             # this page

The variable {variable} names another such file. `build --leave-out a,b` makes one that has not seen these
tables. The benchmark of `rung fit` ([benchmark.md](benchmark.md)) leaves out the table that it judges.
"""


def page(memory: Memory, found: Mapping[str, np.ndarray]) -> str:
    """The text."""
    kinds = Counter(memory.kinds)
    surrogate = accuracy(memory)
    return _TEXT.format(
        configurations=len(memory.configurations),
        tables=len(memory.tables),
        features=len(NAMES),
        rows=ROWS,
        seconds=SECONDS,
        figures=said(memory, found),
        verdict=_verdict(found),
        correlation=f"{surrogate.correlation:.2f}",
        factor=f"{surrogate.factor:.1f}",
        kinds=listed([f"{kinds[kind]} {kind}" for kind in sorted(kinds)]),
        names=", ".join(memory.tables),
        recipe="\n".join(f"- {name}: {text}" for name, text in memory.recipe.items()),
        variable=VARIABLE,
    )


def _verdict(found: Mapping[str, np.ndarray]) -> str:
    """What the table says, in a sentence a budget; a bootstrap over the tables tells chance from gain."""
    gains = found["defaults"] - found["suggest"]
    drawn = np.random.default_rng(0).integers(len(gains), size=(5_000, len(gains)))
    low, high = np.quantile(gains[drawn].mean(axis=1), [0.025, 0.975], axis=0)
    parts = []
    for i, seconds in enumerate(BUDGETS):
        sure = "" if low[i] > 0 or high[i] < 0 else ", which may be chance"
        parts.append(f"at {seconds:g} s {gains[:, i].mean():+.3f} ({low[i]:+.3f} to {high[i]:+.3f}){sure}")
    return (
        "Regret that `suggest` saves against the defaults' order, with 95 % intervals over the tables: "
        + "; ".join(parts)
        + "."
    )


def write(memory: Memory, found: Mapping[str, np.ndarray]) -> Path:
    """Write the page."""
    PAGE.write_text(page(memory, found), encoding="utf-8", newline="\n")
    return PAGE
