"""The scheduler of a study whose user named none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rung.trials.events import Goal, Resource

BUDGETED: Final = "hyper-tune(lowest_first=True)"


def scheduler_for(resource: Resource | None, goals: Sequence[Goal], trials: int | None = None) -> str:
    """By what is known before the first trial, a name that may have settings.

    Without a resource there is nothing to climb. With a number of `trials` to begin it is ASHA, which is sure
    to begin each of them at the smallest resource; what ends otherwise has a budget, and where that is spent
    best is learnt (`docs/decisions/0019-a-budget-learns-where-to-begin.md`).
    """
    if resource is None or resource.minimum == resource.maximum:
        return "plain"
    if len(goals) > 1:
        return "mo-asha"
    return "asha" if trials is not None else BUDGETED
