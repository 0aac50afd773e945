"""PASHA, progressive asynchronous successive halving: Bohdal et al. 2023 (ICLR), Algorithm 1.

ASHA by promotion on a ladder that begins with two rungs. After each result at the highest rung in use, its
trials are ranked by their values there and by their values one rung below. While the two rankings agree the
ladder stays as it is, and no trial is trained beyond it; when they differ it gets one rung more, up to R.

They agree (soft ranking) if the trial in place i of the upper ranking has, one rung below, a value
within epsilon of the trial that is in place i there. Epsilon is the 90th percentile of the distances
between trials whose curves criss-cross: of two such trials first the one, then the other, then the first is
better again, which is noise. What the paper leaves open, and how it is here:

- a curve is what reports tell on the way: each unit of the resource, up to 8 evenly spaced ones between two
  rungs. They are gates, at which nobody is stopped. With a fixed `epsilon` there are none;
- compared are curves of trials that reached the highest rung in use, each with the 64 that did so last, at
  their values there; until two of them criss-cross epsilon is 0, and after the ladder has grown it stays
  what it was until two do so on its new rung;
- up to 512 trials at the highest rung the rankings are looked at after each result, and then whenever there
  are a 64th more, so that a ladder that stays stable for long costs O(log n) a result in the mean.

What happens when:
- a trial failed (crash, NaN, infinite, missing): it counts in its rung's n as the worst, is never promoted,
  and is in no ranking; a NaN at a gate from which the job goes on is a gap in its curve only;
- values are equal: the older trial is the better one, in promotions and in rankings;
- a rung has fewer than eta results: it promotes nothing; with fewer than two trials rankings agree;
- all of a rung failed: the ladder stays, and new configurations go on being started;
- no more may be started: promotions up to the highest rung in use are finished, and it is done.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Set
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rung.errors import StudyError
from rung.schedulers.base import DONE, WAIT, ByState, Decision, Resume, Start, at_its_end
from rung.schedulers.ladder import ladder_of
from rung.schedulers.quantile import RunningPercentile
from rung.schedulers.rungs import Rung
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import WORST, History, Result
from rung.trials.states import TrialState

PERCENT = 90.0  # of the distances between criss-crossing curves
_POINTS = 8  # of a curve, from one rung to the next
_CURVES = 64  # with which a new one is compared
_EACH = 512  # trials at the highest rung up to which rankings are compared after each result


def points(below: int, above: int) -> tuple[int, ...]:
    """Resources between two rungs at which a curve is looked at."""
    step = above - below
    if step <= _POINTS:
        return tuple(range(below + 1, above))
    return tuple(below + step * i // _POINTS for i in range(1, _POINTS))


def criss_cross(curve: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the other curves (n, points) are, against `curve` (points,), better, worse and better again.

    Or worse, better and worse; the last of the three is at the last point.
    """
    order = (others > curve).astype(np.int8) - (others < curve)  # 0 where equal, and at gaps
    last = order[:, -1:]
    before = np.logical_or.accumulate((order == last) & (last != 0), axis=1)
    found: NDArray[np.bool_] = ((order == -last) & before).any(axis=1)
    return found


class Noise:
    """What criss-crossing curves tell of the noise; without a state where epsilon is fixed."""

    __slots__ = ("_curves", "_distances", "_finished", "epsilon")

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon
        self._curves: dict[int, list[float]] = {}
        self.next_rung()

    def next_rung(self) -> None:
        """The ladder has grown: only trials that reach its new rung are compared from now on."""
        self._finished: deque[NDArray[np.float64]] = deque(maxlen=_CURVES)
        self._distances = RunningPercentile(PERCENT)

    def saw(self, trial: int, value: float) -> None:
        """The next point of a trial's curve; NaN is a gap."""
        self._curves.setdefault(trial, []).append(value)

    def failed(self, trial: int) -> None:
        """The trial's curve ends."""
        self._curves.pop(trial, None)

    def finished(self, trial: int) -> None:
        """A trial reached the highest rung: its curve is compared with those of the last that did."""
        curve = np.array(self._curves[trial])
        if self._finished:
            others = np.stack(self._finished)
            for other in others[criss_cross(curve, others)]:
                self._distances.add(abs(float(other[-1]) - float(curve[-1])))
            if len(self._distances):
                self.epsilon = self._distances.value()
        self._finished.append(curve)


