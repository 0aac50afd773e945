"""The Pareto front of a study with several objectives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rung.analysis.data.values import Floats, Ints, Mask
from rung.analysis.subject import Subject
from rung.errors import StudyError
from rung.samplers.observed import nondominated, observed


class Front(NamedTuple):
    """Trials with all objectives at one fidelity.

    Attributes:
        trials: (n,) trial numbers.
        values: (n, m) in the objectives' own senses.
        kept: (n,) whether all constraints are kept.
        front: (n,) whether none that keeps the constraints dominates it.
    """

    trials: Ints
    values: Floats
    kept: Mask
    front: Mask


def top_resource(subject: Subject) -> int:
    """The largest resource that any trial with all objectives reached: where the study's front is."""
    best = subject.history.incumbent
    known = subject.history.results
    return best.resource if best is not None and best.resource in known else max(known, default=1)


def front(subject: Subject, resource: int) -> Front:
    """The trials at a fidelity, and which are on the front.

    Raises:
        StudyError: the study has one objective only.
    """
    goals = subject.goals
    if len(goals) < 2:
        raise StudyError(f"study {subject.name!r} has one objective, so there is no Pareto front")
    found = observed(subject.history, resource)
    sound = np.isfinite(found.vectors).all(axis=1)
    vectors, kept = found.vectors[sound], found.violations[sound] == 0.0
    best = np.zeros(len(vectors), dtype=bool)
    best[np.flatnonzero(kept)] = nondominated(vectors[kept])
    signs = np.array([-1.0 if goal.mode == "max" else 1.0 for goal in goals])
    return Front(found.trials[sound], signs * vectors, kept, best)
