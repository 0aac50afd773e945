"""A trial's lineage: the chain of trials whose training it goes on with, as a schedule of configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rung.trials.history import History


class Stage(NamedTuple):
    """Training from resource `start` up to `until` with one configuration, that of `trial`."""

    trial: int
    start: int
    until: int
    config: Mapping[str, Any]


def lineage(history: History, trial: int) -> tuple[Stage, ...]:
    """The stages that led to what `trial` has reached, the first one first.

    A trial that began on its own is a single stage.
    """
    stages: list[Stage] = []
    until = history.reached[trial]
    while True:
        start = history.starts.get(trial, 0)
        stages.append(Stage(trial, start, until, history.config(trial)))
        parent = history.origins[trial].parent
        if start == 0 or parent is None:
            return tuple(reversed(stages))
        trial, until = parent, start
