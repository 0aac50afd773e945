"""What schedulers with a model of configurations share: candidates, targets, and when to refit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.models.features import Features
from rung.space.changes import completed
from rung.space.values import INACTIVE, Values
from rung.trials.history import BEHIND, History

Floats = NDArray[np.float64]

BEYOND: Final = 5.0  # a loss further above the median than so many times the best is below it is cut there


def features_of(history: History) -> Features:
    """The features of the history's space, made once for each space."""
    kept = _features.get(history)
    if kept is None or kept[0] != history.space_version:
        kept = _features[history] = (history.space_version, Features(history.space))
    return kept[1]


_features: WeakKeyDictionary[History, tuple[int, Features]] = WeakKeyDictionary()


def candidates(
    history: History, centres: Sequence[Values], generator: np.random.Generator, drawn: int, near: int
) -> list[Values]:
    """`drawn` random configurations, and up to `near` neighbours of each of `centres`; all legal.

    Parameters that the user fixed have their values.
    """
    space = history.space
    rows = space.samples(int(generator.integers(2**63)), 0, drawn)
    for centre in centres:
        rows.extend(space.neighbours(centre, generator, near))
    if not history.fixed:
        return rows
    fixed = [_fixed(history, row) for row in rows]
    return [row for row, legal in zip(fixed, space.legal(fixed), strict=True) if legal]


def _fixed(history: History, values: Values) -> Values:
    """The configuration with the parameters that the user fixed, where they are active."""
    space = history.space
    known = {
        key: value
        for key, name, value in zip(space.keys, space.names, values, strict=True)
        if value is not INACTIVE and key not in history.fixed and name not in history.fixed
    }
    return completed(space, {**known, **history.fixed}).values


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
