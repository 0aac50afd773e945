"""What the memory is worth for a table that it has not seen: leave one table out, and spend the seconds.

A run is simulated from the recorded cells: one configuration after another, each for its recorded seconds,
until the time is up. What counts is the least regret among the configurations that were done by then. The
orders that are compared:

- random: all configurations in a random order (the mean of 20);
- defaults: the learners' defaults in the order in which a search without memory tries them, then the others
  in a random order (the mean of 20);
- paper: the greedy portfolio of the other tables, as published: equal weights, no costs;
- portfolio: the same, gains divided by the root of the predicted seconds;
- suggest: the same, tables weighted by how much they are like this one;
- surrogate: by predicted rank times the root of the predicted seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from rung.tabular.learners.table import fitting
from rung.tabular.meta import Features, Memory, Surrogate
from rung.tabular.meta.features import NAMES
from rung.tabular.meta.portfolio import COST_POWER, greedy, order_for, surrogate_order
from rung.tabular.meta.surrogate import predicted_seconds

BUDGETS: Final = (3.0, 10.0, 30.0, 60.0)
ORDERS: Final = ("random", "defaults", "paper", "portfolio", "suggest", "surrogate")
_SHUFFLES: Final = 20


def evaluate(memory: Memory, budgets: Sequence[float] = BUDGETS) -> dict[str, np.ndarray]:
    """(t, budgets) regrets by order; 1 where nothing was done in time."""
    found = {name: np.empty((len(memory.tables), len(budgets))) for name in ORDERS}
    for i, table in enumerate(memory.tables):
        known = memory.without([table])
        features = features_of(memory, i)
        first = _defaults(features, memory.kinds[i], memory, i)
        for name, orders in _orders(features, memory.kinds[i], known, first).items():
            regrets = [[_spent(memory, i, order, seconds) for seconds in budgets] for order in orders]
            found[name][i] = np.mean(regrets, axis=0)
    return found


class Accuracy(NamedTuple):
    """Of the surrogate, on tables left out.

    Attributes:
        correlation: mean over tables of Spearman's, between predicted rank and regret.
        factor: median over cells by which predicted seconds are off, 1 at best.
    """

    correlation: float
    factor: float


def accuracy(memory: Memory) -> Accuracy:
    """How well the surrogate predicts each table from the others."""
    from scipy.stats import spearmanr

    correlations, factors = [], []
    for i, table in enumerate(memory.tables):
        said = Surrogate(memory.without([table])).predict(features_of(memory, i), memory.configurations)
        known = np.isfinite(memory.regret[i])
        correlations.append(spearmanr(said.rank[known], memory.regret[i][known]).statistic)
        off = np.log(said.seconds[known] / np.maximum(memory.seconds[i][known], 1e-3))
        factors += np.exp(np.abs(off)).tolist()
    return Accuracy(float(np.mean(correlations)), float(np.median(factors)))


def features_of(memory: Memory, i: int) -> Features:
    """A table of the memory, as a new one would be seen."""
    rows, width, classes = (int(x) for x in memory.sizes[i])
    values = dict(zip(NAMES, memory.features[i].tolist(), strict=True))
    categories = values["share_categories"] > 0
    return Features(values, rows, width, classes, width, categories, missing=values["share_missing"] > 0)


def _orders(features: Features, kind: str, known: Memory, first: list[int]) -> Mapping[str, list[list[int]]]:
    usable = {one.name for one in fitting(kind, features.classes)}
    all_ = [j for j, config in enumerate(known.configurations) if config["learner"] in usable]
    rng = np.random.default_rng(len(known.tables))
    price = predicted_seconds(features, known) ** COST_POWER
    found = {
        "random": [rng.permutation(all_).tolist() for _ in range(_SHUFFLES)],
        "defaults": [_then(first, all_, rng) for _ in range(_SHUFFLES)],
        "paper": [greedy(known.regret)],
        "portfolio": [greedy(known.regret, costs=price)],
        "suggest": [order_for(features, kind, known)],
        "surrogate": [surrogate_order(features, known)],
    }
    return {
        name: [[j for j in order if j in set(all_)] for order in orders] for name, orders in found.items()
    }


def _then(first: list[int], all_: Sequence[int], rng: np.random.Generator) -> list[int]:
    return first + rng.permutation([j for j in all_ if j not in first]).tolist()


def _defaults(features: Features, kind: str, memory: Memory, table: int) -> list[int]:
    """The places of the defaults, in the order of a search without memory.

    A default that has changed since this table was recorded stands as it was: else the defaults that are
    compared with would lack whatever has changed, and anything would be better than they are.
    """
    from functools import partial

    from rung.tabular.learners.table import defaults
    from rung.tabular.plan import Size, make_defaults, make_scheme

    given = partial(defaults, categories=True, missing=True)
    scheme = make_scheme(features.rows, features.width, features.classes, 30.0, 2)
    size = Size(features.rows, features.width, features.classes, scheme)
    places = []
    for one in make_defaults(fitting(kind, features.classes), given, size):
        name = f"{one.config['learner']} default {one.rank}"
        versions = [
            j for j, other in enumerate(memory.names) if other == name or other.startswith(f"{name}.")
        ]
        known = [j for j in versions if np.isfinite(memory.regret[table, j])]
        today = [j for j in known if dict(memory.configurations[j]) == dict(one.config)]
        places += (today or known)[:1]
    return places


def _spent(memory: Memory, table: int, order: Sequence[int], seconds: float) -> float:
    """The least regret of what is done within so many seconds; what fails takes none."""
    least, left = 1.0, seconds
    for j in order:
        cost, regret = memory.seconds[table, j], memory.regret[table, j]
        if not np.isfinite(regret):
            continue
        left -= cost
        if left < 0:
            break
        least = min(least, float(regret))
    return least


def said(memory: Memory, found: Mapping[str, np.ndarray], budgets: Sequence[float] = BUDGETS) -> str:
    """A table: mean regrets, and on how many tables they are less and more than the defaults'."""
    from benchmarks.reports.markdown import table

    rows = []
    for name, regrets in found.items():
        cells = [f"{value:.3f}" for value in regrets.mean(axis=0)]
        better = (regrets < found["defaults"] - 1e-9).sum(axis=0)
        worse = (regrets > found["defaults"] + 1e-9).sum(axis=0)
        beside = [f"{a} : {b}" for a, b in zip(better, worse, strict=True)]
        rows.append([name, *cells, *(["–"] * len(budgets) if name == "defaults" else beside)])
    head = ["order", *(f"{x:g} s" for x in budgets), *(f"better : worse, {x:g} s" for x in budgets)]
    return table(head, rows)
