"""Who descends from whom: trials that started from another's checkpoint or configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rung.analysis.subject import Subject
from rung.trials import events as ev
from rung.trials.history import CONFIRM


class Link(NamedTuple):
    """`child` began from `parent`, at the resource `start` (0: not from its checkpoint)."""

    parent: int
    child: int
    start: int


def links(subject: Subject) -> list[Link]:
    """Every link, in order of the children."""
    history = subject.history
    starts = {
        event.trial: event.start
        for event in subject.events
        if isinstance(event, ev.JobStarted) and event.values is not None
    }
    return [
        Link(origin.parent, trial, starts.get(trial, 0))
        for trial, origin in enumerate(history.origins)
        if origin.parent is not None and history.apart.get(trial) != CONFIRM
    ]


def ancestry(found: list[Link], trial: int) -> list[int]:
    """A trial and those it descends from, the first of them first."""
    parents = {link.child: link.parent for link in found}
    line = [trial]
    while line[-1] in parents and parents[line[-1]] not in line:
        line.append(parents[line[-1]])
    return line[::-1]


def schedule(subject: Subject, line: list[int], found: list[Link]) -> list[tuple[int, Mapping[str, Any]]]:
    """The hyperparameters along a line of descent: (resource from which they held, configuration)."""
    starts = {link.child: link.start for link in found}
    return [(starts.get(trial, 0), subject.records[trial].config) for trial in line]
