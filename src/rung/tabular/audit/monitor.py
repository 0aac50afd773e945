"""A model in use: drift of what comes in, drift of what it predicts, decay of its score; whether to refit.

The score then is that of the predictions out of fold that the model file keeps; the score now is that of the
model on the new rows. Both have a bootstrap interval (Efron and Tibshirani, "An introduction to the
bootstrap", 1993, chapter 13: percentiles), and so has their difference: there is decay if it lies wholly on
the bad side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.audit.distance import Distance, levels_apart, numbers_apart
from rung.tabular.audit.drift import DriftReport, drift_from_profile
from rung.tabular.audit.finding import TABLE, quoted, rows, share
from rung.tabular.audit.profile import summarise_numbers
from rung.tabular.evaluate import quietly
from rung.tabular.explain.scores import FEW_UNKNOWN, determined, strange, strangers, trained_on
from rung.tabular.frames import as_pandas
from rung.tabular.metrics import Metric, get_metric
from rung.tabular.names import listed
from rung.tabular.request import weights_in
from rung.tabular.unseen import predict_as_unseen

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.frames import Frame
    from rung.tabular.model import Model
    from rung.tabular.task import Task

Tell = Callable[[str], None]
_RESAMPLES: Final = 500
_MOST: Final = 20_000  # rows of a resample
_FEWEST: Final = 30  # rows with a target that a score is worth looking at
_LEARNED: Final = 5  # rows of classes that the model does not know, for it to be fitted anew because of them


@dataclass(frozen=True, slots=True)
class Score:
    """A metric with its 95 % bootstrap interval, on `rows` rows."""

    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True)
class Decay:
    """The score then and now.

    Attributes:
        change: the interval (95 %) of now minus then.
        worse: whether it lies wholly on the bad side.
    """

    metric: str
    then: Score
    now: Score
    change: tuple[float, float]
    worse: bool


class Unknown(NamedTuple):
    """The classes that the model does not know and never says.

    Attributes:
        rows: of how many rows they are.
        labelled: how many rows have a target.
        classes: the most frequent one first.
    """

    rows: int = 0
    labelled: int = 0
    classes: tuple[str, ...] = ()

    @property
    def many(self) -> bool:
        """Whether the model should learn them: 5 rows or more, and over 1 %."""
        return self.rows >= _LEARNED and self.rows > FEW_UNKNOWN * self.labelled


_NONE_UNKNOWN: Final = Unknown()
_THE_SAME: Final = (
    "Nothing can be told: the model was fitted on these very rows, so that its predictions of them are too "
    "good; take new rows."
)


@dataclass(frozen=True)
class Watch:
    """What `watch` found.

    Attributes:
        drift: of the columns; None if the model holds no profile.
        predictions: how far the predicted scores are from those out of fold, both from as few models (see
            `predict_as_unseen`); None if the model holds none.
        target: the same of the target; None if the table does not have it.
        decay: None without a target, with too few rows that have it, or where all of them have the same.
        refit: whether to.
        verdict: one sentence that says so, and why; of the training table itself, that it tells nothing.
        notes: what could not be looked at, and why.
        unknown: rows of classes that the model does not know; they are left out of the score.
    """

    rows: int
    drift: DriftReport | None
    predictions: Distance | None
    target: Distance | None
    decay: Decay | None
    refit: bool
    verdict: str
    notes: list[str]
    unknown: Unknown = _NONE_UNKNOWN

    @property
    def drifted(self) -> bool:
        """Whether anything drifted much, many rows are of classes that the model does not know, or the score
        fell.
        """
        columns = self.drift is not None and self.drift.drifted
        scores = any(one is not None and one.level == 2 for one in (self.predictions, self.target))
        return columns or scores or self.unknown.many or (self.decay is not None and self.decay.worse)


def watch(model: Model, frame: Frame, tell: Tell | None = None) -> Watch:
    """Look at new rows, with or without the target.

    Raises:
        DataError: a column that the model reads is missing, or the target holds a word where the model
            predicts numbers.
    """
    tell, frame = tell or (lambda text: None), as_pandas(frame)
    notes: list[str] = []
    profile = getattr(model, "profile", None)
    tell("predictions")
    with quietly():
        raw = model.raw(frame)
    drift = None
    if profile is None:
        notes.append(
            "the model file holds no profile of its training table: fit it again to see columns drift"
        )
    else:
        drift = drift_from_profile(frame, profile, tell)
        notes += drift.notes
    predictions = target = decay = None
    unknown = _unknown(model, frame, notes)
    if model.evidence is None:
        notes.append("the model file holds no predictions out of fold: nothing to compare new ones with")
    else:
        tell("scores")
        with quietly():
            alike = predict_as_unseen(model, frame)
        predictions = _scores_apart(model, model.evidence.prediction, alike)
        target, decay = _with_target(model, frame, raw, notes)
    if not _moved(drift, None, target) and _is_training_table(model, frame):
        predictions, decay, refit, verdict = None, None, False, _THE_SAME
    else:
        refit, verdict = _verdict(drift, predictions, target, decay, unknown)
    return Watch(len(frame), drift, predictions, target, decay, refit, verdict, notes, unknown)


def _truth(model: Model, frame: pd.DataFrame) -> tuple[pd.Series[Any], NDArray[np.intp]] | None:
    """The target's cells that are not empty, and where they stand; None if the table does not have it."""
    names = [str(name) for name in frame.columns]
    if model.target not in names:
        return None
    column = frame.iloc[:, names.index(model.target)]
    there = np.flatnonzero(column.notna().to_numpy())
    return column.iloc[there], there


