"""Which trials a table of the best ones shows, in which order, and with which values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rung.study.confirm import declared
from rung.study.records import TrialRecord
from rung.trials.history import CONFIRM, History
from rung.trials.standing import standing
from rung.trials.states import TrialState

_FAILED: Final = frozenset({TrialState.FAILED, TrialState.INFEASIBLE})


def ranking(history: History, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Trials that have a value, best first: the largest resource, then the value, then the older.

    Each has its place by what it may be the best by. Behind these come those that run and have no result
    yet, those that failed, and those that break a constraint. Of several objectives those on the front come
    first, and of a study that confirms its best the one whose repeats have the best mean. Repeats, and trials
    whose configuration is not in the space any more, are left out.
    """
    first = _front(history) if len(history.identity.goals) > 1 else _confirmed(history)
    apart, outside = history.apart, history.outside
    valued = [
        record
        for record in records
        if record.value is not None and apart.get(record.number) != CONFIRM and record.number not in outside
    ]
    return sorted(valued, key=lambda record: (record.number not in first, *_place(history, record)))


def _place(history: History, record: TrialRecord) -> tuple[int, int, float, int]:
    """Smaller is better."""
    stands = standing(history, record.number)
    if stands is not None:
        return 0, -stands.resource, stands.value, record.number
    worse = 3 if history.violation(record.number) else 2 if record.state in _FAILED else 1
    resource = 0 if history.identity.resource is None else record.resource or 0
    sign = -1.0 if history.identity.mode == "max" else 1.0
    return worse, -resource, sign * (record.value or 0.0), record.number


def objectives(history: History, record: TrialRecord) -> list[Any]:
    """The trial's value of each objective, in their own senses: where it is sound, else the latest.

    One of several that is NaN at its end has them by what it told before.
    """
    goals, stands = history.identity.goals, standing(history, record.number)
    if stands is not None and len(goals) > 1:
        for observation in reversed(record.observations):
            if observation.resource == stands.resource:
                return [observation.metrics.get(goal.metric) for goal in goals]
    return [record.value, *(record.metrics.get(goal.metric) for goal in goals[1:])]


def _front(history: History) -> set[int]:
    from rung.study.front import front  # with the array library, which a study of one objective does without

    return set(front(history))


def _confirmed(history: History) -> set[int]:
    found = declared(history)
    return set() if found is None else {found.trial}
