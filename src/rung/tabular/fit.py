"""`fit_table`: from a frame and a budget to a model. The whole way, in one file.

columns, task ──▶ arrays ──▶ split ──▶ study ──▶ ensemble ──▶ last fit ──▶ model
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.errors import StudyError
from rung.storage import open_storage
from rung.tabular.baselines import lightgbm_prediction
from rung.tabular.conclude import Asked, conclude
from rung.tabular.deadline import Deadline
from rung.tabular.frames import as_pandas
from rung.tabular.interrupts import SOON, heeded, threads
from rung.tabular.latency import slower_than
from rung.tabular.learners.table import Wanted
from rung.tabular.members import load_beforehand
from rung.tabular.names import as_names, listed
from rung.tabular.plan import Plan
from rung.tabular.pretrained.cells import as_texts
from rung.tabular.ready import Ready, embedder_for, facts, make_ready, refuse_another_table, scheme_for
from rung.tabular.request import Request
from rung.tabular.result import FitResult
from rung.tabular.search import Opening, Search, Watch
from rung.tabular.task import with_target

if TYPE_CHECKING:
    import pandas as pd

    from rung.executors.setup import Engine
    from rung.storage.base import Storage
    from rung.tabular.frames import Frame

_REFITS = 10.0  # seconds at most, kept for those members that are fitted on all rows after cross-validation
_LOADING = 0.8  # of the search has passed when what only its end needs is loaded
_NO_LIMIT = 30 * 86_400.0  # seconds, where the number of trials ends the search
_SLACK = 1.0  # seconds beyond a tiny budget that a search may take, so that there is a model


def fit_table(  # noqa: PLR0913  # a door
    frame: Frame,
    target: Hashable,
    *,
    budget: float = 60.0,
    task: str | None = None,
    metric: Any = None,
    seed: int = 0,
    workers: int | None = None,
    engine: Engine | None = None,
    storage: str | Storage = "memory",
    study: str | None = None,
    watch: Watch | None = None,
    started: float | None = None,
    holdout: float | None = None,
    reserve: float = 0.0,
    kinds: Mapping[Any, str] | None = None,
    drop: Hashable | Sequence[Hashable] = (),
    weights: Hashable = None,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    positive: Any = None,
    split: str | None = None,
    predict_time: float | None = None,
    warm_start: bool = True,
    refit: bool = False,
    embed: Mapping[Any, str] | None = None,
    drift_sample: bool = True,
    trials: int | None = None,
) -> FitResult:
    """Search for the best model for column `target` within `budget` seconds.

    The same storage and study name go on with the trials that are there.

    Args:
        frame: of pandas or polars, or a pyarrow.Table; rows with an empty target are left out, and a note of
            the result says so.
        target: the column to predict. Names of columns that are no texts, such as the numbers of
            `pd.DataFrame(array)`, are named as they are, here and below.
        task: "binary", "multiclass", "regression", or "quantile:0.9" for that quantile of a number; guessed
            unless given.
        metric: a name of `METRICS` or of scikit-learn's scorers, or a function (see `get_metric`); the task's
            default unless given.
        workers: processes that evaluate, at least 1; all cores unless given.
        engine: where they are, such as `Engine("ray", address)`, if not on this machine: then at least two.
        watch: called with the study and each batch of logged events.
        started: monotonic time from which the budget counts; now unless given.
        holdout: share of the rows, 0 to 1, that are kept out of everything, and scored in the end.
        reserve: seconds of the budget that the caller needs afterwards (to save, to report).
        kinds: of columns whose kind is not to be guessed: number, category, text or date.
        drop: columns that no model sees.
        weights: the column of the rows' weights, which count in training and in every score.
        include, exclude: learners by name; all that are installed and fit the task unless given.
        positive: the positive class of two.
        split: "random", "group:COLUMN" (its rows stay on one side), "time:COLUMN" (trained on earlier rows,
            scored on later ones), or "folds:COLUMN" (the folds that it names).
        predict_time: seconds that the prediction of one row, in a batch of a thousand, may take at most.
        refit: fit each member once more on all rows, as far as the time allows: one model in place of one a
            fold, faster and smaller, and a little less exact.
        warm_start: whether to begin with what was best in earlier tasks and in this storage's studies.
        embed: for columns of texts or of images (paths, arrays or PIL's) the folder of the pretrained model
            that makes numbers of them; see docs/pretrained.md.
        drift_sample: whether the model keeps a sample of the training rows, each cell as the number of its
            bin or level, by which a later table is told apart; leave it out where no row may be given away.
        trials: end after so many configurations, whatever time it takes: no clock decides anything, so that
            the same seed gives the same model. Then `budget` only lays the search out (how many folds), the
            storage's earlier studies have no say in where the search begins, one process evaluates unless
            `workers` says otherwise (the order in which several are done is chance), and what predicts
            slowly is left out only where `predict_time` says so.

    Raises:
        DataError: the table, the target, the metric or another word of the user's cannot be used.
        StudyError: the study exists with another table or other settings, or `workers` is below 1.
    """
    began = time.monotonic() if started is None else started
    asked = Request(
        task,
        metric,
        {str(name): kind for name, kind in (kinds or {}).items()},
        as_names(drop),
        None if weights is None else str(weights),
        as_names(include),
        as_names(exclude),
        positive,
        split,
        predict_time,
        warm_start,
        refit,
        {str(name): folder for name, folder in (embed or {}).items()},
        drift_sample,
        trials,
    )
    return _fitted(
        as_pandas(frame),
        Asked(str(target), asked, budget, began),
        _Terms(seed, workers, storage, study, watch, holdout, reserve, engine),
    )


class _Terms(NamedTuple):
    """How a fit runs: see `fit_table`."""

    seed: int
    workers: int | None
    storage: str | Storage
    study: str | None
    watch: Watch | None
    holdout: float | None
    reserve: float
    engine: Engine | None


def _fitted(frame: pd.DataFrame, given: Asked, terms: _Terms) -> FitResult:
    """The whole way, on the rows that have a target."""
    given.request.check(frame, given.target)
    kept, notes = with_target(frame, given.target)
    result = _searched(kept, given, terms)
    result.notes.extend(notes)
    return result if kept is frame else _placed(result, np.flatnonzero(frame[given.target].notna()))


def _placed(result: FitResult, places: NDArray[np.intp]) -> FitResult:
    """The result with its rows where they stand in the frame that was given.

    Args:
        places: of the rows that the search was given.
    """
    evidence, held = result.model.evidence, result.held
    if evidence is not None:
        evidence.rows = places[evidence.rows]
    if held is not None:
        held = held._replace(rows=places[held.rows])
    return dataclasses.replace(result, valid=places[result.valid], held=held)


def _searched(frame: pd.DataFrame, given: Asked, terms: _Terms) -> FitResult:
    """From rows with a target to the result."""
    if given.request.trials is not None:
        given = given._replace(request=given.request.unmeasured())
    target, asked, budget, began = given[:4]
    workers, seed, holdout, study = terms.workers, terms.seed, terms.holdout, terms.study
    if workers is not None and workers < 1:
        raise StudyError(f"workers must be at least 1, not {workers!r}; leave it out for all cores")
    frame = as_texts(frame, asked.embed)
    kept = open_storage(terms.storage) if isinstance(terms.storage, str) else terms.storage
    count = workers or _cores()
    embedder = embedder_for(kept, study, asked, (budget, began), seed)
    counted = asked.trials is not None
    assumed = (workers or 1) if counted else count  # else another machine's cores would lay it out otherwise
    scheme = scheme_for(kept, study, (budget, None if counted else began), assumed)
    data = make_ready(frame, target, asked, seed, holdout, scheme, embedder)
    wanted = Wanted(asked.include, asked.exclude, weighted=data.dataset.weight is not None)
    told = facts(data, target, asked, holdout)
    refuse_another_table(kept, study, told)
    opening = Opening(kept, study, told, data.task.kind, data.scheme, wanted, asked.warm_start, counted)
    search = Search(data.dataset, opening, terms.engine)
    try:
        if embedder is not None:
            embedder.keep(search.study.folder, data.encoder)
        end = Deadline.after(budget - terms.reserve, began)
        plan = search.plan(budget, count, end.remaining)
        if asked.trials is not None:
            alone = (workers or 1) if terms.engine is None else plan.workers
            plan, end = Plan(asked.trials, alone, certain=True), Deadline.after(_NO_LIMIT)
        elif plan.certain or end.remaining < _SLACK:  # imports must not use all of it up
            end = Deadline.after(max(budget + _SLACK - (time.monotonic() - began), _SLACK))
        given = given._replace(threads=count, certain=plan.certain)
        with heeded(end.hurry):
            result = _run(search, data, frame, given, (plan, end, terms.watch))
        return _noted(result, search, data, given)
    finally:
        search.study.close()


def _noted(result: FitResult, search: Search, data: Ready, asked: Asked) -> FitResult:
    """The result, with notes on how the search began and what was asked; no rows where none are kept."""
    if not asked.request.drift_sample:
        result.model.profile.sample = None
    if search.earlier:
        result.notes.append(
            "began with what was best in earlier studies of this storage "
            f"({listed(search.earlier, 'and')}): --no-warm-start does without"
        )
    limit = asked.request.predict_time
    if limit is not None and (slow := slower_than(result.model, data.dataset.table, limit)):
        result.notes.append(slow)
    return result


def _run(
    search: Search,
    data: Ready,
    frame: pd.DataFrame,
    asked: Asked,
    way: tuple[Plan, Deadline, Watch | None],
) -> FitResult:
    """The search, the baseline beside it, and the end."""
    plan, end, watch = way
    last = _last_part(data, plan, end.remaining, refit=asked.request.refit)
    with threads(1) as aside:
        inline = plan.workers == 1
        by = end.earlier(0.7 * end.remaining) if inline else end.earlier(last)
        baseline = aside.submit(_lightgbm_baseline, data, frame, by)
        if inline:
            baseline.result()
        until = end.earlier(last)
        loading = None if inline else load_beforehand(search, _LOADING * until.remaining)
        try:
            if search.run(plan, until, watch):
                end.hurry.begin(SOON)
        finally:
            if loading is not None:
                loading.cancel()
    with np.errstate(all="ignore"):  # a metric of values near the largest float may overflow
        result = conclude(search, data, frame, asked, end, baseline.result())
    if end.hurry.begun:
        result.notes.append("interrupted: members are fitted once more only where a few seconds were enough")
    return dataclasses.replace(result, interrupted=end.hurry.begun)


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _last_part(data: Ready, plan: Plan, remaining: float, *, refit: bool) -> float:
    """Seconds to keep for the ensemble and the last fit."""
    if plan.certain:
        return 0.3 * remaining if refit else min(0.3, 0.2 * remaining)
    split = data.dataset.split
    if refit or split.number == 1 or split.moments is not None:
        return min(0.7 + 0.2 * remaining, 0.4 * remaining)
    return 0.05 * remaining + min(0.7 + 0.08 * remaining, _REFITS, 0.35 * remaining)


def _lightgbm_baseline(data: Ready, frame: pd.DataFrame, end: Deadline) -> NDArray[np.float64] | None:
    if not len(data.test):
        return None
    test = data.encoder.transform(frame.iloc[data.test])
    return lightgbm_prediction(data.dataset, test, end)
