"""The results of a history as arrays for models: one loss each, whatever the objectives and constraints.

- With several objectives the loss is the place in a non-dominated sorting (Deb et al. 2002): fronts first,
  within one those with more room around them. It looks at the latest `MOST` results and at the front of the
  earlier ones, so that of a long study's results all but a few are only passed over.
- A result that breaks a constraint has a loss behind all that break none: the worst of these, and as much
  more of their range as it breaks the constraints. So it is a finite number, too.
- A failed trial's loss is `inf`.
- Trials whose configuration is not in the space any more are left out.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.trials.history import BEHIND, WORST, Column, History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST: Final = 1000  # results that a non-dominated sorting looks at, beside an earlier front


class Observed(NamedTuple):
    """Results at one fidelity, in the order they came.

    Attributes:
        trials: (n,) trial numbers: rows of `history.matrix(history.space)`.
        losses: (n,) smaller is better; `inf` for failed trials only.
        costs: (n,) seconds that the trial had taken by then.
        vectors: (n, m) all objectives, minimised, of a study with several; else (n, 0).
        violations: (n,) by how much constraints are broken; zeros in a study without.
    """

    trials: Ints
    losses: Floats
    costs: Floats
    vectors: Floats
    violations: Floats


def observed(history: History, fidelity: int) -> Observed:
    """All results at `fidelity`, if there are any. Not to be changed: they are kept until another comes."""
    column = history.results.get(fidelity)
    if column is None:
        return _EMPTY
    kept = _kept.setdefault(history, {})
    key = (len(column), len(history.outside), history.space_version)
    if fidelity not in kept or kept[fidelity][0] != key:
        kept[fidelity] = (key, _observe(history, column))
    return kept[fidelity][1]


def pending(history: History) -> list[int]:
    """Trials whose next result is to come: those that run, and those that wait to run again."""
    waiting = [running.job.trial for running in history.retry]
    return [trial for trial in [*history.running, *waiting] if trial not in history.apart]


def awaited(history: History, fidelity: int) -> Ints:
    """Pending trials, ascending, without a result at `fidelity` and with a configuration in the space.

    A trial that was promoted is pending, and has its results at the fidelities below.
    """
    inside = sorted(trial for trial in pending(history) if trial not in history.outside)
    results = observed(history, fidelity).trials
    return np.setdiff1d(np.array(inside, dtype=np.int64), results, assume_unique=True)


def fidelities(history: History) -> list[int]:
    """The fidelities at which there are results, the largest first."""
    return sorted(history.results, reverse=True)


def _observe(history: History, column: Column) -> Observed:
    trials, values = np.array(column.trials), np.array(column.values)
    costs = np.array(column.costs)
    if column.measures:
        vectors = np.array([measure.vector for measure in column.measures])
        violations = np.array([measure.violation for measure in column.measures])
        if vectors.shape[1] > 1:
            values = places(vectors, violations)
        else:
            vectors = vectors[:, :0]
            values = _finite(values, violations)
    else:
        vectors, violations = np.empty((len(trials), 0)), np.zeros(len(trials))
    found = Observed(trials, values, costs, vectors, violations)
    if not history.outside:
        return found
    inside = ~np.isin(trials, list(history.outside))
    return Observed(
        trials[inside], values[inside], costs[inside], found.vectors[inside], found.violations[inside]
    )


def _finite(values: Floats, violations: Floats) -> Floats:
    """Losses in which those that break a constraint come behind the others, by how much they break it."""
    kept = values[values < BEHIND]
    worst, best = (kept.max(), kept.min()) if len(kept) else (0.0, 0.0)
    width = (worst - best) or 1.0
    broken = worst + width * (2.0 - 1.0 / (1.0 + violations))
    losses: Floats = np.where(values < BEHIND, values, np.where(values < WORST, broken, WORST))
    return losses


def places(vectors: Floats, violations: Floats) -> Floats:
    """(n,) losses from objectives (n, m): places in a non-dominated sorting, over n; `inf` where failed."""
    n = len(vectors)
    losses = np.full(n, WORST)
    sound = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    kept, broken = sound[violations[sound] == 0.0], sound[violations[sound] > 0.0]
    recent, earlier = kept[-MOST:], kept[:-MOST]
    looked = np.concatenate([earlier[nondominated(vectors[earlier])][-MOST:], recent])
    rest = np.setdiff1d(earlier, looked)  # of these only that they were dominated is known
    order = np.concatenate([looked[sorted_fronts(vectors[looked])], rest])
    order = np.concatenate([order, broken[np.argsort(violations[broken], kind="stable")]])
    losses[order] = np.arange(len(order)) / n
    return losses


def nondominated(vectors: Floats) -> NDArray[np.bool_]:
    """(n,) which rows of (n, m) no other row dominates; of equal rows all."""
    if vectors.shape[1] == 2:
        return _of_two(vectors)
    left = np.lexsort(vectors.T[::-1])  # a row can only be dominated by one before it
    front = np.zeros(len(vectors), dtype=bool)
    while len(left):
        first = vectors[left[0]]
        front[left[0]] = True
        dominated = (vectors[left] >= first).all(axis=1) & (vectors[left] > first).any(axis=1)
        left = left[~dominated][1:]
    return front


def _of_two(vectors: Floats) -> NDArray[np.bool_]:
    """The same of two objectives, by one sweep along the first (Kung, Luccio and Preparata 1975)."""
    order = np.lexsort(vectors.T[::-1])
    one, other = vectors[order].T
    first = np.ones(len(order), dtype=bool)  # of those with an equal first objective
    first[1:] = one[1:] != one[:-1]
    start = np.flatnonzero(first)[np.cumsum(first) - 1]
    before = np.concatenate([[np.inf], np.minimum.accumulate(other)[:-1]])
    front = np.zeros(len(order), dtype=bool)
    front[order] = (other == other[start]) & ((other[start] < before[start]) | (start == 0))
    return front


def sorted_fronts(vectors: Floats) -> NDArray[np.intp]:
    """The rows of (n, m), best first: by front, in a front by crowding distance, the older of equal ones."""
    order: list[NDArray[np.intp]] = []
    left = np.arange(len(vectors))
    while len(left):
        front = nondominated(vectors[left])
        members = left[front]
        order.append(members[np.argsort(-crowding(vectors[members]), kind="stable")])
        left = left[~front]
    return np.concatenate(order) if order else left


def crowding(vectors: Floats) -> Floats:
    """(n,) crowding distance of the rows of one front (n, m); `inf` at the ends (Deb et al. 2002, III-B)."""
    n, m = vectors.shape
    distance = np.zeros(n)
    for j in range(m):
        order = np.argsort(vectors[:, j], kind="stable")
        column = vectors[order, j]
        width = column[-1] - column[0]
        distance[order[[0, -1]]] = np.inf
        if width > 0.0 and n > 2:
            distance[order[1:-1]] += (column[2:] - column[:-2]) / width
    return distance


_EMPTY: Final = Observed(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty((0, 0)), np.empty(0))
_kept: WeakKeyDictionary[History, dict[int, tuple[tuple[int, int, int], Observed]]] = WeakKeyDictionary()
