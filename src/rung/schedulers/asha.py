"""ASHA, asynchronous successive halving by promotion: Li et al. 2020 (MLSys), Algorithm 2.

Whenever a worker is free: from the highest rung down, promote the best trial that is among the top
floor(n / eta) of *all* n results of its rung and not promoted yet; if there is none, start a new
configuration in the lowest rung. No worker ever waits for a rung to fill.

What happens when:
- a trial failed (crash, NaN, infinite, missing): its result counts in n as the worst, it is never promoted,
  and the slot that it leaves is not handed on: k = floor(n / eta) stays what it is;
- values are equal: the older trial is the better one;
- a rung has fewer than eta results: k = 0, it promotes nothing;
- all of a rung failed: it promotes nothing; new configurations go on being started;
- no more may be started: the promotions that the results allow are finished, then it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from rung.schedulers.base import DONE, WAIT, Decision, Resume, Start, at_its_end
from rung.schedulers.ladder import ladder_of
from rung.schedulers.rungs import Rung
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import History, Result
from rung.trials.states import TrialState


class Promotions:
    """The rungs of one or more brackets, each keyed by (bracket, resource).

    Attributes:
        starts: what starts a new configuration, by bracket.
        started: configurations started so far, by bracket.
        order: all rungs that promote, in the order in which they are looked up.
    """

    __slots__ = ("_above", "_rungs", "order", "started", "starts")

    def __init__(self, ladders: list[tuple[int, ...]], eta: int) -> None:
        self.starts = [Start(rungs[0], bracket) for bracket, rungs in enumerate(ladders)]
        self.started = [0] * len(ladders)
        self._rungs: dict[tuple[int, int], Rung] = {}
        self._above: dict[tuple[int, int], Rung] = {}  # by the resource to which the rung promotes
        for bracket, rungs in enumerate(ladders):
            for resource, above in pairwise(rungs):
                rung = Rung(eta, above)
                self._rungs[bracket, resource] = self._above[bracket, above] = rung
        highest_first = sorted(self._rungs.items(), key=lambda item: (-item[1].above, item[0][0]))
        self.order = tuple(rung for _, rung in highest_first)

    def rung(self, bracket: int, resource: int) -> Rung | None:
        """The rung of a bracket at a resource; None at the largest, which promotes nothing."""
        return self._rungs.get((bracket, resource))

    def fold(self, item: JobStarted | Result | TrialStopped) -> None:
        """Take in a job that started or a result."""
        if type(item) is Result:
            rung = self._rungs.get((item.bracket, item.resource))
            if rung is not None:
                rung.add(item.value, item.trial)
        elif type(item) is JobStarted:
            rung = self._above.get((item.bracket, item.until))
            if rung is not None:
                rung.promote(item.trial)
            else:
                self.started[item.bracket] += 1

    def promotion(self) -> Resume | None:
        """The promotion that is due, if any: the highest rung first, and its best trial."""
        for rung in self.order:
            if rung.candidate >= 0:
                return Resume(rung.candidate, rung.above)
        return None


def may_be_promoted(state: Promotions, history: History, trial: int) -> bool:
    """Whether a paused trial can still go on: any can, while results are to come."""
    if history.states[trial] is not TrialState.PAUSED:
        return False
    return not at_its_end(history) or state.promotion() is not None


@dataclass(frozen=True)
class ASHA:
    """Asynchronous successive halving by promotion."""

    def initial(self, identity: Identity) -> Promotions:
        return Promotions([ladder_of(identity)], identity.eta)

    def fold(self, state: Promotions, item: JobStarted | Result | TrialStopped) -> Promotions:
        state.fold(item)
        return state

    def next(self, history: History) -> Decision:
        """Promote, else start, else wait or be done."""
        state: Promotions = history.scheduler
        promotion = state.promotion()
        if promotion is not None:
            return promotion
        if history.may_start:
            return state.starts[0]
        return WAIT if history.running or history.retry else DONE

    def may_resume(self, history: History, trial: int) -> bool:
        """Any paused trial may, until the last configuration was started and nothing runs."""
        return may_be_promoted(history.scheduler, history, trial)
