"""What a user should know before a study runs, though nothing is wrong: a line each."""

from __future__ import annotations

from typing import Any, Final

from rung.executors.calling import style_of
from rung.samplers import make_sampler
from rung.samplers.grid import GridSampler, unvaried
from rung.trials.history import History

_WALKED: Final = 10_000  # configurations of a grid that are gone through to see what they change
FLAT: Final = ("plain", "rung.schedulers.replay:Replay")  # schedulers that climb no rungs


def hints(history: History, objective: Any) -> list[str]:
    """The lines for this study and its objective, called with (config) or (trial) or with a budget."""
    identity = history.identity
    scheduler, style = identity.scheduler.name, style_of(objective)
    found = _grid(history)
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


def _grid(history: History) -> list[str]:
    """What a grid is cut off before, since it has more configurations than trials are asked for."""
    trials, sampler = history.limits.trials, make_sampler(history.identity.sampler)
    if trials is None or trials > _WALKED or not isinstance(sampler, GridSampler):
        return []
    names = unvaried(history.space, sampler.resolution, history.fixed, trials)
    if not names:
        return []
    return [
        f"the grid has more than {trials} configurations, and its first {trials} never change "
        f"{', '.join(names)}: take fewer values, as in grid(resolution=3), more trials, or another sampler"
    ]
