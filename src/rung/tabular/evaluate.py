"""One trial: fit a configuration on some rows of each fold, and predict the rows held out.

With all rows every fold is fitted, and the predictions cover all rows that are ever held out; with fewer,
only the first fold is, on the rows of the common order that it does not hold out. Predictions and fitted
pipelines go to files of the study's folder; the log has the score.
"""

from __future__ import annotations

import io
import math
import pickle
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from rung.errors import Stopped
from rung.tabular.dataset import Dataset, load_dataset, pickle_atomically, write_atomically
from rung.tabular.deadline import Deadline
from rung.tabular.lean import without
from rung.tabular.learners.base import ASIDE, Learner
from rung.tabular.learners.table import learners, left_out
from rung.tabular.metrics import Metric
from rung.tabular.pipeline import Fitted, Order, Part, Pipeline, fit_pipeline, fit_pipelines
from rung.tabular.preparation import make_preparation
from rung.tabular.room import refuse_too_large

_AT_ONCE = 10_000_000  # cells in all folds up to which these are fitted side by side, all in memory
_PREDICTING = 0.15  # of a fold's time is kept for predicting
TOO_LONG = "it would have taken longer than the time that was left"
_ENOUGH = 0.8  # of the time that the folds before took, which later ones need less of
_HICCUP = 10  # rounds within which a fit that was cut short teaches nothing
_SHORT = 0.6  # of its usual time a trial must at least have, to be begun
_SHORT_ANYTIME = 0.2  # the same for a learner that comes back in time with what it has
_LOOK = 0.25  # seconds between looks at whether a trial that waits is told to stop
_UNMEASURED = 0.5  # of the predicted time is expected, before the learner's first trial in this process


class Outcome(NamedTuple):
    """What a configuration came to.

    Attributes:
        prediction: (v, k) or (v,) for the rows of `Split.validation(rows)`.
        pipelines: one a fold.
        known: what the folds taught, for a fit on all rows.
        cut: the deadline cut some fit short.
    """

    score: float
    prediction: NDArray[np.float64]
    pipelines: list[Pipeline]
    known: Mapping[str, float]
    rows: int
    seconds: float
    cut: bool


def evaluate(
    dataset: Dataset, config: Mapping[str, Any], rows: int, seed: int, deadline: Deadline
) -> Outcome:
    """Fit and predict each fold that `rows` asks for; the time left is shared among the folds."""
    split, classes = dataset.split, dataset.classes
    learner = learners()[config["learner"]]
    load_libraries(learner)
    began = time.monotonic()
    folds = split.folds_at(rows)
    valid = split.validation(rows)
    prediction = np.empty((len(dataset), classes) if classes else len(dataset))
    orders = _Orders(dataset, config, rows, seed)
    small = len(dataset) * dataset.width * len(folds) <= _AT_ONCE
    joint = learner.fit_many is not None and small and split.moments is None
    fitted = _at_once if joint else _in_turn
    found = []
    for fold, one in zip(folds, fitted(orders, folds, deadline), strict=True):
        found.append(one)
        test = split.held_out(fold)
        prediction[test] = one.pipeline.predict(dataset.table.take(test))
    held = prediction[valid]
    score = dataset.judge.score(dataset.y[valid], held, dataset.weights(valid))
    seconds, cut = time.monotonic() - began, any(one.cut for one in found)
    taught = next((dict(one.known) for one in found if not _stopped_short(one)), {})
    return Outcome(score, held, [one.pipeline for one in found], taught, rows, seconds, cut)


def load_libraries(learner: Learner) -> None:
    """To be called before its time begins: the first fold would be short of these seconds."""
    for name in learner.requires:
        import_module(name)


@dataclass(frozen=True)
class _Orders:
    """What is to be fitted in each fold of one trial."""

    dataset: Dataset
    config: Mapping[str, Any]
    rows: int
    seed: int

    def part(self, fold: int, folds: int, known: Mapping[str, float], deadline: Deadline) -> Part:
        """A fold's order with its rows; `deadline` includes the time to predict."""
        dataset, split = self.dataset, self.dataset.split
        by = deadline.earlier(_PREDICTING * deadline.remaining) if math.isfinite(deadline.end) else deadline
        train = split.training(fold, self.rows)
        order = Order(
            learners()[self.config["learner"]],
            self.config,
            dataset.sizes,
            self.seed,
            by,
            known,
            folds,
            dataset.weights(train),
            split.aside(train, ASIDE, self.seed),
            dataset.quantile,
            dataset.judge.needs == "labels",
        )
        return Part(order, dataset.table.take(train), np.asarray(dataset.y[train], float))


