"""Recorded tables by the clock of their own trainings: `timed NAME`, where one second is one full training.

The problem is `smooth NAME`; only its clock differs. A job takes the seconds that its training took when it
was recorded, over the mean of a full training of all configurations: time(R) of the ASHA paper (Li et al.
2020, section 3.2), in which it tells its limits. Configurations that train fast are still the faster ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np

from benchmarks.data.tables import Table, open_table, tables
from benchmarks.problems import Problem
from benchmarks.problems.recorded import smooth


def full_training(table: Table) -> float:
    """The mean seconds of a full training, over all configurations."""
    grid = product(*(axis.values for axis in table.axes.values()))
    configs = (dict(zip(table.axes, values, strict=True)) for values in grid)
    return float(np.mean([table.seconds(config, 0, table.steps[-1]) for config in configs]))


def timed(name: str) -> Problem:
    """The problem with that clock."""
    unit = full_training(open_table(name))
    plain = smooth(name)

    def cost(config: Mapping[str, Any], start: int, until: int) -> float:
        return plain.seconds(config, start, until) / unit

    return plain._replace(cost=cost)


ENTRIES: Final[dict[str, Callable[[], Problem]]] = {
    f"timed {name}": partial(timed, name) for name in tables()
}