class Progressive:
    """The state: the rungs, how many of them are in use, and the rankings at the two highest of these."""

    __slots__ = (
        "_below",
        "_due",
        "_gates",
        "_heading",
        "_ladder",
        "_level",
        "_noise",
        "_rungs",
        "_start",
        "_top",
        "_upper",
        "_watches",
    )

    def __init__(self, ladder: tuple[int, ...], eta: int, epsilon: float | None) -> None:
        self._ladder = ladder
        self._level = {resource: level for level, resource in enumerate(ladder)}
        self._rungs = [Rung(eta, above) for above in ladder[1:]]
        steps = pairwise((0, *ladder))
        self._gates = [points(*step) if epsilon is None and len(ladder) > 2 else () for step in steps]
        self._start = Start(ladder[0], gates=self._gates[0])
        self._top = min(1, len(ladder) - 1)  # the highest rung in use
        self._heading: dict[int, int] = {}  # of each running trial, the rung that its job runs to
        self._watches = epsilon is None  # curves
        self._noise = Noise(epsilon or 0.0)
        self._below: dict[int, float] = {}  # values one rung below the highest
        self._upper: list[tuple[float, int, float]] = []  # at the highest: value, trial, value below
        self._due = 2  # trials there, from which on rankings are compared again

    @property
    def maximum(self) -> int:
        """The largest resource that is used so far."""
        return self._ladder[self._top]

    @property
    def epsilon(self) -> float:
        """How far values may lie apart and count as equal in rank."""
        return self._noise.epsilon

    @property
    def _grows(self) -> bool:
        return self._top < len(self._ladder) - 1

    def fold(self, item: JobStarted | Result | TrialStopped) -> None:
        """Take in a job that started or a result."""
        if type(item) is Result:
            if item.ended and item.value == WORST:
                self._failed(item.trial)
            else:
                self._told(item)
        elif type(item) is JobStarted:
            level = self._heading[item.trial] = self._level[item.until]
            if level > 0:
                self._rungs[level - 1].promote(item.trial)

    def _failed(self, trial: int) -> None:
        """It may have failed at a gate on the way: it counts at the rung that it was heading for."""
        level = self._heading.pop(trial)
        if level < len(self._rungs):
            self._rungs[level].add(WORST, trial)
        self._noise.failed(trial)

    def _told(self, result: Result) -> None:
        if self._watches and self._grows:
            self._noise.saw(result.trial, result.value if result.value < WORST else math.nan)
        level = self._heading[result.trial]
        if result.resource != self._ladder[level]:
            return  # a gate on the way
        del self._heading[result.trial]
        if level < len(self._rungs):
            self._rungs[level].add(result.value, result.trial)
        if self._grows:
            self._rank(level, result)

    def _rank(self, level: int, result: Result) -> None:
        if level == self._top - 1:
            self._below[result.trial] = result.value
        elif level == self._top:
            self._upper.append((result.value, result.trial, self._below[result.trial]))
            if self._watches:
                self._noise.finished(result.trial)
            number = len(self._upper)
            if number >= self._due:
                self._due = number + (1 if number < _EACH else number // 64)
                if not self._agree():
                    self._grow()

    def _agree(self) -> bool:
        """Whether the rankings at the two highest rungs are the same, up to epsilon."""
        places = np.array([below for _, _, below in sorted(self._upper)])
        with np.errstate(over="ignore"):  # an infinite distance is one
            distances = np.abs(places - np.sort(places))
        return bool((distances <= self._noise.epsilon).all())

    def _grow(self) -> None:
        self._top += 1
        self._below = {trial: value for value, trial, _ in self._upper}
        self._upper = []
        self._due = 2
        if self._grows:
            self._noise.next_rung()
        else:  # for good
            self._below = {}
            self._noise = Noise(self._noise.epsilon)

    def pass_over(self, outside: Set[int]) -> None:
        """Promote none of these trials."""
        for rung in self._rungs:
            rung.pass_over(outside)

    def next(self, history: History) -> Decision:
        """Promote, else start, else wait or be done."""
        for level in range(self._top - 1, -1, -1):
            rung = self._rungs[level]
            if rung.candidate >= 0:
                return Resume(rung.candidate, rung.above, self._gates[level + 1] if self._grows else ())
        if history.may_start:
            return self._start if self._grows else Start(self._ladder[0])
        return WAIT if history.running or history.retry else DONE

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether a paused trial can still go on: any can, while results are to come."""
        if history.states[trial] is not TrialState.PAUSED:
            return False
        return not at_its_end(history) or any(rung.candidate >= 0 for rung in self._rungs[: self._top])


@dataclass(frozen=True)
class PASHA(ByState):
    """Asynchronous successive halving that grows its ladder only while rankings are unstable.

    Args:
        epsilon: values this close count as equal in rank; None: found from the noise of the curves.
    """

    epsilon: float | None = None

    def __post_init__(self) -> None:
        if self.epsilon is not None and not 0.0 <= self.epsilon < math.inf:
            raise StudyError(f"pasha needs an epsilon that is a number of at least 0, not {self.epsilon}")

    def initial(self, identity: Identity) -> Progressive:
        return Progressive(ladder_of(identity), identity.eta, self.epsilon)
