"""Conformal prediction: intervals and sets that hold the truth as often as asked, whatever the model is.

Nothing is fitted: all comes from the predictions out of fold that a model keeps (`Model.evidence`).

Sources: Vovk, Gammerman, Shafer (2005), "Algorithmic Learning in a Random World"; Barber, Candès, Ramdas,
Tibshirani (2021), "Predictive inference with the jackknife+" (section 3, CV+); Sadinle, Lei, Wasserman
(2019), "Least ambiguous set-valued classifiers with bounded error levels" (LAC); Romano, Sesia, Candès
(2020), "Classification with valid and adaptive coverage" (APS).

What coverage means: over many new rows that come from where the training rows came from (exchangeable), the
share of intervals that hold the truth is `coverage` or a little more. It is no promise for one group of rows,
nor after a change of the world. Two liberties are taken, and both are small: the ensemble's weights were
chosen on the evidence, and after a holdout its members were fitted again on all rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError

if TYPE_CHECKING:
    from rung.tabular.frames import Frame
    from rung.tabular.model import Evidence, Member, Model
    from rung.tabular.task import Label

Floats = NDArray[np.float64]
SET_METHODS: Final = ("lac", "aps")
_BLOCK: Final = 4_000_000  # cells of a matrix of rows by evidence that are held at once
_TIE: Final = 1e-6  # scores nearer than that are the same: evidence comes from probabilities in 32 bits


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals of values.

    Attributes:
        prediction, low, high: (n,).
        note: one sentence where the intervals are infinite, else empty.
    """

    prediction: Floats
    low: Floats
    high: Floats
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets of classes.

    Attributes:
        prediction: (n, k) probabilities.
        member: (n, k) whether the class is in the row's set; no set is empty.
        classes: (k,) their labels.
        note: one sentence where all sets hold all classes for want of evidence, else empty.
    """

    prediction: Floats
    member: NDArray[np.bool_]
    classes: tuple[Label, ...]
    note: str = ""

    def labels(self) -> list[list[Label]]:
        """Each row's labels."""
        return [[self.classes[k] for k in np.flatnonzero(row)] for row in self.member]


def predict_interval(model: Model, frame: Frame, coverage: float = 0.9) -> Intervals:
    """Intervals that hold the true values of `coverage` of such rows.

    After one cross-validation, where each configuration keeps one pipeline for each fold, these are the
    intervals of CV+, of which Barber et al. prove 1 - 2a - sqrt(2/n) at a = 1 - coverage, and see about
    1 - a. Otherwise the ensemble's prediction plus and minus one quantile of the absolute residuals: after a
    holdout or a split by time, where rows have weights, where only a model of all rows is left of a
    configuration, and after several cross-validations, whose predictions' mean the residuals are of.

    Raises:
        DataError: the model predicts classes or keeps no evidence, `coverage` is not between 0 and 1, or a
            column is missing.
    """
    _check(coverage)
    if model.task.is_classification:
        raise DataError("this model predicts classes, which have no intervals: ask for sets of classes")
    evidence = _evidence(model)
    prediction = model.raw(frame)
    residuals = np.abs(np.asarray(evidence.y, dtype=np.float64) - evidence.prediction)
    fold = evidence.fold if evidence.weight is None and len(prediction) else None
    folded = None if fold is None else fold_predictions(model, frame)
    if folded is None:
        reach = conformal_quantile(residuals, coverage, evidence.weight)
        low, high = prediction - reach, prediction + reach
    else:
        low, high = cv_plus(folded, residuals, np.asarray(fold, dtype=np.intp), coverage)
    return Intervals(prediction, low, high, _shortage(len(residuals), coverage, "intervals are infinite"))


def predict_set(
    model: Model, frame: Frame, coverage: float = 0.9, method: str = "lac", *, by_class: bool = False
) -> Sets:
    """Sets that hold the true classes of `coverage` of such rows.

    Args:
        method: "lac", the smallest sets on average, or "aps", which are larger where the model is unsure, so
            that hard rows are covered nearly as often as easy ones.
        by_class: the coverage holds within each true class (LAC with a threshold for each, Sadinle et al.,
            section 2); a class with too few rows of evidence is then in every set.

    Raises:
        DataError: the model predicts values or keeps no evidence, or an argument is none of those allowed.
    """
    _check(coverage)
    if not model.task.is_classification:
        raise DataError("this model predicts numbers, which have no sets: ask for intervals")
    if method not in SET_METHODS:
        raise DataError(f"there is no way {method!r} to make sets: it is lac or aps")
    if by_class and method != "lac":
        raise DataError("coverage by class is there for lac only: leave one of the two out")
    evidence = _evidence(model)
    proba, y = np.asarray(evidence.prediction), np.asarray(evidence.y, dtype=np.intp)
    scores = set_scores(proba, method)[np.arange(len(y)), y]
    new = model.raw(frame)
    bounds = _bounds(scores, y, coverage, evidence.weight, new.shape[1] if by_class else 0)
    member = set_scores(new, method) <= bounds + _TIE
    member[np.arange(len(new)), model.codes(new)] = True  # an empty set would help nobody
    return Sets(new, member, model.task.classes, _shortage(len(y), coverage, "sets hold all classes"))


def conformal_quantile(scores: Floats, coverage: float, weight: Floats | None = None) -> float:
    """The ceil(coverage * (n + 1))-th smallest score; infinite where n is too small for it.

    Args:
        weight: (n,) of the scores; a new row then weighs as much as their mean (Tibshirani et al. 2019).
    """
    order = np.argsort(scores, kind="stable")
    if weight is None:
        rank = rank_of(coverage, len(scores))
        return float(scores[order[rank - 1]]) if rank <= len(scores) else float("inf")
    share = np.cumsum(weight[order]) / (weight.sum() + weight.mean())
    place = int(np.searchsorted(share, coverage - 1e-12))
    return float(scores[order[place]]) if place < len(scores) else float("inf")


