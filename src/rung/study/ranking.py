"""Which trials a table of the best ones shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterable

from rung.study.records import TrialRecord
from rung.trials.history import CONFIRM, History


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


def _front(history: History) -> set[int]:
    from rung.study.front import front  # with the array library, which a study of one objective does without

    return set(front(history))
