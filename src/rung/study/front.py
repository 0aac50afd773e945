"""The Pareto front of a study with several objectives, and the hypervolume that it dominates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.samplers.observed import nondominated
from rung.trials.history import History
from rung.trials.standing import standing

Floats = NDArray[np.float64]


def front(history: History) -> list[int]:
    """Trials that no other dominates, by number: of those at the incumbent's resource, the largest of any.

    Those whose objective raised and those that break a constraint are not among them. With one objective it
    is the incumbent.
    """
    best = history.incumbent
    if best is None:
        return []
    if len(history.identity.goals) < 2:
        return [best.trial]
    trials, vectors = candidates(history, best.resource)
    return [int(trial) for trial in trials[nondominated(vectors)]]


def hypervolume(history: History) -> float | None:
    """The volume that the front dominates, down to the reference point; None with one objective.

    A goal without a reference value has the worst value seen at that resource.
    """
    goals = history.identity.goals
    best = history.incumbent
    if len(goals) < 2 or best is None:
        return None
    _, vectors = candidates(history, best.resource)
    signs = [-1.0 if goal.mode == "max" else 1.0 for goal in goals]
    given = [goal.reference for goal in goals]
    worst = vectors.max(axis=0)
    reference = np.array(
        [w if r is None else sign * r for r, sign, w in zip(given, signs, worst, strict=True)]
    )
    return dominated_volume(vectors[nondominated(vectors)], reference)


def candidates(history: History, resource: int) -> tuple[NDArray[np.int64], Floats]:
    """Trials that stand at this resource (n,), ascending, and their objectives, minimised (n, m).

    Also between two rungs, where no scheduler is told of results.
    """
    found = [(trial, standing(history, trial)) for trial in range(len(history))]
    there = [(trial, one.vector) for trial, one in found if one is not None and one.resource == resource]
    trials = np.array([trial for trial, _ in there], dtype=np.int64)
    vectors = np.array([vector for _, vector in there], dtype=np.float64)
    return trials, vectors.reshape(len(trials), len(history.identity.goals))


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
