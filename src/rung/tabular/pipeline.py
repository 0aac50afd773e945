"""A configuration as a fitted pipeline: preparation, estimator, and the way back to the target's terms."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.learners.base import Fold, Learner, Setting, Trained
from rung.tabular.learners.forests import averaged, is_forest
from rung.tabular.preparation import Preparation, Target, make_preparation
from rung.tabular.resampling import Resampled, corrected, resample

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
        odds: (m,) that take back what resampling did to the classes' shares; None without any.
    """

    preparation: Preparation
    estimator: Any
    seen: NDArray[np.intp]
    shares: NDArray[np.float64]
    trust: float
    odds: NDArray[np.float64] | None = None

    def predict(self, table: Table) -> NDArray[np.float64]:
        """Probabilities (n, k); rows sum to 1, none is 0."""
        X = self.preparation.transform(table)
        found = averaged(self.estimator, X) if is_forest(self.estimator) else self.estimator.predict_proba(X)
        raw = np.asarray(found, dtype=np.float64)
        raw = np.nan_to_num(raw, nan=1.0 / raw.shape[1])
        raw = raw if self.odds is None else corrected(raw, self.odds)
        out = np.zeros((len(raw), len(self.shares)))
        out[:, self.seen] = raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-300)
        return self.trust * out + (1 - self.trust) * self.shares


@dataclass
class Regressing:
    """A fitted regressor with its preparation, on a target of mean 0 and variance 1.

    Attributes:
        log: it learned the target's logarithm, sign(y) log(1 + |y| / unit).
        unit: see `log`.
    """

    preparation: Preparation
    estimator: Any
    center: float
    scale: float
    low: float
    high: float
    log: bool = False
    unit: float = 1.0

    def predict(self, table: Table) -> NDArray[np.float64]:
        """Values (n,), at most a tenth of the target's range beyond what was seen."""
        X = self.preparation.transform(table)
        found = averaged(self.estimator, X) if is_forest(self.estimator) else self.estimator.predict(X)
        raw = np.asarray(found, dtype=np.float64).ravel()
        values = np.nan_to_num(raw) * self.scale + self.center
        if self.log:
            values = _unlog(values, self.unit)
        return np.clip(values, self.low, self.high)


Pipeline = Constant | Classifying | Regressing


class Order(NamedTuple):
    """What to fit: a learner with a configuration, by when, and what an earlier fold taught.

    Attributes:
        weight, aside, quantile: see `Setting`.
        labels: whether the metric sees labels only: then balanced weights may tilt the probabilities, since
            rare classes are to be said more often; otherwise that is taken back.
    """

    learner: Learner
    config: Mapping[str, Any]
    sizes: list[int]
    seed: int
    deadline: Deadline
    known: Mapping[str, float] = {}
    folds: int = 1
    weight: NDArray[np.float64] | None = None
    aside: NDArray[np.bool_] | None = None
    quantile: float | None = None
    labels: bool = False


class Fitted(NamedTuple):
    pipeline: Pipeline
    known: Mapping[str, float]
    cut: bool


Course = Generator[Fold, Trained, Fitted]  # of one fit: what its estimator needs, the estimator, the pipeline


def constant(
    y: NDArray[np.float64],
    classes: int,
    weight: NDArray[np.float64] | None = None,
    quantile: float | None = None,
) -> Constant:
    """The best constant: smoothed shares of the classes, the mean, or the quantile."""
    if classes:
        shares = np.bincount(y.astype(np.intp), weights=weight, minlength=classes) + 1.0
        return Constant(shares / shares.sum())
    if quantile is None:
        return Constant(np.asarray(_mean(y, weight)))
    return Constant(np.asarray(_quantile(y, quantile, weight)))


class Part(NamedTuple):
    """What to fit a pipeline on: an order, the rows, and their target (n,)."""

    order: Order
    table: Table
    y: NDArray[np.float64]


def fit_pipeline(order: Order, table: Table, y: NDArray[np.float64], classes: int) -> Fitted:
    """Fit preparation and estimator on these rows; a constant where there is nothing to tell apart."""

    def fit(folds: Sequence[Fold]) -> list[Trained]:
        return [order.learner.fit(order.config, *fold) for fold in folds]

    return _fitted([Part(order, table, y)], classes, fit)[0]


