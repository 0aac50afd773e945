"""Which trials a table of the best ones shows, in which order, and with which values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rung.study.records import TrialRecord
from rung.trials.history import CONFIRM, History
from rung.trials.standing import standing


def ranking(history: History, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Trials that have a value, best first: the largest resource reached, then the value, then the older.

    Of several objectives those on the front come first. Those that break a constraint come last. Repeats of
    the best, and trials whose configuration is not in the space any more, are left out.
    """
    sign = -1.0 if history.identity.mode == "max" else 1.0
    first = _front(history) if len(history.identity.goals) > 1 else set()
    apart, outside, broken = history.apart, history.outside, history.violation
    valued = [
        record
        for record in records
        if record.value is not None and apart.get(record.number) != CONFIRM and record.number not in outside
    ]
    return sorted(
        valued,
        key=lambda r: (
            r.number not in first,
            broken(r.number) > 0,
            -(r.resource or 0),
            sign * (r.value or 0.0),
            r.number,
        ),
    )


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
