"""A configuration as a fitted pipeline: preparation, estimator, and the way back to the target's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.learners.base import Learner, Setting
from rung.tabular.preparation import Preparation, Target, make_preparation

_BEYOND = 0.1  # of the target's range: predictions further out are cut


@dataclass
class Constant:
    """Predicts the classes' shares, or the mean, whatever the row."""

    prediction: NDArray[np.float64]  # (k,) or ()

    def predict(self, table: Table) -> NDArray[np.float64]:
        """(n, k) or (n,)."""
        return np.broadcast_to(self.prediction, (len(table), *self.prediction.shape)).copy()


@dataclass
class Classifying:
    """A fitted classifier with its preparation.

    Attributes:
        seen: (m,) codes of the classes that were there to learn.
        shares: (k,) of the classes, smoothed; `trust` weighs the estimator's word against them.
    """

    preparation: Preparation
    estimator: Any
    seen: NDArray[np.intp]
    shares: NDArray[np.float64]
    trust: float

    def predict(self, table: Table) -> NDArray[np.float64]:
        """Probabilities (n, k); rows sum to 1, none is 0."""
        raw = np.asarray(self.estimator.predict_proba(self.preparation.transform(table)), dtype=np.float64)
        raw = np.nan_to_num(raw, nan=1.0 / raw.shape[1])
        out = np.zeros((len(raw), len(self.shares)))
        out[:, self.seen] = raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-300)
        return self.trust * out + (1 - self.trust) * self.shares


@dataclass
class Regressing:
    """A fitted regressor with its preparation, on a target of mean 0 and variance 1."""

    preparation: Preparation
    estimator: Any
    center: float
    scale: float
    low: float
    high: float

    def predict(self, table: Table) -> NDArray[np.float64]:
        """Values (n,), at most a tenth of the target's range beyond what was seen."""
        raw = np.asarray(self.estimator.predict(self.preparation.transform(table)), dtype=np.float64).ravel()
        return np.clip(np.nan_to_num(raw) * self.scale + self.center, self.low, self.high)


Pipeline = Constant | Classifying | Regressing


class Order(NamedTuple):
    """What to fit: a learner with a configuration, by when, and what an earlier fold taught."""

    learner: Learner
    config: Mapping[str, Any]
    sizes: list[int]
    seed: int
    deadline: Deadline
    known: Mapping[str, float] = {}
    folds: int = 1


class Fitted(NamedTuple):
    pipeline: Pipeline
    known: Mapping[str, float]
    cut: bool


def constant(y: NDArray[np.float64], classes: int) -> Constant:
    """The best constant: smoothed shares of the classes, or the mean."""
    if not classes:
        return Constant(np.asarray(_mean(y)))
    return Constant((np.bincount(y.astype(np.intp), minlength=classes) + 1.0) / (len(y) + classes))


def fit_pipeline(order: Order, table: Table, y: NDArray[np.float64], classes: int) -> Fitted:
    """Fit preparation and estimator on these rows; a constant where there is nothing to tell apart."""
    most = order.learner.most_rows
    if most is not None and len(y) > most:
        keep = np.random.default_rng([order.seed, 3]).choice(len(y), most, replace=False)
        table, y = table.take(keep), y[keep]
    seen, codes = np.unique(y, return_inverse=True) if classes else (np.empty(0), y)
    if len(y) < 2 or (classes and len(seen) < 2) or (not classes and np.ptp(y) == 0):
        return Fitted(constant(y, classes), {}, cut=False)
    return _classifier(order, table, y, codes, classes) if classes else _regressor(order, table, y)


def _classifier(
    order: Order, table: Table, y: NDArray[np.float64], codes: NDArray[Any], classes: int
) -> Fitted:
    seen = np.unique(y).astype(np.intp)
    goal = codes.astype(np.float64)
    preparation = make_preparation(order.learner.needs, order.config, order.sizes, order.seed)
    X = preparation.fit_transform(table, Target(goal, len(seen)))
    shares = constant(y, classes).prediction
    if not X.shape[1]:
        return Fitted(Constant(shares), {}, cut=False)
    trained = order.learner.fit(order.config, X, goal, _setting(order, len(seen), preparation))
    trust = 1.0 - min(0.05, 1.0 / len(y))
    return Fitted(
        Classifying(preparation, trained.estimator, seen, shares, trust), trained.known, trained.cut
    )


def _regressor(order: Order, table: Table, y: NDArray[np.float64]) -> Fitted:
    center, low, high = _mean(y), float(y.min()), float(y.max())
    scale = _deviation(y, center)
    goal = (y - center) / scale
    preparation = make_preparation(order.learner.needs, order.config, order.sizes, order.seed)
    X = preparation.fit_transform(table, Target(goal, 0))
    if not X.shape[1]:
        return Fitted(Constant(np.asarray(center)), {}, cut=False)
    trained = order.learner.fit(order.config, X, goal, _setting(order, 0, preparation))
    margin = _BEYOND * (high / 2 - low / 2) * 2
    fitted = Regressing(preparation, trained.estimator, center, scale, low - margin, high + margin)
    return Fitted(fitted, trained.known, trained.cut)


def _setting(order: Order, classes: int, preparation: Preparation) -> Setting:
    return Setting(
        classes, order.seed, order.deadline, tuple(preparation.categorical), dict(order.known), order.folds
    )


def _mean(y: NDArray[np.float64]) -> float:
    """The mean, also where the sum would overflow."""
    return float((y / len(y)).sum())


def _deviation(y: NDArray[np.float64], center: float) -> float:
    largest = float(np.abs(y - center).max())
    return largest * float(np.sqrt(np.mean(((y - center) / largest) ** 2)))
