"""ASHA's stopping variant: one job for each trial, straight to R, judged at each rung on the way.

Li et al. 2020 promote paused trials; this is the variant without pausing that its first author added to
Determined, after Ray Tune. It needs no checkpoints, and stops what promotion would never resume.

At a rung the newcomer's result is taken in, and it goes on if it is among the best max(1, floor(n / eta)) of
all n results there, by (value, trial); else it is stopped for good.

What happens when:
- values are equal: the older trial is the better one, so that a plateau doesn't let everything go on;
- a rung has fewer than eta results: its best one so far goes on;
- the result is `inf` (NaN, infinite, missing): it counts in n and is stopped, even if it is alone;
- a trial failed on the way: it counts in n at the next rung as the worst;
- a report skips rungs: it is judged at each of them, and stopped if any says so;
- a job reaches its end before it obeys: its result counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from rung.schedulers.base import DONE, WAIT, Decision, Start, Stop
from rung.schedulers.ladder import ladder_of
from rung.schedulers.rungs import TopRung
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import History, Result


class Verdicts:
    """The rungs below R by resource, and the trials that are to be stopped, in the order of their results."""

    __slots__ = ("doomed", "rungs", "start")

    def __init__(self, ladder: tuple[int, ...], eta: int) -> None:
        self.start = Start(ladder[-1], gates=ladder[:-1])
        self.rungs = {resource: TopRung(eta, least=1) for resource in ladder[:-1]}
        self.doomed: dict[int, None] = {}

    def judge(self, result: Result) -> None:
        """Take a result in; a trial that still runs and isn't among the best is to be stopped."""
        rung = self.rungs.get(result.resource)
        if rung is not None:
            rung.add(result.value, result.trial)
            if not rung.holds(result.value, result.trial):
                self.doomed[result.trial] = None
        if result.ended:  # nothing is left to stop
            self.doomed.pop(result.trial, None)


@dataclass(frozen=True)
class ASHAStopping:
    """Asynchronous successive halving by stopping."""

    def initial(self, identity: Identity) -> Verdicts:
        return Verdicts(ladder_of(identity), identity.eta)

    def fold(self, state: Verdicts, item: JobStarted | Result | TrialStopped) -> Verdicts:
        if type(item) is Result:
            state.judge(item)
        elif type(item) is TrialStopped:
            state.doomed.pop(item.trial, None)
        return state

    def next(self, history: History) -> Decision:
        """Stop what is to be stopped, else start, else wait or be done."""
        state: Verdicts = history.scheduler
        for trial in state.doomed:  # each runs, or waits to run again
            return Stop(trial)
        if history.may_start:
            return state.start
        return WAIT if history.running or history.retry else DONE

    def may_resume(self, history: History, trial: int) -> bool:
        """Never: a trial has one job."""
        return False