def _unknown(model: Model, frame: pd.DataFrame, notes: list[str]) -> Unknown:
    found = _truth(model, frame)
    if found is None:
        return _NONE_UNKNOWN
    truth, _ = found
    if said := strangers(model.task, truth):
        notes.append(
            f"{said}: such rows are left out of the score; correct them if a known class is meant, or fit "
            "the model anew with them"
        )
    others = truth[strange(model.task, truth)].astype(str)
    return Unknown(len(others), len(truth), tuple(others.value_counts().index))


def _is_training_table(model: Model, frame: pd.DataFrame) -> bool:
    found = _truth(model, frame)
    if found is None:
        return False
    truth, there = found
    y = model.task.find(truth) if model.task.is_classification else model.task.encode(truth)
    return trained_on(model, len(frame), there, y)


def _scores_apart(model: Model, then: NDArray[np.float64], now: NDArray[np.float64]) -> Distance:
    """Of values, of the second class's probability, or of the predicted classes of several."""
    if then.ndim == 2 and then.shape[1] > 2:
        classes = then.shape[1]
        counts = [np.bincount(model.codes(x), minlength=classes).astype(np.int64) for x in (then, now)]
        return levels_apart(counts[0], counts[1])
    a, b = (x[:, 1] if x.ndim == 2 else x for x in (then, now))
    old = summarise_numbers(a)
    return numbers_apart(old.counts, old.tally(b))


def _with_target(
    model: Model, frame: pd.DataFrame, raw: NDArray[np.float64], notes: list[str]
) -> tuple[Distance | None, Decay | None]:
    found, evidence = _truth(model, frame), model.evidence
    if found is None or evidence is None:
        notes.append(f"the table has no column {model.target!r}: whether the score fell cannot be told")
        return None, None
    truth, there = found
    known = ~strange(model.task, truth)
    enough = len(truth) >= _FEWEST
    y = model.task.encode(truth[known]) if enough else np.empty(0)
    target = _target_apart(model.task, np.asarray(evidence.y), y, int((~known).sum())) if enough else None
    if known.sum() < _FEWEST:
        which = "a target" if known.all() else "a class that the model knows"
        notes.append(
            f"only {rows(int(known.sum()))} with {which}, and a score needs {_FEWEST}: whether it fell is "
            "not known"
        )
        return target, None
    metric = _metric(model, y, notes)
    if not (determined(metric, y) and determined(metric, np.asarray(evidence.y))):
        notes.append(
            f"the target is the same in all rows that have it, of which {metric.name} tells nothing: whether "
            "it fell is not known"
        )
        return target, None
    judged = there[known]
    then = (np.asarray(evidence.y), model.weighed(evidence.prediction, metric), evidence.weight)
    names = [str(name) for name in frame.columns]
    weight = weights_in(frame, model.weights)[judged] if model.weights in names else None
    return target, _decay(metric, then, (y, model.weighed(raw[judged], metric), weight))


def _target_apart(task: Task, then: NDArray[Any], now: NDArray[Any], unknown: int) -> Distance:
    """Of classes, those that the model does not know are one of their own."""
    if not task.is_classification:
        old = summarise_numbers(then.astype(np.float64))
        return numbers_apart(old.counts, old.tally(now))
    size = len(task.classes)
    old_counts, counts = (np.bincount(y.astype(np.int64), minlength=size) for y in (then, now))
    return levels_apart(np.append(old_counts, 0), np.append(counts, unknown))


