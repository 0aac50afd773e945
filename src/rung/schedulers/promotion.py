"""The rungs of asynchronous promotion in one or more brackets, shared by `asha` and `async-hyperband`.

Promotions come first, from the highest rung down; at one rung, the bracket with the smaller number first. If
there is none, a new configuration goes to the bracket that lags furthest behind its share of what is started.

When all configurations of a space were started, and it is not their number that ends the study but a limit of
resource, time or target, which leaves something to spend, trials go on that the rule would have left behind:
the best of the highest rung where any waits.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from itertools import pairwise

from rung.schedulers.base import DONE, WAIT, Decision, Resume, Start, at_its_end
from rung.schedulers.rungs import Rung
from rung.trials.events import JobStarted, TrialStopped
from rung.trials.history import History, Result
from rung.trials.states import TrialState


def furthest_behind(started: Sequence[int], shares: Sequence[int]) -> int:
    """The bracket with the largest deficit if one more is started; of equal ones the first."""
    total, whole = sum(started) + 1, sum(shares)
    deficits = [share * total - count * whole for share, count in zip(shares, started, strict=True)]
    return deficits.index(max(deficits))


class Promotions:
    """The state: rungs by (bracket, resource).

    Args:
        ladders: the rungs of each bracket.
        shares: how many of sum(shares) configurations each bracket starts.
        delayed: no rung promotes more than floor(n / eta) of its n trials (see `rung.schedulers.rungs.Rung`).
    """

    __slots__ = ("_above", "_order", "_rungs", "_shares", "_start", "_started", "_starts")

    def __init__(
        self, ladders: Sequence[tuple[int, ...]], shares: Sequence[int], eta: int, delayed: bool = False
    ) -> None:
        self._starts = [Start(rungs[0], bracket) for bracket, rungs in enumerate(ladders)]
        self._shares = tuple(shares)
        self._started = [0] * len(ladders)
        self._start = self._starts[furthest_behind(self._started, self._shares)]
        self._rungs: dict[tuple[int, int], Rung] = {}
        self._above: dict[tuple[int, int], Rung] = {}  # by the resource to which the rung promotes
        for bracket, rungs in enumerate(ladders):
            for resource, above in pairwise(rungs):
                rung = Rung(eta, above, delayed)
                self._rungs[bracket, resource] = self._above[bracket, above] = rung
        highest_first = sorted(self._rungs.items(), key=lambda item: (-item[1].above, item[0][0]))
        self._order = tuple(rung for _, rung in highest_first)

    def fold(self, item: JobStarted | Result | TrialStopped) -> None:
        """Take in a job that started or a result."""
        if type(item) is Result:
            rung = self._rungs.get((item.bracket, item.resource))
            if rung is not None:  # else at the largest resource
                rung.add(item.value, item.trial)
        elif type(item) is JobStarted:
            rung = self._above.get((item.bracket, item.until))
            if rung is not None:
                rung.promote(item.trial)
            else:
                self._started[item.bracket] += 1
                if len(self._starts) > 1:
                    self._start = self._starts[furthest_behind(self._started, self._shares)]

    def pass_over(self, outside: Set[int]) -> None:
        """Promote none of these trials."""
        for rung in self._order:
            rung.pass_over(outside)

    def next(self, history: History) -> Decision:
        """Promote, else start, else wait or be done."""
        for rung in self._order:
            if rung.candidate >= 0:
                return Resume(rung.candidate, rung.above)
        if history.may_start:
            return self._start
        left = self._left_behind(history)
        if left is not None:
            return Resume(left.best_waiting, left.above)
        return WAIT if history.running or history.retry else DONE

    def _left_behind(self, history: History) -> Rung | None:
        """The highest rung with somebody to run on although the rule would not; None where nobody should.

        With a limit of trials nobody does: it says how much is wanted, and the plan says what that costs at
        most (`rung.schedulers.plan`).
        """
        limits = history.limits
        ends = limits.total_resource, limits.seconds, limits.target
        if not history.exhausted or limits.trials is not None or ends == (None, None, None):
            return None
        return next((rung for rung in self._order if rung.best_waiting >= 0), None)

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether a paused trial can still go on: any can, while results are to come."""
        if history.states[trial] is not TrialState.PAUSED:
            return False
        if not at_its_end(history) or any(rung.candidate >= 0 for rung in self._order):
            return True
        return self._left_behind(history) is not None
