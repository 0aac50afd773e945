"""How many jobs a study could start now, as far as that is known without choosing their configurations."""

from __future__ import annotations

from typing import Final

from rung.schedulers.base import Done, Scheduler, Wait
from rung.study.confirm import Repeat
from rung.study.decide import decide
from rung.trials.history import History

MANY: Final = 10**12  # jobs of a study that starts new trials without a limit


def ready(history: History, scheduler: Scheduler) -> int:
    """Jobs that could run at once if there were slots for all of them.

    0 is exact: the scheduler waits, or is done. Otherwise it is what the limit on trials leaves (`MANY`
    without one) and the lost jobs that run again, at least 1; promotions beyond the next and pauses that a
    scheduler makes between new trials show as soon as a job is asked for.
    """
    decision = decide(history, scheduler)
    if isinstance(decision, Wait | Done):
        return 0
    again = len(history.retry)
    if isinstance(decision, Repeat) or not history.may_start:  # after repeats no new trial starts
        return max(1, again)
    limit = history.limits.trials
    return MANY if limit is None else max(1, limit - history.begun + again)
