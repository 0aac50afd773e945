"""The Pareto front of a study with several objectives, and the hypervolume that it dominates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.samplers.observed import nondominated, observed
from rung.trials.history import History

Floats = NDArray[np.float64]


def front(history: History) -> list[int]:
    """Trials that no other dominates, by number: of those at the largest resource that any reached.

    Failed ones and those that break a constraint are not among them. With one objective it is the incumbent.
    """
    best = history.incumbent
    if best is None:
        return []
    if len(history.identity.goals) < 2:
        return [best.trial]
    trials, vectors = _sound(history)
    return sorted(set(trials[nondominated(vectors)].tolist()))


def hypervolume(history: History) -> float | None:
    """The volume that the front dominates, down to the reference point; None with one objective.

    A goal without a reference value has the worst value seen at that resource.
    """
    goals = history.identity.goals
    if len(goals) < 2 or history.incumbent is None:
        return None
    _, vectors = _sound(history)
    signs = [-1.0 if goal.mode == "max" else 1.0 for goal in goals]
    given = [goal.reference for goal in goals]
    worst = vectors.max(axis=0)
    reference = np.array(
        [w if r is None else sign * r for r, sign, w in zip(given, signs, worst, strict=True)]
    )
    return dominated_volume(vectors[nondominated(vectors)], reference)


def dominated_volume(points: Floats, reference: Floats) -> float:
    """The volume between `reference` (m,) and the points (n, m), all minimised, that lie below it.

    By slices along the last objective (While et al. 2006, "hypervolume by slicing objectives").
    """
    points = points[(points < reference).all(axis=1)]
    if len(points) == 0:
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - points.min())
    if len(reference) == 2:
        return _area(points[nondominated(points)], reference)
    order = points[np.argsort(points[:, -1], kind="stable")]
    depths = np.append(order[1:, -1], reference[-1]) - order[:, -1]
    volume = 0.0
    for i in np.flatnonzero(depths > 0.0):
        slice_ = order[: i + 1, :-1]
        volume += depths[i] * dominated_volume(slice_[nondominated(slice_)], reference[:-1])
    return float(volume)


def _area(front: Floats, reference: Floats) -> float:
    """The same of two objectives and points that do not dominate each other: stairs along the first."""
    one, other = front[np.argsort(front[:, 0], kind="stable")].T
    return float((reference[0] - one) @ -np.diff(other, prepend=reference[1]))


def _sound(history: History) -> tuple[NDArray[np.int64], Floats]:
    """(trials, objectives) of the results at the incumbent's resource that keep the constraints."""
    assert history.incumbent is not None
    seen = observed(history, history.incumbent.resource)
    kept = np.isfinite(seen.losses) & (seen.violations == 0.0)
    return seen.trials[kept], seen.vectors[kept]
