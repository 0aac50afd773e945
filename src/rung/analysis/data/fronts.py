"""The Pareto front of a study with several objectives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rung.analysis.data.values import Floats, Ints, Mask
from rung.analysis.subject import Subject
from rung.errors import StudyError
from rung.samplers.observed import nondominated, observed
from rung.study.front import candidates
from rung.trials.standing import standing


class Front(NamedTuple):
    """Trials with all objectives at one fidelity.

    Attributes:
        trials: (n,) trial numbers.
        values: (n, m) in the objectives' own senses.
        kept: (n,) whether all constraints are kept.
        front: (n,) whether none that keeps the constraints dominates it, those whose objective raised later
            left aside.
    """

    trials: Ints
    values: Floats
    kept: Mask
    front: Mask


def top_resource(subject: Subject) -> int:
    """The largest resource that any trial with all objectives reached: where the study's front is."""
    best = subject.history.incumbent
    return best.resource if best is not None else max(subject.history.results, default=1)


def front(subject: Subject, resource: int) -> Front:
    """The trials at a resource, and which are on the front.

    Raises:
        StudyError: the study has one objective only.
    """
    goals = subject.goals
    if len(goals) < 2:
        raise StudyError(f"study {subject.name!r} has one objective, so there is no Pareto front")
    history = subject.history
    found, (there, objectives) = observed(history, resource), candidates(history, resource)
    sound = np.isfinite(found.vectors).all(axis=1)
    more = ~np.isin(there, found.trials)  # they came so far between two rungs
    trials = np.concatenate([found.trials[sound], there[more]])
    vectors = np.concatenate([found.vectors[sound].reshape(-1, len(goals)), objectives[more]])
    kept = np.concatenate([found.violations[sound] == 0.0, np.ones(int(more.sum()), dtype=bool)])
    stands = np.array([standing(history, int(trial)) is not None for trial in trials], dtype=bool)
    best = np.zeros(len(trials), dtype=bool)
    best[kept & stands] = nondominated(vectors[kept & stands])
    signs = np.array([-1.0 if goal.mode == "max" else 1.0 for goal in goals])
    return Front(trials, signs * vectors, kept, best)
