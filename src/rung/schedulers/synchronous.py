"""Synchronous brackets of successive halving, shared by `sha` and `hyperband`: state, fold and rule.

A bracket has stages. Its first starts `planned` configurations; when every one of a stage's jobs has its
result, the best go on to the next, as many as that one plans. A free worker is never left at this barrier:
it opens the next bracket. Promotions come first, the oldest bracket's before others, the best trial first.

What happens when:
- trials failed: they count as the worst and are never promoted; the next stage takes as many as it plans,
  but sound ones only, and later stages keep their plan;
- values are equal: the older trial is the better one;
- no more may be started and the last bracket is not full: it goes on with the n that it has, planning
  floor(n / eta), floor(n / eta^2), ... for the stages above; it is closed then, and what is started if the
  study is extended goes to the next bracket;
- such a bracket has fewer than eta results: it promotes nothing, and ends;
- all of a stage failed: the bracket ends;
- the space was changed: trials that it has no more are not chosen; where they were already, the next stage
  takes so many fewer.
"""

from __future__ import annotations

from collections.abc import Set
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from rung.schedulers.base import DONE, WAIT, Decision, Resume, Start, at_its_end
from rung.schedulers.ladder import shrink
from rung.trials.events import JobStarted, TrialStopped
from rung.trials.history import WORST, History, Result
from rung.trials.states import TrialState


class BracketPlan(NamedTuple):
    """What a bracket runs: at each of `rungs`, so many `trials`."""

    rungs: tuple[int, ...]
    trials: tuple[int, ...]


class Stage:
    """One rung of one bracket.

    Attributes:
        planned: how many jobs it takes.
        told: how many results it has.
        sound: a heap of the finite results (value, trial); emptied when the stage is done.
        chosen: when it is done, the trials still to be promoted; the best is the last.
    """

    __slots__ = ("chosen", "done", "planned", "resource", "sound", "started", "told")

    def __init__(self, resource: int, planned: int) -> None:
        self.resource = resource
        self.planned = planned
        self.started = 0
        self.told = 0
        self.done = False
        self.sound: list[tuple[float, int]] = []
        self.chosen: list[int] = []

    def finish(self, places: int, outside: Set[int]) -> int:
        """All results are in: choose the best `places` of the sound ones; returns how many there are."""
        self.done = True
        while self.sound and len(self.chosen) < places:
            _, trial = heappop(self.sound)
            if trial not in outside:
                self.chosen.append(trial)
        self.chosen.reverse()
        self.sound.clear()
        return len(self.chosen)


class Bracket:
    """One run of successive halving; `stages` from the lowest rung up."""

    __slots__ = ("number", "plan", "stages")

    def __init__(self, number: int, plan: BracketPlan) -> None:
        self.number = number
        self.plan = plan.trials
        self.stages = [Stage(*stage) for stage in zip(plan.rungs, plan.trials, strict=True)]

    @property
    def filling(self) -> bool:
        """Whether its first stage takes more configurations."""
        first = self.stages[0]
        return not first.done and first.started < first.planned

    def finish(self, index: int, outside: Set[int]) -> bool:
        """Stage `index` has all its results; returns whether the bracket goes on."""
        if index + 1 == len(self.stages):
            self.stages[index].done = True
            return False
        following = self.stages[index + 1]
        following.planned = self.stages[index].finish(self.plan[index + 1], outside)
        return following.planned > 0

    def cut_short(self, eta: int, outside: Set[int]) -> bool:
        """Go on with the configurations that were started; returns whether the bracket goes on."""
        size = self.stages[0].planned = self.stages[0].started
        self.plan = shrink(size, len(self.stages), eta)
        return self.finish(0, outside)


