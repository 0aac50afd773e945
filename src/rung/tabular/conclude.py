"""The end of a fit: ensemble, last fits, and what is told about them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.giveaway import giveaway_notes, nearly_perfect
from rung.tabular.audit.profile import make_profile
from rung.tabular.baselines import constant_prediction
from rung.tabular.deadline import Deadline
from rung.tabular.decide import fit_factors, fit_intercepts, fit_shift, fit_temperature, sure_by
from rung.tabular.evaluate import TOO_LONG, Saved
from rung.tabular.finish import Ensemble, as_kept, choose, choose_quick, last_fit, parts_of, too_good
from rung.tabular.members import Last, seconds_of_refits
from rung.tabular.model import Evidence, Member, Model
from rung.tabular.ready import Ready
from rung.tabular.repeat import MOST, NOTHING, Repeated, repeat
from rung.tabular.request import Request
from rung.tabular.result import FitResult, Held, Progress, Row
from rung.tabular.search import PATIENCE, Search
from rung.tabular.unseen import Folds
from rung.trials.events import Failure, JobFailed, Reported, SessionStarted

if TYPE_CHECKING:
    import pandas as pd

_RESERVE = 0.2  # seconds before the end by which the last fits must be done, and
_SHARE = 0.03  # of the budget
_REPEATING = 0.4  # of a small budget, for further cross-validations
_DECIDING = 0.03  # of the budget for the classes' factors, at least
_LOOKING = 0.02  # of the budget for columns that give the target away, where the score is nearly perfect
_MANY = 0.99  # of the rows being groups of their own, there is nothing to tell


class Asked(NamedTuple):
    """What the fit was called with, when it began (monotonic), and how many threads it may use.

    Attributes:
        certain: what is done follows from the plan, not from the clock (on an ordinary machine).
    """

    target: str
    request: Request
    budget: float
    began: float
    threads: int = 1
    certain: bool = False

    def unhurried(self, deadline: Deadline) -> Deadline:
        """The deadline, with room for a busy machine where the clock is not to decide."""
        return deadline.earlier(-PATIENCE) if self.certain else deadline


def conclude(
    search: Search,
    data: Ready,
    frame: pd.DataFrame,
    asked: Asked,
    end: Deadline,
    baseline: NDArray[np.float64] | None,
) -> FitResult:
    """From a search that is over to its result."""
    dataset, study = data.dataset, search.study
    saved = search.saved()
    half = asked.unhurried(end.share(2))
    ensemble = choose_quick(search, saved, half, asked.request.predict_time)
    by = end.earlier(_RESERVE + _SHARE * asked.budget)
    refits = seconds_of_refits(search, [one for _, one in ensemble.members]) / asked.threads
    again = _again(search, ensemble, asked, by.earlier(refits))
    if again.times:
        ensemble = choose(dataset, again.saved, asked.unhurried(by))
    last = Last(asked.unhurried(by), asked.threads, asked.request.refit)
    members = last_fit(search, ensemble, last, asked.request.predict_time, again.pipelines)
    if again.times:
        ensemble, members = as_kept(search, ensemble, members, again.each)
    model = _model(data, frame, asked, members, search, ensemble, end)
    y, weight = dataset.y[ensemble.valid], dataset.weights(ensemble.valid)
    judge = dataset.judge
    prediction = model.whole(ensemble.prediction)
    constant = constant_prediction(dataset, len(y))
    valid = len(y) > 0
    score = judge.score(y, model.weighed(prediction, judge), weight) if valid else float("nan")
    usual = judge.score(y, constant, weight) if valid else float("nan")
    notes = _notes(data, model, again.times, asked.request.splitting())
    if nearly_perfect(judge, score, usual):
        limit = asked.unhurried(end.within(_LOOKING * asked.budget))
        notes += giveaway_notes(frame.iloc[data.train], data.columns, dataset.y, data.task, limit)
    return FitResult(
        model=model,
        leaderboard=_leaderboard(search, saved, _weights(search, ensemble, members)),
        task=data.task,
        metric=judge,
        columns=data.columns,
        study=study.name,
        score=score,
        constant=usual,
        y=y,
        prediction=prediction,
        valid=data.train[ensemble.valid],
        rows=len(frame),
        folds=dataset.split.number,
        trials=len(study.history),
        failed=len(study.history) - len(saved),
        progress=_progress(search, asked.began),
        held=_score_held(data, frame, model, baseline),
        seconds=time.monotonic() - asked.began,
        budget=asked.budget,
        notes=notes,
        optimism=too_good(dataset, saved, ensemble, by, factored=model.factors is not None),
        weight=weight,
        failures=_failures(search),
        limit=asked.request.trials,
        unseen=_unseen(search, ensemble),
    )


def _unseen(search: Search, ensemble: Ensemble) -> Folds | None:
    trials = [(search.config(one.trial), one.trial) for one in parts_of(ensemble) if one.trial >= 0]
    fold = search.dataset.split.folds[ensemble.valid].astype(np.intp)
    return Folds(search.study.folder, fold, trials) if trials and len(fold) else None


def _failures(search: Search) -> dict[str, int]:
    """Why trials have no value: the first line of each reason, and how often."""
    found: dict[str, int] = {}
    for event in search.study.events():
        if isinstance(event, JobFailed) and event.failure != Failure.INTERRUPTED:
            reason = (event.message or str(event.failure)).strip().splitlines()[-1][:200]
            if "rung.Stopped" in reason or TOO_LONG in reason:  # how trials say that they would be late
                reason = TOO_LONG
            found[reason] = found.get(reason, 0) + 1
    return found


def _again(search: Search, ensemble: Ensemble, asked: Asked, deadline: Deadline) -> Repeated:
    """Cross-validation of the members once more, where there is time, and the folds are not the user's."""
    if deadline.hurry.begun or asked.request.refit or asked.request.splitting()[0] == "folds":
        return NOTHING
    members = [(one, search.config(one.trial)) for _, one in ensemble.members if one.trial >= 0]
    most = MOST
    if asked.certain:
        one = sum(search.seconds(config) for _, config in members)
        threads = asked.threads if asked.request.trials is None else 1  # the same on any machine
        most = int(_REPEATING * asked.budget * threads / max(one, 1e-9))
    return repeat(search.dataset, members, asked.threads, asked.unhurried(deadline), most)


