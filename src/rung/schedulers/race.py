"""Racing: F-race, Birattari et al. 2002 (GECCO); race after race with an elite, as in iterated F-race.

For noisy objectives, with repeats as the resource: the value at resource k is the mean over the first k
repeats (an objective that goes on from a checkpoint, or repeats all k, reports that mean). A race begins with
`candidates` configurations. All of them run the first repeat, then all survivors the second, and so on up to
R; these are the blocks. From `first_test` blocks on, after each of them, Friedman's test tells whether the
survivors differ, and those that are worse than the best by Conover's comparison drop out; of the last two
Wilcoxon's test decides (`rung.schedulers.friedman`). Ranks are among the survivors of the block.

The values of single repeats are y_k = k m_k - (k - 1) m_(k-1), rounded to 10 digits, so that ties stay ties.
A resource that begins at r > 1 has the mean of the first r repeats as its first block.

What the paper leaves open, and how it is here:
- a race ends when its survivors have run R repeats, the last survivor too: the study's incumbent is looked
  for among the trials with the most repeats, so that a winner that stopped early would not be seen;
- the best mean at R wins, and with `elite` it is a candidate of the race that opens next: it has run all of
  its repeats, so that newcomers are compared with it at no cost. Repeats with common random numbers (the
  k-th repeat of each trial has seed k) make these comparisons sharpest;
- a free worker does not wait for a block to fill: it opens the next race, with the elite of that moment.

What happens when:
- a trial failed (crash, NaN, infinite, missing): it drops out;
- values are equal: they share their ranks; of equal winners the older trial is the elite;
- a result breaks a constraint: it is behind all of its block that break none, as it stands (no mean);
- all candidates failed: the race is over, and the elite stays;
- the space was changed: a race that has begun goes on with all its candidates, but one that the space has no
  more is not the elite of those that open next: newcomers would drop out against what cannot be the best;
- no more may be started and the last race is not full: it is run with the candidates that it has, and what
  is started if the study is extended goes to the next race.

A result costs O(1) but for the last of a block, whose test costs O(blocks * candidates * log candidates),
whatever the number of trials of the study.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set
from dataclasses import dataclass, field
from heapq import heappush

import numpy as np

from rung.errors import StudyError
from rung.schedulers.base import DONE, WAIT, ByState, Decision, Resume, Start
from rung.schedulers.friedman import worse
from rung.schedulers.ladder import ladder_of
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import BEHIND, WORST, History, Result
from rung.trials.states import TrialState


@dataclass(slots=True)
class Candidate:
    """A configuration in a race: the values of its single repeats, and the mean over them."""

    trial: int
    values: list[float] = field(default_factory=list)
    mean: float = WORST

    def take(self, repeats: int, mean: float) -> None:
        """Its mean over so many repeats."""
        before = self.mean
        if self.values and max(mean, before) < BEHIND:
            value = repeats * mean - (repeats - 1) * before
            noise = 1e-12 * repeats * abs(mean)
            self.values.append(float(f"{value:.10g}") if abs(value) > noise else 0.0)
        else:
            self.values.append(float(f"{mean:.10g}"))
        self.mean = mean


class Race:
    """One race; `survivors` by trial, the elite first.

    Attributes:
        full: no more candidates join.
        block: the block that is being run, from 0.
        missing: survivors whose result in this block is to come.
        ready: survivors that are to be resumed for it.
    """

    __slots__ = ("block", "full", "missing", "number", "ready", "size", "survivors")

    def __init__(self, number: int, size: int, elite: Candidate | None) -> None:
        self.number = number
        self.size = size  # newcomers still to join
        self.full = False
        self.block = 0
        self.missing = 0
        self.ready: deque[int] = deque()
        self.survivors: dict[int, Candidate] = {elite.trial: elite} if elite is not None else {}

    @property
    def complete(self) -> bool:
        """Whether its block has all results that can come."""
        return self.full and self.missing == 0

    def join(self, trial: int) -> None:
        """A newcomer runs its first repeat."""
        self.survivors[trial] = Candidate(trial)
        self.missing += 1
        self.size -= 1
        self.full = self.size == 0

    def take(self, trial: int, repeats: int, mean: float) -> None:
        """A result in the present block; one of `inf` drops out."""
        self.missing -= 1
        if mean < WORST:
            self.survivors[trial].take(repeats, mean)
        else:
            del self.survivors[trial]

    def drop(self, alpha: float) -> None:
        """Those that are worse than the best drop out."""
        trials = list(self.survivors)
        values = np.array([self.survivors[trial].values[: self.block + 1] for trial in trials]).T
        for place in np.flatnonzero(worse(values, alpha)):
            del self.survivors[trials[place]]

    def next_block(self) -> None:
        """All who have not run it yet are to be resumed."""
        self.block += 1
        wanted = [trial for trial, each in self.survivors.items() if len(each.values) <= self.block]
        self.ready.extend(wanted)
        self.missing = len(wanted)


class Races:
    """The state: open races by number, the elite, and which races have somebody to resume."""

    __slots__ = ("_blocks", "_elite", "_first", "_open", "_opened", "_outside", "_ready", "_rule")

    def __init__(self, smallest: int, largest: int, rule: Racing) -> None:
        self._first = smallest
        self._blocks = largest - smallest + 1
        self._rule = rule
        self._elite: Candidate | None = None
        self._open: dict[int, Race] = {}
        self._opened = 0
        self._ready: list[int] = []  # a heap of the numbers of races
        self._outside: Set[int] = frozenset()  # trials that the space has no more

    def fold(self, item: JobStarted | Result | TrialStopped) -> None:
        """Take in a job that started or a result."""
        if type(item) is Result:
            race = self._open.get(item.bracket)
            if race is not None:
                race.take(item.trial, self._first + race.block, item.value)
                self._advance(race)
        elif type(item) is JobStarted:
            self._started(item)

    def _started(self, job: JobStarted) -> None:
        while self._opened <= job.bracket:
            elite = self._elite if self._rule.elite else None
            self._open[self._opened] = Race(self._opened, self._rule.candidates, elite)
            self._opened += 1
        race = self._open[job.bracket]
        if job.until == self._first:
            race.join(job.trial)
            return
        if not race.full:  # the last race, which will never be full
            race.full = True
            self._advance(race)
        race.ready.remove(job.trial)
        if not race.ready:
            self._ready.remove(race.number)
            self._ready.sort()

    def _advance(self, race: Race) -> None:
        """Go on to the next block, if this one has all of its results."""
        while race.complete and race.number in self._open:
            if race.block + 1 >= self._rule.first_test and len(race.survivors) > 1:
                race.drop(self._rule.alpha)
            if all(len(each.values) == self._blocks for each in race.survivors.values()):
                self._over(race)
            else:
                race.next_block()
        if race.ready and race.number not in self._ready:
            heappush(self._ready, race.number)

    def _over(self, race: Race) -> None:
        del self._open[race.number]
        inside = [each for each in race.survivors.values() if each.trial not in self._outside]
        if inside:
            best = min(inside, key=lambda each: (each.mean, each.trial))
            before = self._elite
            if before is None or (best.mean, best.trial) < (before.mean, before.trial):
                self._elite = best

    def next(self, history: History) -> Decision:
        """Go on in the oldest race, else start, else go on in one that will never be full, wait, be done."""
        if self._ready:
            race = self._open[self._ready[0]]
            return Resume(race.ready[0], self._first + race.block)
        latest = self._open.get(self._opened - 1)
        filling = latest is not None and not latest.full
        if history.may_start:
            return Start(self._first, self._opened - filling)
        if latest is not None and filling and not latest.missing and self._blocks > 1:
            for trial, each in latest.survivors.items():
                if len(each.values) == 1:  # not the elite
                    return Resume(trial, self._first + 1)
        return WAIT if history.running or history.retry else DONE

    def pass_over(self, outside: Set[int]) -> None:
        """A race that has begun goes on with all its candidates; none of these is an elite from now on."""
        self._outside = outside
        if self._elite is not None and self._elite.trial in outside:
            self._elite = None

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether a paused trial is still in its race."""
        race = self._open.get(history.brackets[trial])
        return history.states[trial] is TrialState.PAUSED and race is not None and trial in race.survivors


@dataclass(frozen=True)
class Racing(ByState):
    """Race after race: repeat what may be best, and drop what is worse by a test.

    Args:
        candidates: new configurations of a race.
        first_test: blocks after which candidates may drop out; with R below it none does.
        alpha: level of the tests.
        elite: the best of all races so far is a candidate of each race that opens.
    """

    candidates: int = 20
    first_test: int = 5
    alpha: float = 0.05
    elite: bool = True

    def __post_init__(self) -> None:
        if self.candidates < 2:
            raise StudyError(f"a race needs at least 2 candidates, not {self.candidates}")
        if self.first_test < 2:
            raise StudyError(f"a race needs at least 2 blocks before the first test, not {self.first_test}")
        if not 0.0 < self.alpha < 1.0:
            raise StudyError(f"the alpha of a race must be above 0 and below 1, not {self.alpha}")

    def initial(self, identity: Identity) -> Races:
        rungs = ladder_of(identity)
        return Races(rungs[0] if identity.resource is None else identity.resource.minimum, rungs[-1], self)
