"""`fit_table`: from a frame and a budget to a model. The whole way, in one file.

columns, task ──▶ arrays ──▶ split ──▶ study ──▶ ensemble ──▶ last fit ──▶ model
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.errors import StudyError
from rung.storage import open_storage
from rung.study.opening import stored_identity
from rung.tabular.baselines import constant_prediction, lightgbm_prediction
from rung.tabular.columns import Column, infer_columns
from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Encoder, encode
from rung.tabular.finish import Ensemble, choose, last_fit
from rung.tabular.metrics import get_metric
from rung.tabular.model import Evidence, Member, Model
from rung.tabular.plan import Plan, Scheme, make_scheme
from rung.tabular.result import FitResult, Held, Progress, Row
from rung.tabular.search import Opening, Search, Watch
from rung.tabular.splits import make_split
from rung.tabular.task import Task, guess_task
from rung.trials.events import Reported, SessionStarted

if TYPE_CHECKING:
    import pandas as pd

    from rung.storage.base import Storage

_SLACK = 1.0  # seconds beyond a tiny budget that a search may take, so that there is a model


class _Data(NamedTuple):
    """The frame, made ready."""

    task: Task
    columns: tuple[Column, ...]
    encoder: Encoder
    dataset: Dataset
    train: NDArray[np.intp]
    test: NDArray[np.intp]
    scheme: Scheme


def fit_table(  # noqa: PLR0913  # a door
    frame: pd.DataFrame,
    target: str,
    *,
    budget: float = 60.0,
    task: str | None = None,
    metric: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    storage: str | Storage = "memory",
    study: str | None = None,
    watch: Watch | None = None,
    started: float | None = None,
    holdout: float | None = None,
    reserve: float = 0.0,
) -> FitResult:
    """Search for the best model for column `target` within `budget` seconds.

    The same storage and study name go on with the trials that are there.

    Args:
        frame: rows with an empty target must be gone (`check_target` removes them).
        task: "binary", "multiclass" or "regression"; guessed unless given.
        metric: see `METRICS`; the task's default unless given.
        workers: processes that evaluate, at least 1; all cores unless given.
        watch: called with the study and each batch of logged events.
        started: monotonic time from which the budget counts; now unless given.
        holdout: share of the rows, 0 to 1, that are kept out of everything, and scored in the end.
        reserve: seconds of the budget that the caller needs afterwards (to save, to report).

    Raises:
        DataError: the table, the target or the metric cannot be used.
        StudyError: the study exists with another table or other settings, or `workers` is below 1.
    """
    if workers is not None and workers < 1:
        raise StudyError(f"workers must be at least 1, not {workers!r}; leave it out for all cores")
    began = time.monotonic() if started is None else started
    kept = open_storage(storage) if isinstance(storage, str) else storage
    count = workers or _cores()
    data = _ready(frame, target, (task, metric), seed, holdout, _scheme_of(kept, study, budget, count))
    facts = _facts(data, target, holdout)
    search = Search(data.dataset, Opening(kept, study, facts, data.task.kind, data.scheme))
    try:
        plan = search.plan(budget, count)
        end = Deadline.after(budget - reserve, began)
        if plan.certain or end.remaining < _SLACK:  # imports must not use all of it up
            end = Deadline.after(budget + _SLACK, began)
        last = _last_part(data, plan, end.remaining)
        with ThreadPoolExecutor(1) as aside:
            inline = plan.workers == 1
            by = end.earlier(0.7 * end.remaining) if inline else end.earlier(last)
            baseline = aside.submit(_lightgbm_baseline, data, frame, by)
            if inline:
                baseline.result()
            search.run(plan, end.earlier(last), watch)
        with np.errstate(all="ignore"):  # a metric of values near the largest float may overflow
            return _conclude(search, data, frame, (target, budget, began), end, baseline.result())
    finally:
        search.study.close()


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


SchemeOf = Any


def _scheme_of(storage: Storage, name: str | None, budget: float, workers: int) -> SchemeOf:
    """How the data is laid out: as the stored study has it, else as the budget asks."""
    if name is not None and storage.find(name) is not None:
        stored = stored_identity(storage, name).task.get("scheme")
        if isinstance(stored, Mapping):
            return lambda *_: Scheme(**stored)
    return lambda rows, width, classes: make_scheme(rows, width, classes, budget, workers)


def _ready(
    frame: pd.DataFrame,
    target: str,
    asked: tuple[str | None, str | None],
    seed: int,
    holdout: float | None,
    scheme_of: SchemeOf,
) -> _Data:
    task = guess_task(frame[target], asked[0])
    judge = get_metric(asked[1], task)
    y = task.encode(frame[target])
    classes = len(task.classes)
    train, test = _held_out(y, classes, holdout, seed)
    rows = frame if not len(test) else frame.iloc[train]
    columns = infer_columns(rows, target)
    encoder, table = encode(rows, columns)
    width = table.numbers.shape[1] + sum(min(x, 4) for x in encoder.sizes)
    scheme = scheme_of(len(train), width, classes)
    split = make_split(y[train], classes, min(scheme.folds, max(1, len(train) // 2)), scheme.share, seed)
    dataset = Dataset(table, y[train], classes, encoder.sizes, split, judge.name, seed)
    return _Data(task, columns, encoder, dataset, train, test, scheme)


def _held_out(
    y: NDArray[Any], classes: int, share: float | None, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if not share:
        return np.arange(len(y)), np.empty(0, dtype=np.intp)
    folds = make_split(y, classes, 1, share, seed + 1).folds
    return np.flatnonzero(folds < 0), np.flatnonzero(folds == 0)


def _facts(data: _Data, target: str, holdout: float | None) -> dict[str, Any]:
    """What makes a table's study this table's study."""
    dataset, scheme = data.dataset, data.scheme
    digest = hashlib.sha256()
    for array in (dataset.table.numbers, dataset.table.codes, dataset.y):
        digest.update(np.ascontiguousarray(array).tobytes())
    return {
        "target": target,
        "kind": data.task.kind,
        "rows": len(dataset),
        "columns": len(data.columns),
        "table": digest.hexdigest()[:16],
        "holdout": holdout or 0.0,
        "scheme": {**vars(scheme), "rungs": dict(scheme.rungs)},
    }


def _last_part(data: _Data, plan: Plan, remaining: float) -> float:
    """Seconds to keep for the ensemble and the last fit."""
    if plan.certain:
        return min(0.3, 0.2 * remaining)
    share = 0.2 if data.dataset.split.number == 1 else 0.05
    return min(0.7 + share * remaining, 0.4 * remaining)


def _lightgbm_baseline(data: _Data, frame: pd.DataFrame, end: Deadline) -> NDArray[np.float64] | None:
    if not len(data.test):
        return None
    test = data.encoder.transform(frame.iloc[data.test])
    return lightgbm_prediction(data.dataset, test, end)


def _conclude(
    search: Search,
    data: _Data,
    frame: pd.DataFrame,
    asked: tuple[str, float, float],
    end: Deadline,
    baseline: NDArray[np.float64] | None,
) -> FitResult:
    target, budget, began = asked
    saved = search.saved()
    ensemble = choose(data.dataset, saved, end.earlier(0.5 * end.remaining))
    members = last_fit(search, ensemble, end.earlier(0.2 + 0.03 * budget))
    model = _model(data, target, members, search, ensemble)
    dataset, study = data.dataset, search.study
    y = dataset.y[ensemble.valid]
    history = study.history
    valid = len(ensemble.valid) > 0
    return FitResult(
        model=model,
        leaderboard=_leaderboard(search, saved, ensemble),
        task=data.task,
        metric=dataset.judge,
        columns=data.columns,
        study=study.name,
        score=dataset.judge.score(y, ensemble.prediction) if valid else float("nan"),
        constant=dataset.judge.score(y, constant_prediction(dataset, len(y))) if valid else float("nan"),
        y=y,
        prediction=ensemble.prediction,
        valid=data.train[ensemble.valid],
        rows=len(frame),
        folds=dataset.split.number,
        trials=len(history),
        failed=len(history) - len(saved),
        progress=_progress(search, began),
        held=_score_held(data, frame, model, baseline),
        seconds=time.monotonic() - began,
        budget=budget,
        notes=[data.task.why],
    )


def _model(data: _Data, target: str, members: list[Member], search: Search, ensemble: Ensemble) -> Model:
    notes = {
        "metric": data.dataset.metric,
        "study": search.study.name,
        "seed": data.dataset.seed,
        "rows": len(data.dataset),
        "folds": data.dataset.split.number,
    }
    valid = ensemble.valid
    evidence = Evidence(data.train[valid], data.dataset.y[valid], ensemble.prediction)
    return Model(data.task, data.encoder, members, target, notes, evidence if len(valid) else None)


def _leaderboard(search: Search, saved: Sequence[Any], ensemble: Ensemble) -> list[Row]:
    """All trials with a value: those with the most rows first, and among them the best."""
    weights = {one.trial: weight for weight, one in ensemble.members}
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
    data: _Data, frame: pd.DataFrame, model: Model, baseline: NDArray[np.float64] | None
) -> Held | None:
    if not len(data.test):
        return None
    rows = frame.iloc[data.test]
    y = data.task.encode(rows[model.target])
    judge = data.dataset.judge
    prediction = model.raw(rows)
    constant = judge.score(y, constant_prediction(data.dataset, len(y)))
    plain = None if baseline is None else judge.score(y, baseline)
    return Held(data.test, y, prediction, judge.score(y, prediction), constant, plain)
