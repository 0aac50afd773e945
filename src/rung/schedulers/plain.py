"""Every configuration runs straight to the largest resource: no trial is stopped early."""

from __future__ import annotations

from dataclasses import dataclass

from rung.schedulers.base import DONE, WAIT, Decision, Start
from rung.schedulers.ladder import ladder_of
from rung.trials.history import History


@dataclass(frozen=True)
class Plain:
    """Start as long as there is budget; a failed trial is not replaced."""

    def next(self, history: History) -> Decision:
        """Start another, wait, or be done."""
        if history.may_start:
            return Start(ladder_of(history.identity)[-1])
        return WAIT if history.running or history.retry else DONE

    def may_resume(self, history: History, trial: int) -> bool:
        """Never: a trial has one job."""
        return False