def _notes(data: Ready, model: Model, repeated: int, way: tuple[str, str | None]) -> list[str]:
    notes = [data.task.why, *data.notes]
    if repeated:
        notes.append(f"members were cross-validated {repeated + 1} times, with other folds each time")
    split = data.dataset.split
    if split.moments is not None:
        notes.append("each fold is trained on earlier rows only, and the last fit is on all of them")
    elif way[0] == "folds":
        notes.append(f"rows are held out as column {way[1]!r} says: {split.number} folds")
    elif split.groups is not None:
        notes += _together(split.groups)
    notes += model.unlisted()
    return notes + _decided(model)


def _decided(model: Model) -> list[str]:
    """What is done to what the members say together."""
    notes = []
    if f"{model.temperature:.2f}" != "1.00":
        notes.append(f"probabilities are calibrated by a temperature of {model.temperature:.2f}")
    notes += _moved(model)
    if model.shift:
        notes.append(
            f"{model.shift:+.3g} is added, so that {model.task.quantile:.4g} of the rows held out lie below"
        )
    if model.threshold is not None:
        notes.append(f"{model.task.classes[1]!s} is said from a probability of {model.threshold:.3f} up")
    elif model.factors is not None:
        notes.append("each class has a factor before the largest is said, so that the metric is best")
    return notes


def _moved(model: Model) -> list[str]:
    """By how much classes were made more or less probable, where two digits show it."""
    if model.intercepts is None:
        return []
    odds = np.exp(model.intercepts)
    if len(odds) == 2:
        told = f"{odds[1] / odds[0]:.2f}"
        if told == "1.00":
            return []
        return [f"the odds of {model.task.classes[1]!s} are {told} of what the members say, by rows held out"]
    least, most = f"{odds.min():.2f}", f"{odds.max():.2f}"
    if least == most:
        return []
    return [f"classes' odds are {least} to {most} of what the members say, by rows held out"]


def _together(groups: NDArray[np.intp]) -> list[str]:
    """Said where it is asked for, or where many rows are the same."""
    count = len(np.unique(groups))
    if count > _MANY * len(groups):
        return []
    return [f"rows that belong together are held out together: {count:,} groups of {len(groups):,} rows"]


