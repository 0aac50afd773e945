"""Population based training (Jaderberg et al. 2017, Algorithm 1), as jobs.

A population of members trains side by side. Every `interval` of the resource a member is ready: if it is in
the bottom `quantile` of the population it exploits, else it trains on. To exploit is to start a new trial
from the checkpoint of a member of the top `quantile`, picked at random, with that member's configuration
explored (see `Explore`): a trial is one configuration for life, so a member is a chain of trials. The chain
is in the log (`Origin.parent`, and where each trial began), and `rung.study.lineage` reads the schedule of
values off it.

Members never wait for each other: one that is ready is compared with the latest values of all others, as in
the paper, however far these are. Where workers are fewer than members, whoever lags behind goes first. A
member's place in the population is its trial's bracket.

What happens when:
- a trial failed (crash, NaN, infinite, missing): its member exploits, as the worst; if nobody is sound, a new
  configuration of the sampler's takes its place;
- the `quantile` of all members is less than one: the worst exploits, as soon as two of them are known;
- values are equal: the older trial is the better one;
- no more configurations may be started: members train on to R, and those that failed end;
- all members have reached R (or ended) and more may be started: another population begins;
- the objective saves no checkpoints: an exploiting trial begins at 0 with the explored configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

from rung.errors import StudyError
from rung.schedulers.base import DONE, WAIT, Decision, Explore, Resume, Start
from rung.space.draws import key
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import WORST, History, Result
from rung.trials.states import TrialState

_PLACES = 1000  # from the first place of a population to that of the next, where its size is not given
_STREAM = 17  # apart from other keys made of a study's seed


class Member:
    """One place of the population: its present trial, and what that reached."""

    __slots__ = ("reached", "trial", "value")

    def __init__(self, trial: int) -> None:
        self.trial = trial
        self.value = WORST
        self.reached = 0


class Population:
    """The state: members by place, and which of them are ready, in the order of their results.

    Attributes:
        first: the first place of the present population; earlier ones have ended.
        members: by place, of the present population.
        ready: places of members whose job has ended below R; a dict for its order.
    """

    __slots__ = ("first", "largest", "members", "places", "ready")

    def __init__(self, places: int, largest: int) -> None:
        self.first = 0
        self.places = places
        self.largest = largest
        self.members: dict[int, Member] = {}
        self.ready: dict[int, None] = {}

    def started(self, job: JobStarted) -> None:
        """A member's first job, its next one, or a trial that takes a member's place."""
        if job.bracket >= self.first + self.places:  # another population
            self.first += self.places
            self.members.clear()
            self.ready.clear()
        self.ready.pop(job.bracket, None)
        member = self.members.get(job.bracket)
        if member is None or member.trial != job.trial:
            self.members[job.bracket] = Member(job.trial)

    def told(self, result: Result) -> None:
        """A job's end; one of a trial whose place another has taken is history."""
        member = self.members.get(result.bracket)
        if member is not None and member.trial == result.trial:
            member.value, member.reached = result.value, result.resource
            if result.value == WORST or result.resource < self.largest:
                self.ready[result.bracket] = None

    def ranked(self) -> list[tuple[float, int, int]]:
        """(value, trial, place) of the members that have a value, best first."""
        return sorted((m.value, m.trial, place) for place, m in self.members.items() if m.reached)