def _metric(model: Model, y: NDArray[Any], notes: list[str]) -> Metric:
    """The one that the model was chosen by, or the task's usual one where that is the user's function or is
    not defined of these true values.
    """
    name = model.notes.get("metric")
    try:
        metric = get_metric(name, model.task)
        metric.check(y, model.target)
        return metric
    except DataError:
        usual = get_metric(None, model.task)
        notes.append(
            f"the metric {name!r} is not known here, or not defined of such a target: {usual.name} is "
            "compared instead"
        )
        return usual


_Judged = tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64] | None]


def _decay(metric: Metric, then: _Judged, now: _Judged) -> Decay:
    values = [metric.score(y, prediction, weight) for y, prediction, weight in (then, now)]
    spreads = [_resampled(metric, *then, seed=0), _resampled(metric, *now, seed=1)]
    scores = [
        Score(value, *_interval(spread), len(part[0]))
        for value, spread, part in zip(values, spreads, (then, now), strict=True)
    ]
    low, high = _interval(spreads[1] - spreads[0])
    worse = high < 0 if metric.greater_is_better else low > 0
    return Decay(metric.name, scores[0], scores[1], (low, high), bool(worse))


def _resampled(
    metric: Metric,
    y: NDArray[Any],
    prediction: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
    seed: int,
) -> NDArray[np.float64]:
    """(500,) scores of rows drawn with replacement; of long tables fewer rows are drawn, and the deviations
    from the mean made smaller by as much as that makes them larger. NaN where the rows drawn tell nothing.
    """
    rng = np.random.default_rng(seed)
    size = min(len(y), _MOST)
    scores = np.empty(_RESAMPLES)
    for i in range(_RESAMPLES):
        drawn = rng.integers(len(y), size=size)
        told, of_drawn = determined(metric, y[drawn]), None if weight is None else weight[drawn]
        scores[i] = metric.score(y[drawn], prediction[drawn], of_drawn) if told else np.nan
    middle = np.nanmean(scores)
    return np.asarray(middle + (scores - middle) * np.sqrt(size / len(y)))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def _verdict(
    drift: DriftReport | None,
    predictions: Distance | None,
    target: Distance | None,
    decay: Decay | None,
    unknown: Unknown,
) -> tuple[bool, str]:
    """Whether to refit, in one sentence."""
    moved = _moved(drift, predictions, target)
    if unknown.many:
        return True, f"Refit with the new rows: {_of_unknown(unknown)}{f'; {moved}' if moved else ''}."
    if decay is not None:
        return _by_decay(decay, moved)
    if drift is None and predictions is None:
        return (
            False,
            "Nothing can be told: the model file holds neither a profile nor predictions out of fold.",
        )
    if moved:
        return True, f"Refit once the new rows have their target: {moved}."
    return False, "No need to refit: nothing has drifted much."


def _by_decay(decay: Decay, moved: str) -> tuple[bool, str]:
    now = f"{decay.metric} is {decay.now.value:.4g} ({decay.now.low:.4g} to {decay.now.high:.4g})"
    then = f"was {decay.then.value:.4g} at validation"
    if decay.worse:
        because = f", and {moved}" if moved else ""
        return True, f"Refit with the new rows: {now} and {then}{because}."
    if moved:
        return False, f"No need to refit yet: {moved}, but {now} and {then}; look again soon."
    return False, f"No need to refit: {now} and {then}, and nothing has drifted much."


def _of_unknown(unknown: Unknown) -> str:
    one = len(unknown.classes) == 1
    return (
        f"{rows(unknown.rows)} of {unknown.labelled:,} ({share(unknown.rows / unknown.labelled)}) are of "
        f"{'the class' if one else 'classes'} {quoted(unknown.classes)}, which the model does not know"
    )


def _moved(drift: DriftReport | None, predictions: Distance | None, target: Distance | None) -> str:
    """What drifted much, as a clause; empty if nothing did."""
    parts = []
    if drift is not None:
        subjects = dict.fromkeys(one.subject for one in drift.findings if one.severity != "note")
        names = [subject for subject in subjects if subject != TABLE]
        if names:
            parts.append(f"{listed(names, 'and', 4)} {'has' if len(names) == 1 else 'have'} drifted")
        elif subjects:
            parts.append("the columns have drifted together, though none by itself")
    if predictions is not None and predictions.level == 2:
        parts.append(f"the predictions have drifted (PSI {predictions.psi:.2f})")
    if target is not None and target.level == 2:
        parts.append(f"the target has drifted (PSI {target.psi:.2f})")
    return listed(parts, "and") if parts else ""