class Brackets:
    """The state: all open brackets by number. `table` has their plans, over and over."""

    __slots__ = ("_outside", "_ready", "eta", "open", "opened", "table")

    def __init__(self, table: tuple[BracketPlan, ...], eta: int) -> None:
        self.table = table
        self.eta = eta
        self.open: dict[int, Bracket] = {}
        self.opened = 0
        self._ready: list[int] = []  # a heap of the numbers of brackets that have somebody to promote
        self._outside: Set[int] = frozenset()  # trials that are passed over

    def fold(self, item: JobStarted | Result | TrialStopped) -> None:
        """Take in a job that started or a result."""
        if type(item) is Result:
            self._told(item)
        elif type(item) is JobStarted:
            self._started(item)

    def _started(self, job: JobStarted) -> None:
        while self.opened <= job.bracket:
            plan = self.table[self.opened % len(self.table)]
            self.open[self.opened] = Bracket(self.opened, plan)
            self.opened += 1
        bracket = self.open.get(job.bracket)
        if bracket is None:
            return  # all that it had were passed over, but an earlier version promoted them
        if job.until == bracket.stages[0].resource:
            bracket.stages[0].started += 1
            return
        for below, stage in pairwise(bracket.stages):
            if stage.resource == job.until:
                stage.started += 1
                self._promoted(bracket, below, stage, job.trial)

    def _promoted(self, bracket: Bracket, below: Stage, stage: Stage, trial: int) -> None:
        if not below.done:  # the last bracket, which was not full
            self._goes_on(bracket, bracket.cut_short(self.eta, self._outside))
        if trial not in below.chosen:  # it was passed over, but an earlier version promoted it
            stage.planned += 1
            return
        below.chosen.remove(trial)  # the last one, so that this is quick
        if not below.chosen:
            self._unready(bracket)

    def _unready(self, bracket: Bracket) -> None:
        self._ready.remove(bracket.number)
        heapify(self._ready)

    def pass_over(self, outside: Set[int]) -> None:
        """Choose none of these trials; a stage that waits for nobody else is done."""
        self._outside = outside
        for number in self._ready[:]:
            bracket = self.open[number]
            index = next(i for i, stage in enumerate(bracket.stages) if stage.chosen)
            below, stage = bracket.stages[index : index + 2]
            kept = [trial for trial in below.chosen if trial not in outside]
            stage.planned -= len(below.chosen) - len(kept)
            below.chosen = kept
            if not kept:
                self._unready(bracket)
                if stage.told == stage.planned:
                    self._goes_on(bracket, bracket.finish(index + 1, outside))

    def _told(self, result: Result) -> None:
        bracket = self.open.get(result.bracket)
        if bracket is None:
            return  # as in `_started`
        for index, stage in enumerate(bracket.stages):
            if stage.resource == result.resource:
                stage.told += 1
                if result.value < WORST:
                    heappush(stage.sound, (result.value, result.trial))
                if stage.told == stage.planned and not stage.done:
                    self._goes_on(bracket, bracket.finish(index, self._outside))

    def _goes_on(self, bracket: Bracket, on: bool) -> None:
        if on:
            heappush(self._ready, bracket.number)
        else:
            del self.open[bracket.number]

    def next(self, history: History) -> Decision:
        """Promote, else start, else promote from a bracket that will never be full, else wait or be done."""
        if self._ready:
            bracket = self.open[self._ready[0]]
            for below, stage in pairwise(bracket.stages):
                if below.chosen:
                    return Resume(below.chosen[-1], stage.resource)
        latest = self.open.get(self.opened - 1)
        if history.may_start:
            return self._start(latest)
        if latest is not None and latest.filling:
            promoted = self._promotion_if_cut_short(latest)
            if promoted is not None:
                return promoted
        return WAIT if history.running or history.retry else DONE

    def _start(self, latest: Bracket | None) -> Start:
        if latest is not None and latest.filling:
            return Start(latest.stages[0].resource, latest.number)
        return Start(self.table[self.opened % len(self.table)].rungs[0], self.opened)

    def _promotion_if_cut_short(self, bracket: Bracket) -> Resume | None:
        first = bracket.stages[0]
        if first.told < first.started or first.started < self.eta or len(bracket.stages) == 1:
            return None
        best = min((key for key in first.sound if key[1] not in self._outside), default=None)
        return Resume(best[1], bracket.stages[1].resource) if best else None

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether a paused trial's bracket may still choose it, or has."""
        bracket = self.open.get(history.brackets[trial])
        if bracket is None or history.states[trial] is not TrialState.PAUSED:
            return False
        stage = next(stage for stage in bracket.stages if stage.resource == history.reached[trial])
        if stage.done:
            return trial in stage.chosen
        if bracket.filling and at_its_end(history):  # it will never be full
            return self._promotion_if_cut_short(bracket) is not None
        return True