def members(population: int | None, trials: int | None) -> int:
    """The size of a population: as given, else 20, or a quarter of the trials if these are few."""
    if population is not None:
        return population
    return 20 if trials is None else min(20, max(2, trials // 4))


@dataclass(frozen=True)
class PBT:
    """Population based training.

    Args:
        population: members; None for 20, but a quarter of the trials that the study may start, if these are
            fewer than 80: else none of them would ever copy another.
        interval: resource between two looks at a member; a tenth of R (at least r) if None.
        quantile: the part of the population that exploits, and the part that it copies.
        resample: probability that a parameter is drawn anew when a configuration is explored.
        factor: by which numbers are multiplied or divided else.

    Raises:
        StudyError: a setting outside its range.
    """

    population: int | None = None
    interval: int | None = None
    quantile: float = 0.2
    resample: float = 0.25
    factor: float = 1.2

    def __post_init__(self) -> None:
        if self.population is not None and self.population < 2:
            raise StudyError(f"pbt needs a population of at least 2, not {self.population}")
        if self.interval is not None and self.interval < 1:
            raise StudyError(f"pbt's interval must be at least 1, not {self.interval}")
        if not 0.0 < self.quantile <= 0.5:
            raise StudyError(f"pbt's quantile must be above 0 and at most 0.5, not {self.quantile}")
        if not (0.0 <= self.resample <= 1.0 and self.factor > 1.0):
            raise StudyError("pbt's resample must be from 0 to 1, and its factor above 1")

    def initial(self, identity: Identity) -> Population:
        return Population(self.population or _PLACES, identity.resource.maximum if identity.resource else 1)

    def fold(self, state: Population, item: JobStarted | Result | TrialStopped) -> Population:
        if isinstance(item, JobStarted):
            state.started(item)
        elif isinstance(item, Result):
            state.told(item)
        return state

    def next(self, history: History) -> Decision:
        """Fill the population, else train a ready member on or let it exploit, else wait or be done."""
        state: Population = history.scheduler
        if history.may_start and len(state.members) < members(self.population, history.limits.trials):
            place = next(p for p in range(state.first, state.first + state.places) if p not in state.members)
            return Start(self._step(history, 0), bracket=place)
        for place in sorted(state.ready, key=lambda one: state.members[one].reached):
            decision = self._of_member(history, state, place)
            if decision is not None:
                return decision
        busy = bool(history.running or history.retry)
        if history.may_start and not busy:  # all have reached R, or ended
            return Start(self._step(history, 0), bracket=state.first + state.places)
        return WAIT if busy else DONE

    def _of_member(self, history: History, state: Population, place: int) -> Decision | None:
        """What a ready member does; None if it failed and nobody may take its place."""
        member = state.members[place]
        if member.value < WORST and not (history.may_start and self._is_bottom(history, place)):
            return Resume(member.trial, self._step(history, member.reached))
        if not history.may_start:
            return None
        parent = self._parent(history, state, place)
        if parent is not None:
            until = self._step(history, history.start_of(parent))
            return Start(until, bracket=place, parent=parent, explore=Explore(self.resample, self.factor))
        if member.value < WORST:
            return Resume(member.trial, self._step(history, member.reached))
        return Start(self._step(history, 0), bracket=place)

    def _cut(self, known: int) -> int:
        """How many of so many members are at the top, and at the bottom."""
        return int(known * self.quantile + 1e-9)

    def _is_bottom(self, history: History, place: int) -> bool:
        state: Population = history.scheduler
        ranked = state.ranked()
        cut = self._cut(len(ranked))
        if len(ranked) > 1 and not self._cut(members(self.population, history.limits.trials)):
            cut = 1  # else such a population would never exploit
        return cut > 0 and any(other == place for _, _, other in ranked[-cut:])

    def _parent(self, history: History, state: Population, place: int) -> int | None:
        """A member of the top that is not through, at random by the study's seed.

        One whose job still runs may have its last checkpoint already: nothing is left to train from there.
        """
        ranked = [row for row in state.ranked() if row[0] < WORST and row[2] != place]
        top = ranked[: max(1, self._cut(len(state.members)))]
        below = [trial for _, trial, place in top if state.members[place].reached < state.largest]
        fit = [trial for trial in below if history.start_of(trial) < state.largest]
        if not fit:
            return None
        return fit[key(history.identity.seed, _STREAM, history.begun) % len(fit)]

    def _step(self, history: History, reached: int) -> int:
        """Where the next job of a trial that stands at `reached` ends."""
        resource = history.identity.resource
        if resource is None:
            return 1
        wide = self.interval or max(resource.minimum, resource.maximum // 10)
        return min(resource.maximum, reached + wide)

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether the trial is a member that is not through: it trains on, and others may copy it."""
        state: Population = history.scheduler
        member = state.members.get(history.brackets[trial])
        if member is None or member.trial != trial or history.states[trial] is not TrialState.PAUSED:
            return False
        return member.value < WORST
