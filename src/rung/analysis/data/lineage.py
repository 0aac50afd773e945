"""Who descends from whom: trials that started from another's checkpoint or configuration."""

from __future__ import annotations

from typing import NamedTuple

from rung.analysis.subject import Subject
from rung.trials.history import CONFIRM


class Link(NamedTuple):
    """`child` began from `parent`, at the resource `start` (0: not from its checkpoint)."""

    parent: int
    child: int
    start: int


def links(subject: Subject) -> list[Link]:
    """Every link, in order of the children."""
    history = subject.history
    return [
        Link(origin.parent, trial, history.starts.get(trial, 0))
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