def _in_turn(orders: _Orders, folds: Sequence[int], deadline: Deadline) -> Iterator[Fitted]:
    """One fold after the other; the first teaches the later ones, unless it is of a later time.

    Raises:
        TimeoutError: the folds that are done took so long that the others will not be in time, of a learner
            that knows no deadline.
    """
    known: Mapping[str, float] = {}
    alone = orders.dataset.split.moments is not None
    began, patient = time.monotonic(), learners()[orders.config["learner"]].anytime
    for done, fold in enumerate(folds):
        left = (len(folds) - done) * (time.monotonic() - began) / max(done, 1)
        if done and not patient and deadline.remaining < _ENOUGH * left:
            raise TimeoutError(TOO_LONG)  # no `Stopped`, after which it would run again
        by = deadline.share(len(folds) - fold)
        fitted = fit_pipeline(*orders.part(fold, len(folds), known, by), orders.dataset.classes)
        known = known or ({} if alone or _stopped_short(fitted) else dict(fitted.known))
        yield fitted


def _stopped_short(one: Fitted) -> bool:
    """Whether a fit was cut within its first rounds, which tells of a hiccup of the machine and not of the
    rounds that others need.
    """
    return one.cut and one.known.get("rounds", _HICCUP) < _HICCUP


def _at_once(orders: _Orders, folds: Sequence[int], deadline: Deadline) -> Iterator[Fitted]:
    """All folds side by side; how far to go is found in the first one, too."""
    parts = [orders.part(fold, len(folds), {}, deadline) for fold in folds]
    yield from fit_pipelines(parts, orders.dataset.classes)


@contextmanager
def quietly() -> Iterator[None]:
    """One thread, and no warnings: a search tries many things of which some do not converge."""
    with warnings.catch_warnings(), _threads().limit(limits=1):
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            yield


@lru_cache(maxsize=1)
def _threads() -> Any:
    import sklearn.ensemble  # noqa: F401  # the libraries whose threads are limited must be loaded before
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@dataclass(frozen=True)
class Evaluation:
    """The objective of a search: small, and the same for all workers.

    Attributes:
        folder: the study's; the data lies in `data`, predictions go to `oof`, pipelines to `models`.
        end: monotonic time by which every trial must be done.
        close: monotonic time at which the study stops.
        patient: a trial that does not fit into the time is left for the next session; the very first is tried
            all the same.
        workers: how many share the memory.
        part: of the time that is left is what a trial may take, if its learner comes back in time with what
            it has: others are waiting.
    """

    folder: str
    metric: str
    end: float
    close: float
    patient: bool = True
    workers: int = 1
    part: float = 1.0

    def __reduce__(self) -> tuple[Any, ...]:
        """Between processes its times go by the clock that machines share; the monotonic one is each's."""
        ahead = time.time() - time.monotonic()
        settings = (self.folder, self.metric, self.end + ahead, self.close + ahead)
        return _arrived, (*settings, self.patient, self.workers, self.part)

    def __call__(self, trial: Any) -> None:
        """Evaluate one trial up to its resource, and report its score and how long it took."""
        folder = Path(self.folder)
        dataset = load_dataset(str(folder / "data"))
        deadline = Deadline(self.end)
        rows = trial.resource or len(dataset)
        saved = load_saved(folder, trial.number)
        # an earlier session may have ended between the fit and the end of the trial
        if saved is not None and saved.rows == rows and not saved.cut:
            self._report(trial, saved)
            return
        learner = learners()[trial.config["learner"]]
        way = make_preparation(learner.needs, trial.config, dataset.sizes, trial.seed)
        refuse_too_large(learner, rows, dataset.widest(way, rows), dataset.classes, self.workers)
        usual, part = expected(dataset, trial.config, rows), self.part if learner.anytime else 1.0
        if self.patient and part * deadline.remaining < least(learner.name, usual):
            _wait_for(Deadline(self.close), trial.told_to_stop)
        with without(left_out(learner)):
            load_libraries(learner)
            if part < 1:
                deadline = deadline.earlier((1 - part) * deadline.remaining)
            with quietly():
                outcome = evaluate(dataset, trial.config, rows, trial.seed, deadline)
        _learn(dataset, trial.config, rows, outcome.seconds)
        if saved is not None and saved.rows == rows and _better(dataset.judge, saved.score, outcome.score):
            self._report(trial, saved)  # both were cut, or one by a busier machine
            return
        save_outcome(folder, trial.number, outcome)
        self._report(trial, outcome)

    def _report(self, trial: Any, done: Outcome | Saved) -> None:
        trial.report(done.rows, **{self.metric: done.score}, seconds=done.seconds, cut=float(done.cut))