def rank_of(coverage: float, rows: int) -> int:
    """ceil(coverage * (rows + 1)), without the error of a floating product such as 0.9 * 10."""
    return max(1, int(np.ceil(round(coverage * (rows + 1), 9))))


def cv_plus(
    folded: Floats, residuals: Floats, fold: NDArray[np.intp], coverage: float
) -> tuple[Floats, Floats]:
    """Lower and upper ends, each (n,), of CV+ (Barber et al. 2021, equation 11).

    Args:
        folded: (K, n) predictions of the models that did not see fold 0 ... K - 1.
        residuals: (m,) absolute, out of fold.
        fold: (m,) in which fold each of them lay.
    """
    n, m = folded.shape[1], len(residuals)
    rank = rank_of(coverage, m)
    if rank > m:
        return np.full(n, -np.inf), np.full(n, np.inf)
    low, high = np.empty(n), np.empty(n)
    step = max(1, _BLOCK // m)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        center = folded[:, rows].T[:, fold]  # (step, m)
        high[rows] = np.partition(center + residuals, rank - 1, axis=1)[:, rank - 1]
        low[rows] = np.partition(center - residuals, m - rank, axis=1)[:, m - rank]
    return low, high


def fold_predictions(model: Model, frame: Frame) -> Floats | None:
    """What the ensemble would predict had it only the pipelines that did not see fold k: (K, n).

    None where the members are not all of the cross-validation's K pipelines (or a constant). For a model of
    all rows, which has seen each of them, the folds' models of its configuration stand.
    """
    folds = int(model.notes.get("folds", 0) or 0)
    members = _with_folds(model, folds)
    if folds < 2 or members is None:
        return None
    table = model.encoder.transform(frame)
    total = np.zeros((folds, len(table)))
    for weight, member in members:
        each = [pipeline.predict(table) for pipeline in member.pipelines]
        total += weight * np.asarray(each if len(each) == folds else each * folds)
    return total + model.shift


def _with_folds(model: Model, folds: int) -> list[tuple[float, Member]] | None:
    """The members that have a pipeline for each fold, with the weights of those that they stand for; None
    where one has no such to stand for it.
    """
    found = [(m.weight, m) for m in model.members if len(m.pipelines) == folds or m.name == "constant"]
    for other in model.members:
        if any(other is member for _, member in found):
            continue
        place = next((i for i, (_, m) in enumerate(found) if m.config and m.config == other.config), None)
        if place is None:
            return None
        found[place] = (found[place][0] + other.weight, found[place][1])
    return found


def set_scores(proba: Floats, method: str) -> Floats:
    """How odd each class would be as the truth, 0 to 1: (n, k).

    LAC: one minus its probability. APS: the probability of all classes that are more probable, and half of
    its own (Romano et al. 2020, equation 6, with the mean in place of their random u: sets are always the
    same). All of its own would make each row's least probable class equally odd, 1, so that of two classes
    a model that is wrong more often than allowed would say both of every row.
    """
    if method == "lac":
        return np.asarray(1.0 - proba)
    order = np.argsort(-proba, axis=1, kind="stable")
    ordered = np.take_along_axis(proba, order, axis=1)
    scores = np.empty_like(ordered)
    np.put_along_axis(scores, order, np.cumsum(ordered, axis=1) - ordered / 2, axis=1)
    return scores


def _bounds(
    scores: Floats, y: NDArray[np.intp], coverage: float, weight: Floats | None, classes: int
) -> Floats:
    """The largest score that a class in a set may have: one for all (), or one for each class (k,)."""
    if not classes:
        return np.asarray(conformal_quantile(scores, coverage, weight))
    chosen = [np.flatnonzero(y == k) for k in range(classes)]
    each = [
        conformal_quantile(scores[rows], coverage, None if weight is None else weight[rows])
        if len(rows)
        else np.inf
        for rows in chosen
    ]
    return np.asarray(each, dtype=np.float64)


def _check(coverage: Any) -> None:
    if not 0 < coverage < 1:
        raise DataError(f"a coverage of {coverage:g} is not between 0 and 1: ask for 0.9, say, or 90%")


def _evidence(model: Model) -> Evidence:
    """Rows without weight say nothing: they are no rows of evidence, and no new row weighs as little."""
    evidence = model.evidence
    if evidence is not None and evidence.weight is not None and not (evidence.weight > 0).all():
        evidence = _of_rows(evidence, np.flatnonzero(evidence.weight > 0))
    if evidence is None or not len(evidence.y):
        raise DataError(
            "this model keeps no predictions for rows that it had not seen, from which intervals and sets "
            "come: fit it anew with this version of rung, on more rows or with more time"
        )
    return evidence


def _of_rows(evidence: Evidence, rows: NDArray[np.intp]) -> Evidence:
    weight, fold = evidence.weight, evidence.fold
    return replace(
        evidence,
        rows=evidence.rows[rows],
        y=evidence.y[rows],
        prediction=evidence.prediction[rows],
        weight=None if weight is None else weight[rows],
        fold=None if fold is None else fold[rows],
    )


def _shortage(rows: int, coverage: float, what: str) -> str:
    if rank_of(coverage, rows) <= rows:
        return ""
    needed = int(np.ceil(round(coverage / (1 - coverage), 9)))
    return (
        f"{what}, because {rows} rows of evidence are too few for a coverage of {coverage:.4g}: "
        f"it takes {needed:,}, or ask for {np.floor(100 * rows / (rows + 1)) / 100:g} or less"
    )