def _model(
    data: Ready,
    frame: pd.DataFrame,
    asked: Asked,
    members: list[Member],
    search: Search,
    ensemble: Ensemble,
    end: Deadline,
) -> Model:
    dataset, valid = data.dataset, ensemble.valid
    notes = {
        "metric": dataset.metric,
        "study": search.study.name,
        "seed": dataset.seed,
        "rows": len(dataset),
        "folds": dataset.split.number,
        "repeats": ensemble.times,
        **({"weights": asked.request.weights} if asked.request.weights else {}),
        **({"split": asked.request.split} if asked.request.splitting()[0] != "random" else {}),
    }
    model = Model(data.task, data.encoder, members, asked.target, notes)
    model.profile = make_profile(frame.iloc[data.train], data.columns)
    if not len(valid):
        return model
    y, prediction, weight = dataset.y[valid], ensemble.prediction, dataset.weights(valid)
    if dataset.classes:
        judge = sure_by(dataset.judge, dataset.classes)
        model.temperature = fit_temperature(prediction, y, judge, weight)
        if dataset.judge.needs != "labels":  # which would become others
            model.intercepts = fit_intercepts(model.whole(prediction), y, judge, weight)
        prediction = model.whole(prediction)
        limit = asked.unhurried(end.within(max(end.remaining, _DECIDING * asked.budget)))
        model.factors = fit_factors(prediction, y, dataset.judge, weight, dataset.seed, limit)
    elif dataset.quantile is not None:
        model.shift = fit_shift(y - prediction, dataset.quantile, weight)
        prediction = model.whole(prediction)
    split = dataset.split
    folded = split.number > 1 and split.moments is None and ensemble.times == 1
    fold = split.folds[valid].astype(np.intp) if folded else None
    model.evidence = Evidence(data.train[valid], y, prediction, weight, fold)
    return model


def _weights(search: Search, ensemble: Ensemble, members: Sequence[Member]) -> dict[int, float]:
    """By trial, those that the model has in the end: slow members may have been left out."""
    found: dict[int, float] = {}
    counted: list[dict[str, Any]] = []
    for trial in (one.trial for _, one in ensemble.members if one.trial >= 0):
        config = search.config(trial)
        if config not in counted:  # its folds' models and that of all rows are members of their own
            found[trial] = sum(member.weight for member in members if member.config == config)
            counted.append(config)
    return found


def _leaderboard(search: Search, saved: Sequence[Saved], weights: Mapping[int, float]) -> list[Row]:
    """All trials with a value: those with the most rows first, and among them the best."""
    sign = -1.0 if search.dataset.judge.greater_is_better else 1.0
    ordered = sorted(saved, key=lambda one: (-one.rows, sign * one.score, one.trial))
    rows = []
    for rank, one in enumerate(ordered, 1):
        config = search.config(one.trial)
        weight = weights.get(one.trial, 0.0)
        rows.append(Row(rank, one.trial, config["learner"], one.score, one.rows, one.seconds, weight, config))
    return rows


def _progress(search: Search, began: float) -> list[Progress]:
    """The best score so far at each moment when it rose, in seconds of this and of earlier sessions."""
    sign = -1.0 if search.dataset.judge.greater_is_better else 1.0
    metric = search.dataset.metric
    first: float | None = None
    best, found = np.inf, []
    for event in search.study.events():
        if isinstance(event, SessionStarted) and first is None:
            first = event.time
        if isinstance(event, Reported) and first is not None:
            value = float(event.metrics[metric])
            if sign * value < best:
                best = sign * value
                found.append(Progress(event.time - first, value))
    return found


def _score_held(
    data: Ready, frame: pd.DataFrame, model: Model, baseline: NDArray[np.float64] | None
) -> Held | None:
    if not len(data.test):
        return None
    rows = frame.iloc[data.test]
    y: NDArray[Any] = data.task.encode(rows[model.target])
    judge, weight = data.dataset.judge, data.test_weight()
    prediction = model.raw(rows)
    constant = judge.score(y, constant_prediction(data.dataset, len(y)), weight)
    plain = None if baseline is None else judge.score(y, baseline, weight)
    score = judge.score(y, model.weighed(prediction, judge), weight)
    return Held(data.test, y, prediction, score, constant, plain, weight)
