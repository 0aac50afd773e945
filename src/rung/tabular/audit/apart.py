"""Whether a model can tell the rows of two tables apart.

The classifier two-sample test: if the tables are alike, no model can tell which row is of which, and its AUC
is 0.5 (Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017). It sees what no column
shows by itself: combinations.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.finding import TABLE, Finding
from rung.tabular.explain.scores import Interval, bootstrap
from rung.tabular.grouping import OFTEN
from rung.tabular.metrics import METRICS
from rung.tabular.names import listed

MOST: Final = 10_000  # rows of each table
FEWEST: Final = 30
_FOLDS: Final = 3
_ROUNDS: Final = 60
_MATTERS: Final = 0.6  # an AUC
_FAR: Final = 0.75
_DEVIATIONS: Final = 3.3  # p under 0.001


class Apart(NamedTuple):
    """How well a model tells two tables' rows apart.

    Attributes:
        auc: cross-validated, with its 95 % bootstrap interval; 0.5 is chance.
        telling: the columns that give it away and their shares of the model's gain, the largest first.
        rows: of either table that were looked at.
    """

    auc: Interval
    telling: tuple[tuple[str, float], ...]
    rows: tuple[int, int]


def tell_apart(a: NDArray[np.float64], b: NDArray[np.float64], names: Sequence[str]) -> Apart | None:
    """How well a small LightGBM tells rows of `b` from those of `a`; None of too few rows or no column.

    Args:
        a, b: (n, d) and (m, d), NaN where a cell is missing; at most `MOST` rows of either are useful.
        names: (d,) of the columns.
    """
    if not names or min(len(a), len(b)) < FEWEST:
        return None
    x, y = np.vstack([a, b]), np.repeat([0, 1], [len(a), len(b)])
    folds = _folds(x, y)
    prediction, gain = np.empty(len(y)), np.zeros(x.shape[1])
    for fold in range(_FOLDS):
        train = folds != fold
        booster = _boost(x[train], y[train])
        prediction[~train] = booster.predict(x[~train], num_threads=1)
        gain += booster.feature_importance("gain")
    auc = bootstrap(METRICS["auc"], y, np.column_stack([1 - prediction, prediction]))
    return Apart(auc, _shares(gain, names), (len(a), len(b)))


def _folds(x: NDArray[np.float64], y: NDArray[np.intp]) -> NDArray[np.intp]:
    """(n,) the fold of each row; rows that are alike are held out together.

    Else a model that has seen one row of a table would say that its copy in the other is of the same table,
    and be wrong: of a table and itself the AUC would be far below 0.5. Rows that are there `OFTEN` times are
    on all sides, those of either table in equal parts: how often they are in it is what there is to learn.

    Args:
        y: (n,) 0 or 1, of which table the row is.
    """
    import pandas as pd

    cells = np.ascontiguousarray(np.where(np.isnan(x), -np.inf, x))
    rows = cells.view(np.dtype((np.void, cells.itemsize * cells.shape[1]))).ravel()
    alike = np.unique(rows, return_inverse=True)[1]
    sizes = np.bincount(alike)
    place = pd.DataFrame({"alike": alike, "y": y}).groupby(["alike", "y"]).cumcount().to_numpy()
    begin = np.random.default_rng(0).permutation(len(sizes))
    often = sizes[alike] >= OFTEN
    return np.asarray((begin[alike] + np.where(often, place, 0)) % _FOLDS, dtype=np.intp)


def _boost(x: NDArray[np.float64], y: NDArray[Any]) -> Any:
    import lightgbm

    settings = {"objective": "binary", "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 10}
    more = {"verbosity": -1, "num_threads": 1, "seed": 0, "deterministic": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = lightgbm.Dataset(x, y, params={"verbosity": -1})
        return lightgbm.train({**settings, **more}, data, _ROUNDS)


def _shares(gain: NDArray[np.float64], names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    total = float(gain.sum()) or 1.0
    pairs = [(name, float(value) / total) for name, value in zip(names, gain.tolist(), strict=True)]
    return tuple(sorted((pair for pair in pairs if pair[1] > 0), key=lambda pair: -pair[1]))


def apart_findings(apart: Apart) -> Iterator[Finding]:
    """One finding where the tables can be told apart, and not by chance."""
    (n, m), auc = apart.rows, apart.auc
    deviation = float(np.sqrt((n + m + 1) / (12 * n * m)))  # of the rank sum, without any difference
    if auc.value < _MATTERS or (auc.value - 0.5) < _DEVIATIONS * deviation:
        return
    names = [f"{name} ({part:.0%})" for name, part in apart.telling[:3]]
    yield Finding(
        "warning" if auc.value >= _FAR else "note",
        TABLE,
        f"a model can tell the rows of the two tables apart (AUC {auc.value:.3f}, cross-validated; 0.5 is "
        f"chance), mostly by {listed(names, 'and')}",
        "find out what changed in these columns; a model of one table may not serve for the other",
        "told-apart",
    )