def fit_pipelines(parts: Sequence[Part], classes: int) -> list[Fitted]:
    """The same for several parts of the rows at once, by a learner that can (`Learner.fit_many`)."""
    order = parts[0].order
    many = order.learner.fit_many
    if many is None:
        return [fit_pipeline(*part, classes) for part in parts]
    return _fitted(parts, classes, partial(many, order.config))


def _fitted(
    parts: Sequence[Part], classes: int, fit: Callable[[Sequence[Fold]], list[Trained]]
) -> list[Fitted]:
    """Each part up to what its estimator is fitted on; then all estimators; then each part to its end."""
    courses = [_course(*part, classes) for part in parts]
    asked: dict[int, Fold] = {}
    found: dict[int, Fitted] = {}
    for i, course in enumerate(courses):
        try:
            asked[i] = next(course)
        except StopIteration as end:  # a constant, without an estimator
            found[i] = end.value
    for i, trained in zip(asked, fit(list(asked.values())) if asked else [], strict=True):
        try:
            courses[i].send(trained)
        except StopIteration as end:
            found[i] = end.value
    return [found[i] for i in range(len(parts))]


def _course(order: Order, table: Table, y: NDArray[np.float64], classes: int) -> Course:
    """Yields what the estimator is to be fitted on, and takes it when it is."""
    order, table, y = _counted(order, table, y)
    shares = constant(y, classes, order.weight).prediction if classes else np.empty(0)
    fewer = _under(order, y, classes)
    if fewer is not None:
        order, table, y = _of(order, fewer.rows), table.take(fewer.rows), y[fewer.rows]
    most = order.learner.most_rows
    if most is not None and len(y) > most:
        keep = np.random.default_rng([order.seed, 3]).choice(len(y), most, replace=False)
        order, table, y = _of(order, keep), table.take(keep), y[keep]
    seen = np.unique(y) if classes else np.empty(0)
    if len(y) < 2 or (classes and len(seen) < 2) or (not classes and np.ptp(y) == 0):
        return Fitted(constant(y, classes, order.weight, order.quantile), {}, cut=False)
    if not classes:
        return (yield from _regressor(order, table, y))
    return (yield from _classifier(order, table, y, shares, None if fewer is None else fewer.odds))


def _counted(order: Order, table: Table, y: NDArray[np.float64]) -> Part:
    """Without the rows of weight 0, whose values would have a say in scales; where none has any weight, all
    count the same.
    """
    weight = order.weight
    if weight is None or weight.all():
        return Part(order, table, y)
    if not weight.any():
        return Part(order._replace(weight=np.ones(len(y))), table, y)
    rows = np.flatnonzero(weight)
    order = _of(order, rows)
    aside = order.aside if order.aside is not None and 0 < order.aside.sum() < len(rows) else None
    return Part(
        order._replace(weight=weight[rows] / weight[rows].mean(), aside=aside), table.take(rows), y[rows]
    )


def _under(order: Order, y: NDArray[np.float64], classes: int) -> Resampled | None:
    """Fewer rows of common classes, where the configuration asks for them; `odds` of all classes, (k,)."""
    if not classes or order.config.get("balance") != "under":
        return None
    seen, codes = np.unique(y, return_inverse=True)
    found = resample("under", codes, order.weight, order.seed)
    if found is None:
        return None
    odds = np.ones(classes)
    odds[seen.astype(np.intp)] = found.odds
    return Resampled(found.rows, odds)


def _of(order: Order, rows: NDArray[np.intp]) -> Order:
    """The order for some of its rows."""
    return order._replace(
        weight=None if order.weight is None else order.weight[rows],
        aside=None if order.aside is None else order.aside[rows],
    )


