"""One level of stacking: a linear model on what the best configurations predict out of fold.

Its own predictions for the selection are cross-fitted over the same folds, so that greedy selection sees what
it is worth, and leaves it out where that is nothing (Wolpert 1992; van der Laan, Polley, Hubbard 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.model import Member, Seen

if TYPE_CHECKING:
    from rung.tabular.dataset import Dataset
    from rung.tabular.evaluate import Saved

LEAST_ROWS = 750
BASES = 6  # of the best configurations
_LEAST = 0.02  # of the weights: a base with less is left out
_WIDEST = 200  # columns of what they predict
_WORK = 3e-8  # seconds a row, a column and a class, of one fit
_SHARE = 0.5  # of the time that is left; weights are to be chosen in the rest
_FLOOR = 1e-6  # probabilities below are taken as this one
_NEVER = Deadline()


@dataclass
class Stacked:
    """The bases, and the linear model on what they predict.

    Attributes:
        low, high: of the values that were seen.
    """

    bases: list[Member]
    head: Any
    classes: int
    low: float = -np.inf
    high: float = np.inf

    def predict(self, table: Table, seen: Seen | None = None) -> NDArray[np.float64]:
        """Probabilities (n, k), or values (n,); `seen` is what pipelines predicted already, see `Member`."""
        X = _columns([base.predict(table, seen) for base in self.bases])
        if self.classes:
            return np.asarray(self.head.predict_proba(X), dtype=np.float64)
        return np.asarray(np.clip(self.head.predict(X), self.low, self.high), dtype=np.float64)


@dataclass(frozen=True)
class Stack:
    """A stack of configurations: what it predicts for the validation rows, and the model on all of them."""

    bases: list[Saved]
    head: Any
    prediction: NDArray[np.float64]


def stack(
    dataset: Dataset, pool: Sequence[Saved], valid: NDArray[np.intp], deadline: Deadline = _NEVER
) -> Stack | None:
    """A stack of the best of the pool (best first); None where there are too few rows, folds or bases, or
    where it takes too long.
    """
    split, y, classes = dataset.split, dataset.y[valid], dataset.classes
    bases = list(pool[:BASES])
    wide = len(bases) * max(classes, 1)
    if len(valid) < LEAST_ROWS or split.number < 2 or len(bases) < 3 or wide > _WIDEST:
        return None
    if split.moments is not None or dataset.quantile is not None:
        return None
    if _WORK * split.number * len(valid) * wide * max(classes, 1) > _SHARE * deadline.remaining:
        return None
    X = _columns([one.prediction for one in bases])
    folds, weight = split.folds[valid], dataset.weights(valid)
    prediction = np.empty_like(bases[0].prediction)
    for fold in np.unique(folds):
        rest, here = folds != fold, folds == fold
        if deadline.passed or (classes and len(np.unique(y[rest])) < classes):
            return None
        head = _fit(X[rest], y[rest], classes, None if weight is None else weight[rest])
        prediction[here] = head.predict_proba(X[here]) if classes else head.predict(X[here])
    head = _fit(X, y, classes, weight)
    if not classes:
        kept = np.flatnonzero(head.coef_ > _LEAST * head.coef_.sum())
        if 0 < len(kept) < len(bases):
            bases, head = [bases[i] for i in kept], _fit(X[:, kept], y, classes, weight)
    return Stack(bases, head, prediction)


def _columns(predictions: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Log odds of all classes but the first against it, or the values themselves."""
    if predictions[0].ndim == 1:
        return np.column_stack(predictions)
    logs = [np.log(np.clip(p, _FLOOR, 1.0)) for p in predictions]
    return np.hstack([log[:, 1:] - log[:, :1] for log in logs])


def _fit(X: NDArray[np.float64], y: NDArray[Any], classes: int, weight: NDArray[np.float64] | None) -> Any:
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not classes:  # weights that are not negative do not overfit
        return LinearRegression(positive=True).fit(X, y, weight)
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=100))
    return head.fit(X, y, logisticregression__sample_weight=weight)
