"""Multi-objective ASHA: Schmucker et al. 2021 (arXiv:2106.12639), with epsilon-net sorting.

ASHA by promotion (`asha`), but what is best in a rung is decided on all objectives: the trials are sorted
into fronts, each those that no other that is left dominates; within a front by an epsilon-net, so that the
trials that are promoted first lie far apart on it. Promoted is the first in this order that is among the
top floor(n / eta) and not promoted yet.

What the paper leaves open, and how it is here:
- an epsilon-net begins with the trial of the front that is best in the first objective; distances are
  between objectives that are scaled to [0, 1] over the rung, so that their units don't matter; of two trials
  that are equally far the older one comes first, so that of two equal trials the second comes last;
- a result that breaks constraints is behind all that break none, and the less it breaks them the better;
- a rung is sorted over its latest 256 results: up to so many it is the paper's rule exactly, and after more
  it promotes the top floor(256 / eta) of these. So a decision costs the same after any number of results;
- a study with one objective is `asha`.

What happens when:
- a trial failed (crash, NaN, infinite or missing value of any objective): it counts in n, and is never
  promoted; the slot that it leaves is not handed on;
- a rung has fewer than eta results, or all failed: it promotes nothing;
- the order changes: a new result may put others ahead of those that were promoted, so that more than
  floor(n / eta) are promoted in the end, as in `asha`, but no result is promoted twice;
- no more may be started: the promotions that the results allow are finished, then it is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final, NamedTuple

import numpy as np

from rung.schedulers.base import DONE, WAIT, ByState, Decision, Resume, Start, at_its_end
from rung.schedulers.fronts import epsilon_net, fronts, scaled
from rung.schedulers.ladder import ladder_of
from rung.schedulers.promotion import Promotions
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import WORST, History, Result
from rung.trials.running import Measure
from rung.trials.states import TrialState

LATEST: Final = 256  # results of a rung that are sorted


class Entry(NamedTuple):
    """A trial's result in a rung; `measure` is None if it failed."""

    trial: int
    measure: Measure | None


def groups(entries: Sequence[Entry]) -> Iterator[tuple[list[int], Iterator[int]]]:
    """The trials that did not fail, the best group of them first: each with an iterator in its own order.

    A group is a front, or a trial that breaks constraints. Only as much is sorted as is asked for.
    """
    sound = sorted((trial, measure) for trial, measure in entries if measure is not None)  # the older first
    kept = [(trial, measure.vector) for trial, measure in sound if measure.violation == 0.0]
    broken = [(measure.violation, trial) for trial, measure in sound if measure.violation > 0.0]
    if kept:
        vectors = np.array([vector for _, vector in kept])
        even = scaled(vectors)
        for front in fronts(vectors):
            members = [kept[place][0] for place in front]
            yield members, map(members.__getitem__, epsilon_net(even[front]))
    for _, trial in sorted(broken):
        yield [trial], iter([trial])


class FrontRung:
    """A rung from which trials are promoted to the rung above, at resource `above`."""

    __slots__ = ("_candidate", "_eta", "_latest", "_outside", "_promoted", "above")

    def __init__(self, eta: int, above: int) -> None:
        self.above = above
        self._eta = eta
        self._latest: deque[Entry] = deque(maxlen=LATEST)
        self._promoted: set[int] = set()
        self._outside: Set[int] = frozenset()
        self._candidate: int | None = -1  # None: not looked for yet

    def add(self, result: Result) -> None:
        """Take a result in."""
        if len(self._latest) == LATEST:
            self._promoted.discard(self._latest[0].trial)
        sound = result.value < WORST
        self._latest.append(Entry(result.trial, result.measure if sound else None))
        self._candidate = None

    def promote(self, trial: int) -> None:
        """`trial` goes on."""
        self._promoted.add(trial)
        self._candidate = None

    def pass_over(self, outside: Set[int]) -> None:
        """Promote none of these trials; they count in n only."""
        self._outside = outside
        self._candidate = None

    @property
    def candidate(self) -> int:
        """The trial to promote next, or -1; worked out when it is first asked for after a change."""
        if self._candidate is None:
            self._candidate = self._look()
        return self._candidate

    def _look(self) -> int:
        places = len(self._latest) // self._eta
        if places:
            ranked = [entry for entry in self._latest if entry.trial not in self._outside]
            for members, order in groups(ranked):
                if not self._promoted.issuperset(members):
                    for trial in islice(order, places):
                        if trial not in self._promoted:
                            return trial
                places -= len(members)
                if places <= 0:
                    break
        return -1


class FrontPromotions:
    """The state: the rungs below R, the highest first."""

    __slots__ = ("_above", "_rungs", "_start")

    def __init__(self, ladder: tuple[int, ...], eta: int) -> None:
        self._start = Start(ladder[0])
        steps = reversed(list(pairwise(ladder)))
        self._rungs = {resource: FrontRung(eta, above) for resource, above in steps}
        self._above = {rung.above: rung for rung in self._rungs.values()}

    def fold(self, item: JobStarted | Result | TrialStopped) -> None:
        """Take in a job that started or a result."""
        if type(item) is Result:
            if item.resource in self._rungs:
                self._rungs[item.resource].add(item)
        elif type(item) is JobStarted and item.until in self._above:
            self._above[item.until].promote(item.trial)

    def pass_over(self, outside: Set[int]) -> None:
        """Promote none of these trials."""
        for rung in self._rungs.values():
            rung.pass_over(outside)

    def next(self, history: History) -> Decision:
        """Promote, else start, else wait or be done."""
        for rung in self._rungs.values():
            if rung.candidate >= 0:
                return Resume(rung.candidate, rung.above)
        if history.may_start:
            return self._start
        return WAIT if history.running or history.retry else DONE

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether a paused trial can still go on: any can, while results are to come."""
        if history.states[trial] is not TrialState.PAUSED:
            return False
        return not at_its_end(history) or any(rung.candidate >= 0 for rung in self._rungs.values())


@dataclass(frozen=True)
class MOASHA(ByState):
    """Asynchronous successive halving by promotion for several objectives."""

    def initial(self, identity: Identity) -> Promotions | FrontPromotions:
        if len(identity.goals) < 2:
            return Promotions([ladder_of(identity)], [1], identity.eta)
        return FrontPromotions(ladder_of(identity), identity.eta)
