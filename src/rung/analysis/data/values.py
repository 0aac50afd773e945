"""The values of trials at one fidelity, by objective, and which of many to show."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.analysis.subject import Subject
from rung.errors import StudyError
from rung.trials.events import Goal
from rung.trials.history import BEHIND, WORST, History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

ENOUGH: Final = 30  # results at a fidelity, for it to be looked at by itself


class Measured(NamedTuple):
    """Values of one objective at one fidelity, in the order they came; failed trials are left out.

    Attributes:
        trials: (n,) trial numbers.
        values: (n,) in the metric's own sense.
        kept: (n,) whether all constraints are kept.
        goal, resource: the objective, and the fidelity (1 in a study without a resource).
    """

    trials: Ints
    values: Floats
    kept: Mask
    goal: Goal
    resource: int

    @property
    def losses(self) -> Floats:
        """(n,) the values, minimised."""
        return -self.values if self.goal.mode == "max" else self.values

    @property
    def best(self) -> int | None:
        """Where the best one stands that keeps all constraints; None without one."""
        if not self.kept.any():
            return None
        return int(np.where(self.kept, self.losses, np.inf).argmin())


def choose_resource(subject: Subject, wanted: int | None = None, least: int = 2) -> int:
    """The fidelity to look at: the wanted one, else the largest that has enough results.

    Enough are `ENOUGH`, or half of what the fullest one has, and `least` at any rate.

    Raises:
        StudyError: there are fewer than `least` results at it.
    """
    sound = sound_results(subject.history)
    unit = subject.unit or "resource"
    if wanted is not None and wanted not in sound:
        known = ", ".join(map(str, sorted(sound))) or "none"
        raise StudyError(f"study {subject.name!r} has no results at {unit} {wanted}; it has some at: {known}")
    chosen = wanted
    if chosen is None:
        most = max(sound.values(), default=0)
        enough = min(most, max(least, min(ENOUGH, most / 2)))
        chosen = max((r for r, count in sound.items() if count >= enough), default=None)
    count = 0 if chosen is None else sound[chosen]
    if chosen is None or count < least:
        at = subject.at(chosen) if chosen is not None else ""
        raise StudyError(
            f"study {subject.name!r} has {count} trial{'' if count == 1 else 's'} with a value{at}, "
            f"and this needs at least {least}"
        )
    return chosen


def sound_results(history: History) -> dict[int, int]:
    """By fidelity, how many results there have a value, and a configuration that is still in the space."""
    return {
        resource: sum(
            value < WORST and trial not in history.outside
            for trial, value in zip(column.trials, column.values, strict=True)
        )
        for resource, column in history.results.items()
    }


def measured(subject: Subject, resource: int, metric: str | None = None) -> Measured:
    """The values of an objective (the first, unless named) at a fidelity."""
    goal = subject.goal(metric)
    column = subject.history.results[resource]
    if column.measures:
        place = subject.goals.index(goal)
        losses = np.array([measure.vector[place] for measure in column.measures])
        kept = np.array([measure.violation == 0.0 for measure in column.measures])
    else:
        losses = np.array(column.values)
        kept = losses < BEHIND
    trials = np.array(column.trials)
    sound = np.isfinite(losses) & ~np.isin(trials, list(subject.history.outside))
    values = -losses if goal.mode == "max" else losses
    return Measured(trials[sound], values[sound], kept[sound], goal, resource)


def thin(losses: Floats, most: int) -> Ints:
    """Which of many to show, in their order: a quarter of `most` for the best, the rest evenly spaced."""
    n = len(losses)
    if n <= most:
        return np.arange(n)
    best = np.argsort(losses, kind="stable")[: most // 4]
    others = np.setdiff1d(np.arange(n), best)
    even = others[np.linspace(0, len(others) - 1, most - len(best)).astype(np.int64)]
    return np.union1d(best, even)
