"""A portfolio: configurations in an order in which each adds most to those before it.

Greedy maximisation of a submodular set function (Feurer et al. 2022, "Auto-sklearn 2.0: hands-free AutoML via
meta-learning", section 3.1 and algorithm 1): the next configuration is the one that lowers most the mean over
tables of the least regret; what it reaches is at least 1 - 1/e of what is possible (Nemhauser et al. 1978).
Here tables may weigh differently, and a configuration's gain may be divided by a power of what it costs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np

from rung.tabular.learners.table import fitting, learners
from rung.tabular.meta.configurations import for_table
from rung.tabular.meta.features import Features
from rung.tabular.meta.memory import Array, Memory, current
from rung.tabular.meta.similarity import distances
from rung.tabular.meta.surrogate import Surrogate, predicted_seconds

COST_POWER: Final = 0.5  # of its predicted seconds by which a configuration's gain is divided
OTHER_KIND: Final = 0.3  # weight of a table with another kind of task
SHARPNESS: Final = 2.0  # median distances over which a table's weight falls by e**2
ORDERS: Final = ("portfolio", "surrogate")
_LEAST: Final = 1e-9  # gain that is none


def greedy(regret: Array, weights: Array | None = None, costs: Array | None = None) -> list[int]:
    """All configurations, those that add most first; what adds nothing follows by its mean regret.

    Args:
        regret: (t, c) from 0 to 1; NaN counts as 1.
        weights: (t,) of the tables; equal by default.
        costs: (c,) by which gains are divided; equal by default.
    """
    filled = np.nan_to_num(regret, nan=1.0)
    weight = np.ones(len(filled)) if weights is None else np.asarray(weights, dtype=np.float64)
    weight = weight / weight.sum() if weight.sum() > 0 else np.full(len(filled), 1 / max(len(filled), 1))
    price = np.ones(filled.shape[1]) if costs is None else np.maximum(costs, 1e-9)
    usual = weight @ filled
    least = np.ones(len(filled))
    left, order = list(range(filled.shape[1])), []
    while left:
        gains = weight @ np.maximum(least[:, None] - filled[:, left], 0.0)
        value = gains / price[left]
        if gains.max() <= _LEAST:
            break
        best = max(range(len(left)), key=lambda i: (value[i], -usual[left[i]], -left[i]))
        chosen = left.pop(best)
        order.append(chosen)
        least = np.minimum(least, filled[:, chosen])
    return order + sorted(left, key=lambda i: (usual[i], i))


def table_weights(features: Features, kind: str, memory: Memory) -> Array:
    """(t,) how much each earlier table says of this one: less with its distance, less for another kind."""
    apart = distances(features, memory)
    usual = max(float(np.median(apart)), 1e-9)
    same = np.array([1.0 if one == kind else OTHER_KIND for one in memory.kinds])
    return np.asarray(same * np.exp(-SHARPNESS * apart / usual))


def order_for(features: Features, kind: str, memory: Memory, *, costs: bool = True) -> list[int]:
    """The memory's configurations, in the order in which they should be tried on this table."""
    if not memory.tables:
        return []
    price = predicted_seconds(features, memory) ** COST_POWER if costs else None
    return greedy(memory.regret, table_weights(features, kind, memory), price)


def surrogate_order(features: Features, memory: Memory) -> list[int]:
    """The memory's configurations by predicted rank times the root of predicted seconds, the least first."""
    if not memory.tables:
        return []
    said = Surrogate(memory).predict(features, memory.configurations)
    return [int(i) for i in np.argsort(said.rank * said.seconds**COST_POWER, kind="stable")]


def suggest(
    features: Features,
    task_kind: str,
    available: Collection[str],
    memory: Memory | None = None,
    by: str = "portfolio",
) -> list[dict[str, Any]]:
    """Configurations to try first on a new table, the most promising for their time first.

    Args:
        features: of the table, see `meta_features`.
        task_kind: "binary", "multiclass" or "regression".
        available: names of the learners that may be used.
        memory: what earlier tables taught; see `current`, unless given.
        by: "portfolio", each adding most to those before it, or "surrogate", each by its own predicted rank
            and seconds.

    Returns:
        Complete configurations, in the form that `rung.tabular.learners.table.defaults` gives; none twice.
        Learners that are not there, or do not do this task, are left out.

    Raises:
        ValueError: `by` is neither.
    """
    if by not in ORDERS:
        raise ValueError(f"the order must be by {' or '.join(ORDERS)}, not {by!r}")
    known = current() if memory is None else memory
    usable = {one.name for one in fitting(task_kind, features.classes)} & set(available)
    table, found = learners(), []
    ordered = surrogate_order(features, known) if by == "surrogate" else order_for(features, task_kind, known)
    for i in ordered:
        config = known.configurations[i]
        if config["learner"] not in usable:
            continue
        learner = table[config["learner"]]
        fitted = for_table(config, learner, categories=features.categories, missing=features.missing)
        if fitted is not None and fitted not in found:
            found.append(fitted)
    return found
