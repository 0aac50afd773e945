"""What schedulers with a model of configurations share: candidates, targets, what is kept, when to refit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.models.features import Features
from rung.schedulers.base import Decision
from rung.space.beside import drawn_beside
from rung.space.changes import with_fixed
from rung.space.values import Values
from rung.trials.history import BEHIND, History

Floats = NDArray[np.float64]
Hypers = TypeVar("Hypers")

BEYOND: Final = 5.0  # a loss further above the median than so many times the best is below it is cut there


def features_of(history: History) -> Features:
    """The features of the history's space, made once for each space."""
    kept = _features.get(history)
    if kept is None or kept[0] != history.space_version:
        kept = _features[history] = (history.space_version, Features(history.space))
    return kept[1]


_features: WeakKeyDictionary[History, tuple[int, Features]] = WeakKeyDictionary()


class Latest(Generic[Hypers]):
    """What is kept for one history, and follows from it: the latest decision, the latest hyperparameters."""

    def __init__(self, scheduler: object) -> None:
        self.scheduler = scheduler
        self._seen: object = None
        self._decision: Decision | None = None
        self._stage: object = None
        self._hypers: Hypers | None = None

    def decision(self, history: History, own: object, decide: Callable[[], Decision]) -> Decision:
        """What `decide` returns, called again only when something changed on which a decision depends.

        That is what the study's user and the study itself set, how many trials there are, whether any runs,
        and `own`: whatever else the scheduler looks at, told as briefly as tells it apart.
        """
        limits, counts = (history.limits, history.spent, history.may_start), len(history.values)
        busy = bool(history.running or history.retry)
        seen = (counts, busy, history.space_version, history.fixed, limits, own)
        if self._decision is None or self._seen != seen:
            self._decision, self._seen = decide(), seen
        return self._decision

    def hypers(self, stage: object, fit: Callable[[], Hypers]) -> Hypers:
        """The hyperparameters of this stage, fitted if the latest ones are of another."""
        if self._hypers is None or self._stage != stage:
            self._hypers, self._stage = fit(), stage
        return self._hypers


def latest_of(scheduler: object, history: History) -> Latest[Any]:
    """What is kept of this scheduler's for the history."""
    latest = _latest.get(history)
    if latest is None or latest.scheduler != scheduler:
        latest = _latest[history] = Latest(scheduler)
    return latest


_latest: WeakKeyDictionary[History, Latest[Any]] = WeakKeyDictionary()  # a cache: it follows from the history


def candidates(
    history: History, centres: Sequence[Values], generator: np.random.Generator, drawn: int, near: int
) -> list[Values]:
    """`drawn` random configurations, and up to `near` neighbours of each of `centres`; all legal.

    Parameters that the user fixed have their values.
    """
    space, fixed = history.space, history.fixed
    seed = int(generator.integers(2**63))
    beside = [row for centre in centres for row in space.neighbours(centre, generator, near)]
    if not fixed:
        return space.samples(seed, 0, drawn) + beside
    draws = list(islice(drawn_beside(space, fixed, seed), drawn))
    beside = [
        with_fixed(space, row, fixed, draw.every) for row, draw in zip(beside, cycle(draws), strict=False)
    ]
    legal = space.legal(beside)
    return [draw.values for draw in draws] + [row for row, good in zip(beside, legal, strict=True) if good]


def targets(losses: Floats) -> Floats:
    """Losses for a model: mean 0, standard deviation 1; zeros if all are alike.

    A failed trial, or one that breaks a constraint, has the worst of the sound losses. A loss that is far
    worse than the others is cut, so that a few diverged trials do not flatten all the rest.
    """
    sound = losses[losses < BEHIND]
    size = float(np.abs(sound).max()) if len(sound) else 0.0
    if size == 0.0:
        return np.zeros(len(losses))
    sound = sound / size  # squares of huge losses are no numbers
    median, best = float(np.median(sound)), float(sound.min())
    if median > best:
        sound = np.minimum(sound, median + BEYOND * (median - best))
    values = np.where(losses < BEHIND, np.minimum(losses / size, sound.max()), sound.max())
    shifted: Floats = values - values.mean()
    reach = float(np.abs(shifted).max())
    if reach == 0.0:
        return shifted
    shifted = shifted / reach  # nor are those of tiny differences
    return shifted / float(shifted.std())


def stage(results: int, first: int) -> int:
    """How many of the results the hyperparameters are from: they are found anew with a quarter more."""
    used = first
    while used + used // 4 + 1 <= results:
        used += used // 4 + 1
    return min(used, results)


def spread(losses: Floats, most: int) -> NDArray[np.intp]:
    """The results that a model is given: all of n, or the best half of `most` and the newest others."""
    if len(losses) <= most:
        return np.arange(len(losses))
    best = np.argsort(losses, kind="stable")[: most // 2]
    rest = np.setdiff1d(np.arange(len(losses)), best)
    return np.sort(np.concatenate([best, rest[len(best) - most :]]))
