"""Who is held out, and in which order rows are added: the same for every configuration.

Folds and the order are functions of the target, the groups and the seed only. The order is stratified, so
that every prefix of it is a smaller table like the whole one, and smaller subsets lie in larger ones.
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
        groups: (n,) rows of one group stay on one side; None if each row is its own.
        moments: (n,) when a row was made; then each fold is trained on earlier rows only, and fold 0 is the
            latest. None if time plays no part.
    """

    folds: NDArray[np.int8]
    order: NDArray[np.intp]
    number: int
    groups: NDArray[np.intp] | None = None
    moments: NDArray[np.float64] | None = None

    def held_out(self, fold: int) -> NDArray[np.intp]:
        """The rows of `fold`, ascending."""
        return np.flatnonzero(self.folds == fold)

    def training(self, fold: int, rows: int) -> NDArray[np.intp]:
        """The rows among the first `rows` of the order that `fold` may be trained on, ascending."""
        chosen = self.order[:rows]
        where = self.folds[chosen]
        allowed = where != fold if self.moments is None else (where > fold) | (where == ALWAYS)
        return np.sort(chosen[allowed])

    def aside(self, rows: NDArray[np.intp], share: float, seed: int) -> NDArray[np.bool_] | None:
        """Which of these training rows to set aside for a look within the fold: the latest, or whole groups.

        None where any will do.
        """
        if self.moments is not None:
            when = self.moments[rows]
            found = when > np.quantile(when, 1 - share)
        elif self.groups is not None:
            units, which = np.unique(self.groups[rows], return_inverse=True)
            drawn = np.random.default_rng([seed, 78]).permutation(len(units))
            found = drawn[which] < max(1, round(share * len(units)))
        else:
            return None
        return found if 0 < found.sum() < len(rows) else None

    def validation(self, rows: int) -> NDArray[np.intp]:
        """The rows that a trial at this resource predicts: all ever held out, or the first fold's."""
        whole = rows >= len(self.order)
        return np.flatnonzero(self.folds >= 0) if whole else self.held_out(0)

    def folds_at(self, rows: int) -> range:
        """The folds that a trial at this resource fits: all with all rows, the first with fewer."""
        return range(self.number if rows >= len(self.order) else 1)


def make_split(  # what makes a split
    y: NDArray[np.float64],
    classes: int,
    folds: int,
    share: float,
    seed: int,
    groups: NDArray[np.intp] | None = None,
) -> Split:
    """A split of the rows with target `y`.

    Args:
        y: (n,) class codes, or values where `classes` is 0.
        folds: 1 is a holdout of `share` of the rows; else cross-validation.
        groups: (n,) numbers of groups that stay together.
    """
    rng = np.random.default_rng([seed, 77])
    strata = _strata(y, classes, rng)
    places = _places(strata, rng)  # 0, 1, 2, ... within each stratum, in random order
    counts = np.bincount(strata)
    order = _order(strata, places, counts, rng)
    if groups is None:
        assigned = _folds(strata, places, counts, folds, share, rng)
    else:
        assigned = _group_folds(y, classes, groups, (folds, share), rng)
    return Split(assigned.astype(np.int8), order, folds, groups)


def time_split(
    y: NDArray[np.float64], classes: int, moments: NDArray[np.float64], folds: int, share: float, seed: int
) -> Split:
    """Forward chaining: blocks of equal size in the order of time, of which the earliest is only trained on.

    Rows of one moment stay in one block, so that few moments make fewer folds. With one fold the latest
    `share` of the rows is held out, the latest moment at least.

    Args:
        moments: (n,) two different ones at least.
    """
    plain = make_split(y, classes, 1, share, seed)
    ranked = np.searchsorted(np.sort(moments), moments, side="left") / len(moments)  # share of earlier rows
    blocks = ranked >= 1 - share if folds == 1 else np.minimum((ranked * (folds + 1)).astype(np.intp), folds)
    if blocks.min() == blocks.max():
        blocks = moments == moments.max()
    places = np.unique(blocks, return_inverse=True)[1]
    number = int(places.max())
    assigned = np.where(places == 0, ALWAYS, number - places)
    return Split(assigned.astype(np.int8), plain.order, number, None, moments)


def given_split(y: NDArray[np.float64], classes: int, labels: NDArray[np.intp], seed: int) -> Split:
    """The folds that a column of the table names, numbered 0, 1, ...; (n,)."""
    plain = make_split(y, classes, 1, 0.2, seed)
    return Split(labels.astype(np.int8), plain.order, int(labels.max()) + 1, labels.astype(np.intp))


def _group_folds(
    y: NDArray[np.float64],
    classes: int,
    groups: NDArray[np.intp],
    wanted: tuple[int, float],
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Many small groups are dealt like rows, by their first row's target; few or large ones go, the largest
    first, where most room is. Of a holdout's, those that are drawn and have room are held out, the smallest
    at least.
    """
    folds, share = wanted
    _, first, which, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    parts = max(folds, round(1 / share) if folds == 1 else folds)
    if sizes.max() * 10 * parts < len(y) and len(first) >= 20 * parts:
        strata = _strata(y[first], classes, rng)
        places = _places(strata, rng)
        return _folds(strata, places, np.bincount(strata), folds, share, rng)[which]
    if folds == 1:
        return np.where(_drawn(sizes, round(share * len(y)), rng), 0, ALWAYS)[which]
    room = np.full(parts, len(y) / parts)
    where = np.empty(len(sizes), dtype=np.intp)
    for unit in np.lexsort((rng.random(len(sizes)), -sizes)):
        where[unit] = int(np.argmax(room))
        room[where[unit]] -= sizes[unit]
    return where[which]


def _drawn(sizes: NDArray[np.intp], room: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of the groups, drawn by lot, have room together; the smallest if none has, and never all."""
    drawn = np.zeros(len(sizes), dtype=bool)
    for unit in rng.permutation(len(sizes)):
        drawn[unit] = sizes[unit] <= room
        room -= int(sizes[unit] * drawn[unit])
    if not drawn.any():
        drawn[np.argmin(sizes)] = True
    return drawn


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