def _classifier(
    order: Order,
    table: Table,
    y: NDArray[np.float64],
    shares: NDArray[np.float64],
    odds: NDArray[np.float64] | None,
) -> Course:
    """Args: `shares`, (k,), of the classes among all rows, and `odds`, (k,), if these rows are but some."""
    found, codes = np.unique(y, return_inverse=True)
    seen, goal = found.astype(np.intp), codes.astype(np.float64)
    odds = None if odds is None else odds[seen]
    if order.config.get("balance") == "balanced":
        weight, tilt = _balanced(goal, order.weight)
        order, odds = order._replace(weight=weight), odds if order.labels else tilt
    preparation = make_preparation(order.learner.needs, order.config, order.sizes, order.seed)
    X = preparation.fit_transform(table, Target(goal, len(seen)))
    if not X.shape[1]:
        return Fitted(Constant(shares), {}, cut=False)
    if order.config.get("balance") == "over":  # after preparing, so that no row encodes its own repetition
        more = resample("over", codes, order.weight, order.seed)
        if more is not None:
            order, X, goal, odds = _of(order, more.rows), X[more.rows], goal[more.rows], more.odds
    trained = yield Fold(X, goal, _setting(order, len(seen), preparation))
    trust = 1.0 - min(0.05, 1.0 / len(y))
    return Fitted(
        Classifying(preparation, trained.estimator, seen, shares, trust, odds), trained.known, trained.cut
    )


def _balanced(
    codes: NDArray[np.float64], weight: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights with which all classes count the same, halfway in logarithms: (n,), with mean 1; and the odds,
    (m,), that take it back from probabilities.
    """
    before = np.ones(len(codes)) if weight is None else weight
    roots = np.sqrt(np.maximum(np.bincount(codes.astype(np.intp), weights=before), 1e-12))
    after = before / roots[codes.astype(np.intp)]
    return np.asarray(after / after.mean()), roots / roots.max()


def _regressor(order: Order, table: Table, y: NDArray[np.float64]) -> Course:
    log = order.config.get("target") == "log"
    unit = _unit(y, order.weight) if log else 1.0
    values = _log(y, unit) if log else y
    center = _mean(values, order.weight)
    scale = _deviation(values, center, order.weight)
    goal = (values - center) / scale
    preparation = make_preparation(order.learner.needs, order.config, order.sizes, order.seed)
    X = preparation.fit_transform(table, Target(goal, 0))
    if not X.shape[1]:
        return Fitted(constant(y, 0, order.weight, order.quantile), {}, cut=False)
    trained = yield Fold(X, goal, _setting(order, 0, preparation))
    low, high = float(y.min()), float(y.max())
    margin = _BEYOND * (high / 2 - low / 2) * 2
    bounds = (low - margin, high + margin)
    fitted = Regressing(preparation, trained.estimator, center, scale, *bounds, log, unit)
    return Fitted(fitted, trained.known, trained.cut)


def _setting(order: Order, classes: int, preparation: Preparation) -> Setting:
    return Setting(
        classes,
        order.seed,
        order.deadline,
        tuple(preparation.categorical),
        dict(order.known),
        order.folds,
        order.weight,
        order.aside,
        order.quantile,
    )


def _unit(y: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
    """The size of a typical value: below it the logarithm is nearly a straight line."""
    there = y != 0
    return _quantile(np.abs(y[there]), 0.1, None if weight is None else weight[there]) if there.any() else 1.0


def _log(y: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
    return np.asarray(np.sign(y) * np.log1p(np.abs(y) / unit))


def _unlog(values: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * np.expm1(np.minimum(np.abs(values), 700.0)) * unit)


def _mean(y: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> float:
    """The mean, also where the sum would overflow."""
    if weight is None:
        return float((y / len(y)).sum())
    return float((y * (weight / weight.sum())).sum())


def _deviation(y: NDArray[np.float64], center: float, weight: NDArray[np.float64] | None = None) -> float:
    largest = float(np.abs(y - center).max())
    spread = float(np.sqrt(np.average(((y - center) / largest) ** 2, weights=weight)))
    return largest * (spread or 1.0)  # 0 where all that differ have next to no weight


def _quantile(y: NDArray[np.float64], quantile: float, weight: NDArray[np.float64] | None) -> float:
    if weight is None:
        return float(np.quantile(y, quantile))
    ordered = np.argsort(y)
    share = np.cumsum(weight[ordered]) / weight.sum()
    place = min(int(np.searchsorted(share, quantile)), len(y) - 1)
    return float(y[ordered[place]])
