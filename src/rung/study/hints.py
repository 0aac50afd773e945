"""What a user should know before a study runs, though nothing is wrong: a line each."""

from __future__ import annotations

from typing import Any, Final

from rung.executors.calling import style_of
from rung.trials.events import Identity

FLAT: Final = ("plain", "rung.schedulers.replay:Replay")  # schedulers that climb no rungs


def hints(identity: Identity, objective: Any) -> list[str]:
    """The lines for this study and its objective, called with (config) or (trial) or with a budget."""
    scheduler, style = identity.scheduler.name, style_of(objective)
    found = []
    if identity.resource is None and style == "budget":
        found.append("without a resource the objective's budget is None: give one, such as epoch:1:27")
    if identity.resource is None and scheduler not in FLAT:
        found.append(
            f"scheduler {scheduler} has nothing to climb: without a resource every trial runs to its end; "
            "give one, such as epoch:1:27"
        )
    elif identity.resource is not None and style == "config" and scheduler not in FLAT:
        found.append(
            f"the objective takes only a configuration and does the same at each {identity.resource.name}: "
            "take (config, budget) or (trial) to train less at low rungs, or leave the resource out"
        )
    return found
