"""What a trial may be the best by, and which is the best: a part of `rung.trials.folding`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.trials.running import CONFIRM, Standing

if TYPE_CHECKING:
    from rung.trials.history import History


def standing(history: History, trial: int) -> Standing | None:
    """The trial's last result that is sound and keeps the constraints, by which it may be the best.

    None of a repeat, a trial outside the space, one whose objective raised, and one without such a result.
    """
    if trial in history.outside or history.apart.get(trial) == CONFIRM:
        return None
    return history._best.standing(trial, history.reached[trial], history.latest[trial])


def find_best(history: History) -> None:
    """Look for the incumbent anew among all trials."""
    best = history._best
    best.begin_anew()
    for trial in range(len(history)):
        found = standing(history, trial)
        if found is not None:
            best.consider(trial, found.resource, found.value, history._metric.sign)
    incumbent = best.incumbent
    history.best_checkpoint = None if incumbent is None else history.checkpoints.get(incumbent.trial)