def _better(judge: Metric, one: float, other: float) -> bool:
    """Whether a score is better than another, in the metric's own sense."""
    return one > other if judge.greater_is_better else one < other


def _arrived(  # the fields of an `Evaluation`
    folder: str, metric: str, end: float, close: float, patient: bool, workers: int, part: float
) -> Evaluation:
    ahead = time.time() - time.monotonic()
    return Evaluation(folder, metric, end - ahead, close - ahead, patient, workers, part)


def least(learner: str, usual: float) -> float:
    """Seconds that must be left for a trial to be begun that usually takes `usual`."""
    return usual * (_SHORT_ANYTIME if learners()[learner].anytime else _SHORT)


def _wait_for(close: Deadline, told: Callable[[], bool]) -> NoReturn:
    """A trial that does not fit into the time left is not begun: it waits for the next session.

    Args:
        told: whether it is told to stop.

    Raises:
        Stopped: when the time is up, or it is told.
    """
    end = Deadline.after(max(0.25, close.remaining + 0.05))
    while not end.passed and not told():
        time.sleep(min(_LOOK, end.remaining))
    raise Stopped("it takes longer than the time that is left")


_speed: dict[str, float] = {}  # learner -> measured seconds a predicted one, in this process


def predicted(dataset: Dataset, config: Mapping[str, Any], rows: int) -> float:
    """Seconds that a trial should take on an ordinary machine."""
    split = dataset.split
    folds = len(split.folds_at(rows))
    share = (1 - 1 / split.number) if split.number > 1 else 0.9
    return folds * learners()[config["learner"]].cost.seconds(
        int(rows * share), dataset.width, dataset.classes
    )


def expected(dataset: Dataset, config: Mapping[str, Any], rows: int) -> float:
    """The same, corrected by what earlier trials of this learner took in this process."""
    return _speed.get(config["learner"], _UNMEASURED) * predicted(dataset, config, rows)


def _learn(dataset: Dataset, config: Mapping[str, Any], rows: int, seconds: float) -> None:
    _speed[config["learner"]] = seconds / max(predicted(dataset, config, rows), 1e-3)


# -- files ----------------------------------------------------------------------------------------------


def oof_path(folder: Path, trial: int) -> Path:
    """Where a trial's predictions lie."""
    return folder / "oof" / f"trial-{trial:06d}.npz"


def models_path(folder: Path, trial: int) -> Path:
    """Where a trial's fitted pipelines lie."""
    return folder / "models" / f"trial-{trial:06d}.pkl"


def save_outcome(folder: Path, trial: int, outcome: Outcome) -> None:
    """Pipelines first, then predictions: where there are predictions, there are pipelines."""
    path = oof_path(folder, trial)
    path.parent.mkdir(exist_ok=True)
    models_path(folder, trial).parent.mkdir(exist_ok=True)
    pickle_atomically(models_path(folder, trial), (outcome.pipelines, dict(outcome.known)))
    buffer = io.BytesIO()
    np.savez(
        buffer,
        prediction=outcome.prediction.astype(np.float32 if outcome.prediction.ndim == 2 else np.float64),
        rows=outcome.rows,
        score=outcome.score,
        seconds=outcome.seconds,
        cut=outcome.cut,
    )
    write_atomically(path, buffer.getvalue())


class Saved(NamedTuple):
    """A trial's predictions, as they lie in its file."""

    trial: int
    prediction: NDArray[np.float64]
    rows: int
    score: float
    seconds: float
    cut: bool


def load_saved(folder: Path, trial: int) -> Saved | None:
    """A trial's predictions, None where it has none."""
    path = oof_path(folder, trial)
    if not path.exists():
        return None
    with np.load(path) as file:
        prediction = np.asarray(file["prediction"], dtype=np.float64)
        return Saved(
            trial,
            prediction,
            int(file["rows"]),
            float(file["score"]),
            float(file["seconds"]),
            bool(file["cut"]),
        )


def load_pipelines(folder: Path, trial: int) -> tuple[list[Pipeline], dict[str, float]]:
    """A trial's fitted pipelines: this study's own scratch file, never one that a user was given."""
    with models_path(folder, trial).open("rb") as file:
        found: tuple[list[Pipeline], dict[str, float]] = pickle.load(file)  # noqa: S301
    return found
