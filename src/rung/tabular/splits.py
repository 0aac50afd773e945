"""Who is held out, and in which order rows are added: the same for every configuration.

Folds and the order are functions of the target and the seed only. The order is stratified, so that every
prefix of it is a smaller table like the whole one, and each smaller subset lies in each larger one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALWAYS = -1  # fold of the rows that are only ever trained on


@dataclass(frozen=True)
class Split:
    """Folds of the rows, and the order in which rows are added as the resource grows.

    Attributes:
        folds: (n,) the fold in which a row is held out; `ALWAYS` for one that never is.
        order: (n,) all rows, stratified.
        number: of folds; 1 is a holdout.
    """

    folds: NDArray[np.int8]
    order: NDArray[np.intp]
    number: int

    def held_out(self, fold: int) -> NDArray[np.intp]:
        """The rows of `fold`, ascending."""
        return np.flatnonzero(self.folds == fold)

    def training(self, fold: int, rows: int) -> NDArray[np.intp]:
        """The rows among the first `rows` of the order that `fold` does not hold out, ascending."""
        chosen = self.order[:rows]
        return np.sort(chosen[self.folds[chosen] != fold])

    def validation(self, rows: int) -> NDArray[np.intp]:
        """The rows that a trial at this resource predicts: all ever held out, or the first fold's."""
        whole = rows >= len(self.order)
        return np.flatnonzero(self.folds >= 0) if whole else self.held_out(0)

    def folds_at(self, rows: int) -> range:
        """The folds that a trial at this resource fits: all with all rows, the first with fewer."""
        return range(self.number if rows >= len(self.order) else 1)


def make_split(y: NDArray[np.float64], classes: int, folds: int, share: float, seed: int) -> Split:
    """A split of the rows with target `y`.

    Args:
        y: (n,) class codes, or values where `classes` is 0.
        folds: 1 is a holdout of `share` of the rows; else cross-validation.
    """
    rng = np.random.default_rng([seed, 77])
    strata = _strata(y, classes, rng)
    places = _places(strata, rng)  # 0, 1, 2, ... within each stratum, in random order
    counts = np.bincount(strata)
    assigned = _folds(strata, places, counts, folds, share, rng)
    return Split(assigned.astype(np.int8), _order(strata, places, counts, rng), folds)


def _strata(y: NDArray[np.float64], classes: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Classes, or blocks of neighbouring values."""
    if classes:
        return y.astype(np.intp)
    size = min(max(len(y) // 10, 1), 20)
    ranks = np.empty(len(y), dtype=np.intp)
    ranks[np.lexsort((rng.random(len(y)), y))] = np.arange(len(y))
    return ranks * size // len(y)


def _places(strata: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    by = np.lexsort((rng.random(len(strata)), strata))
    counts = np.bincount(strata)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    places = np.empty(len(strata), dtype=np.intp)
    places[by] = np.arange(len(strata)) - starts
    return places


def _folds(
    strata: NDArray[np.intp],
    places: NDArray[np.intp],
    counts: NDArray[np.intp],
    folds: int,
    share: float,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """A stratum with one row is only ever trained on: held out, nothing could have been learned of it."""
    if folds > 1:
        offsets = rng.integers(folds, size=len(counts))
        assigned = (places + offsets[strata]) % folds
    else:
        held = np.maximum(np.round(counts * share), counts > 1)
        assigned = np.where(places < held[strata], 0, ALWAYS)
    assigned[counts[strata] == 1] = ALWAYS
    return np.asarray(assigned, dtype=np.intp)


def _order(
    strata: NDArray[np.intp], places: NDArray[np.intp], counts: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Each stratum spread evenly; the last two rows of each (held out late, if at all) come first."""
    backwards = counts[strata] - 1 - places
    keys = (backwards + rng.random(len(strata))) / counts[strata]
    keys[backwards < 2] -= 2.0
    return np.argsort(keys, kind="stable")
