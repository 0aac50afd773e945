"""The scheduler of a study whose user named none."""

from __future__ import annotations

from collections.abc import Sequence

from rung.trials.events import Goal, Resource


def scheduler_for(resource: Resource | None, goals: Sequence[Goal]) -> str:
    """By what is known before the first trial: without a resource there is nothing to climb."""
    if resource is None or resource.minimum == resource.maximum:
        return "plain"
    return "mo-asha" if len(goals) > 1 else "asha"
