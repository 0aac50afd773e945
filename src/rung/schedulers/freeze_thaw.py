"""Freeze-thaw Bayesian optimisation: Swersky, Snoek & Adams 2014 (arXiv 1406.3896), section 4, Algorithm 1.

Trials run a step at a time and are paused ("frozen") after each. A model of where all curves end says which
paused trial to resume ("thaw"), or which new configuration to start: of a basket of the `old` paused trials
and the `new` configurations with the largest expected improvement of their asymptote, the one whose next
value tells most, for the resource that it takes, about which asymptote of the basket is the lowest.

What the paper leaves open, or what is different here:
- A step ends at the next rung of the ladder (the paper: one epoch), so the gain is divided by its resource.
- Hyperparameters: see `rung.models.freeze_thaw`; found anew when the results have grown by a quarter.
- Beside the basket, the three other trials with the best predictions stand among those that may be lowest.
- A study's incumbent is the best at the largest resource, so every `check`-th job takes the trial with the
  best predicted asymptote a step further, if it is paused; so do the last ones that the budget allows.
- When no configuration may be started any more, the trial that most probably ends below the best complete
  one goes on, until that probability is below `give_up` for all.
- A job that runs has, in the model, the value that is predicted for its end.
- Failed trials have the worst sound value where they failed.
- The model sees the curves of at most `points` trials: half of them those with the best latest values, the
  others the newest.

Paused trials hold checkpoints, so at most `basket` of them can be resumed: of one more, the one goes whose
latest value is behind the largest share of all values at its rung (of equal ones the younger). A trial that
breaks a constraint is not resumed. Until `first` trials were started and three values are sound, the sampler
is asked.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.models.entropy import information_gain, log_improvement, probability_below
from rung.models.freeze_thaw import Ahead, Asymptotes, Curve, Hypers, ahead, fit
from rung.models.one_thread import one_thread
from rung.schedulers.base import DONE, WAIT, Decision, Resume, Start, at_its_end
from rung.schedulers.ladder import ladder_of
from rung.schedulers.pool import Latest, candidates, features_of, latest_of, spread, stage, targets
from rung.space.draws import Rng, key
from rung.space.values import Values
from rung.trials.events import Identity, JobStarted, Origin, TrialStopped
from rung.trials.history import BEHIND, History, Result

Floats = NDArray[np.float64]

LEAST: Final = 3  # sound values that a model needs
NEAR: Final = 12  # neighbours of each of the three best configurations
BESIDE: Final = 3  # other trials that may be lowest
_STREAM: Final = 41  # apart from other keys made of a study's seed
_NAME: Final = "freeze-thaw"


class Frozen:
    """The trials, in the order of the log.

    Attributes:
        rungs: the ladder.
        results: (trial, resource, value).
        paused: those that can be resumed, and the rung they are at.
        running: until where; `jobs` the number of jobs started.
        latest: by trial, its latest value.
    """

    __slots__ = ("basket", "jobs", "latest", "paused", "ranked", "results", "rungs", "running", "started")

    def __init__(self, rungs: tuple[int, ...], basket: int) -> None:
        self.rungs, self.basket = rungs, basket
        self.results: list[tuple[int, int, float]] = []
        self.paused: dict[int, int] = {}
        self.running: dict[int, int] = {}
        self.latest: dict[int, float] = {}
        self.ranked: dict[int, list[float]] = {rung: [] for rung in rungs}
        self.jobs = 0
        self.started = 0

    def begin(self, job: JobStarted) -> None:
        self.jobs += 1
        self.started += job.trial not in self.latest
        self.paused.pop(job.trial, None)
        self.running[job.trial] = job.until

    def take(self, result: Result) -> None:
        """A result; one that ends a step pauses the trial, and may send another out of the basket."""
        trial, rung, value = result.trial, result.resource, result.value
        self.results.append((trial, rung, value))
        self.latest[trial] = value
        insort(self.ranked.setdefault(rung, []), value)
        if result.ended:
            self.running.pop(trial, None)
            if value < BEHIND and rung < self.rungs[-1]:
                self.paused[trial] = rung
                if len(self.paused) > self.basket:
                    del self.paused[max(self.paused, key=self._behind)]

    def drop(self, trial: int) -> None:
        """The trial was stopped."""
        self.running.pop(trial, None)
        self.paused.pop(trial, None)

    def above(self, rung: int) -> int:
        """The rung after this one."""
        return self.rungs[self.rungs.index(rung) + 1]

    def _behind(self, trial: int) -> tuple[float, int]:
        ranked = self.ranked[self.paused[trial]]
        return bisect_left(ranked, self.latest[trial]) / len(ranked), trial


@dataclass(frozen=True)
class FreezeThaw:
    """Resumes and starts trials by what their next value tells about the lowest asymptote.

    Args:
        first: trials that the sampler proposes.
        old, new: paused trials and new configurations that are compared.
        basket: paused trials that can be resumed, at most; their checkpoints are kept.
        check: every how many jobs the trial with the best prediction goes on.
        give_up: the probability to beat the best complete trial below which, in the end, none is resumed.
        drawn: random configurations from which new ones are chosen.
        samples: of the asymptotes, for the information gain.
        points: trials whose curves the model sees, at most.

    Raises:
        ValueError: a setting outside its range.
    """

    first: int = 6
    old: int = 10
    new: int = 3
    basket: int = 20
    check: int = 5
    give_up: float = 0.05
    drawn: int = 64
    samples: int = 192
    points: int = 160

    def __post_init__(self) -> None:
        least = {"first": 1, "old": 1, "new": 1, "basket": 1, "check": 2, "drawn": 8, "samples": 16}
        for name, smallest in (least | {"points": 10}).items():
            if getattr(self, name) < smallest:
                raise ValueError(f"{name} must be at least {smallest}, not {getattr(self, name)!r}")
        if not 0.0 < self.give_up < 1.0:
            raise ValueError(f"give_up must be between 0 and 1, not {self.give_up!r}")

    def initial(self, identity: Identity) -> Frozen:
        return Frozen(ladder_of(identity), self.basket)

    def fold(self, state: Frozen, item: JobStarted | Result | TrialStopped) -> Frozen:
        if type(item) is JobStarted:
            state.begin(item)
        elif type(item) is Result:
            state.take(item)
        elif type(item) is TrialStopped:
            state.drop(item.trial)
        return state

    @one_thread()
    def next(self, history: History) -> Decision:
        """Resume, start, wait or be done."""
        state: Frozen = history.scheduler
        latest: Latest[Hypers] = latest_of(self, history)
        starts = tuple(map(history.start_of, state.paused))  # their checkpoints may come after their results
        own = (state.jobs, len(state.results), len(state.running), starts)
        return latest.decision(history, own, lambda: _decide(self, history, latest))

    def may_resume(self, history: History, trial: int) -> bool:
        """Whether it is in the basket; at the end, whether any trial goes on."""
        state: Frozen = history.scheduler
        if trial not in state.paused:
            return False
        return not at_its_end(history) or isinstance(self.next(history), Resume)


def _decide(scheduler: FreezeThaw, history: History, latest: Latest[Hypers]) -> Decision:
    """Whom to resume, or what to start; else wait, or be done."""
    return _wanted(scheduler, history, latest) or (WAIT if history.running or history.retry else DONE)


def _wanted(scheduler: FreezeThaw, history: History, latest: Latest[Hypers]) -> Decision | None:
    state: Frozen = history.scheduler
    results = [each for each in state.results if each[0] not in history.outside]
    sound = np.cumsum([value < BEHIND for _, _, value in results])
    ready = len(sound) > 0 and sound[-1] >= LEAST and features_of(history).parameters > 0
    if not ready or (history.may_start and state.started < scheduler.first):
        return Start(state.rungs[0]) if history.may_start else _furthest(state, history)
    at = (stage(len(results), int(np.searchsorted(sound, LEAST)) + 1), history.space_version)

    def fitted() -> Hypers:
        early = _seen(scheduler, history, results[: at[0]])
        return fit(early.x, early.curves, features_of(history).groups)

    choice = _Choice(scheduler, history, _seen(scheduler, history, results), latest.hypers(at, fitted))
    if not history.may_start:
        return choice.last_thaw()
    return choice.best_further() or choice.most_told()


def _furthest(state: Frozen, history: History) -> Decision | None:
    """Without a model: the trial with the best value at the highest rung, unless one came to the end."""
    waiting = [t for t in state.paused if t not in history.outside]
    if not waiting or state.ranked[state.rungs[-1]]:
        return None
    best = min(waiting, key=lambda trial: (-state.paused[trial], state.latest[trial], trial))
    return Resume(best, state.above(state.paused[best]))


class _Seen(NamedTuple):
    """The curves that the model sees: whose they are, the columns (n, f), values standardised."""

    trials: list[int]
    x: Floats
    curves: list[Curve]
    ends: dict[int, float]  # of complete trials, by trial
    fidelity: int


def _seen(scheduler: FreezeThaw, history: History, results: list[tuple[int, int, float]]) -> _Seen:
    """The curves of at most `points` trials, older ones first."""
    state: Frozen = history.scheduler
    horizon = state.rungs[-1]
    by_trial: dict[int, list[tuple[float, float]]] = {}
    values = targets(np.array([value for _, _, value in results]))
    for (trial, rung, _), value in zip(results, values.tolist(), strict=True):
        by_trial.setdefault(trial, []).append((rung / horizon, value))
    every = list(by_trial)
    chosen = spread(np.array([by_trial[trial][-1][1] for trial in every]), scheduler.points)
    trials = sorted(every[i] for i in chosen)
    curves = [Curve(*zip(*by_trial[trial], strict=True)) for trial in trials]
    ends = {
        trial: value
        for (trial, rung, raw), value in zip(results, values.tolist(), strict=True)
        if rung == horizon and raw < BEHIND
    }
    return _Seen(trials, _columns(history, trials), curves, ends, max(rung for _, rung, _ in results))


def _columns(history: History, trials: list[int]) -> Floats:
    return features_of(history).of(history.matrix(history.space)[trials])


class _Choice:
    """One decision by the model of what is seen, running trials included."""

    def __init__(self, scheduler: FreezeThaw, history: History, seen: _Seen, hypers: Hypers) -> None:
        self._scheduler, self._history, self._seen = scheduler, history, seen
        self._state: Frozen = history.scheduler
        self._horizon = self._state.rungs[-1]
        self._curves = dict(zip(seen.trials, seen.curves, strict=True))
        self._model = self._believed(Asymptotes(seen.x, seen.curves, hypers, self._groups()), hypers)
        self._means, self._variances = self._model.predict(seen.x)
        self._place = {trial: i for i, trial in enumerate(seen.trials)}
        self._order = [seen.trials[i] for i in np.argsort(self._means, kind="stable")]
        self._paused = [trial for trial in self._state.paused if trial in self._place]

    def _groups(self) -> NDArray[np.int64]:
        return features_of(self._history).groups

    def _believed(self, model: Asymptotes, hypers: Hypers) -> Asymptotes:
        """The model when each running job has brought the value that is predicted."""
        running = {t: u for t, u in self._state.running.items() if t not in self._history.outside}
        if not running:
            return model
        x = _columns(self._history, list(running))
        curves = dict(self._curves)
        for (trial, until), mean in zip(running.items(), model.predict(x)[0].tolist(), strict=True):
            curve = curves.get(trial, _NEW)
            coming = ahead(curve, until / self._horizon, model.decay)
            value = coming.share * mean + coming.rest
            curves[trial] = Curve((*curve.times, until / self._horizon), (*curve.values, value))
        every = _columns(self._history, list(curves))
        return Asymptotes(every, list(curves.values()), hypers, self._groups())

    def best_further(self) -> Resume | None:
        """A step of the trial with the best prediction, if it is paused and it is its turn."""
        limit, best = self._history.limits.total_resource, self._order[0]
        last = limit is not None and limit - self._history.spent < 2 * self._horizon
        due = last or self._state.jobs % self._scheduler.check == self._scheduler.check - 1
        return self._resumed(best) if due and best in self._state.paused else None

    def last_thaw(self) -> Resume | None:
        """A step of the trial that most probably ends below the best complete one, unless none may."""
        if not self._paused:
            return None
        places = [self._place[trial] for trial in self._paused]
        if not self._seen.ends:
            return self._resumed(self._paused[int(np.argmin(self._means[places]))])
        best = min(self._seen.ends.values())
        chances = probability_below(self._means[places], self._variances[places], best)
        chosen = int(np.argmax(chances))
        return self._resumed(self._paused[chosen]) if chances[chosen] >= self._scheduler.give_up else None

    def most_told(self) -> Decision:
        """The trial of the basket whose next value tells most for its resource."""
        history, state, scheduler = self._history, self._state, self._scheduler
        generator = Rng(key(history.identity.seed, _STREAM, state.jobs) >> 1, len(history.values)).generator()
        old = self._promising(self._paused, scheduler.old)
        rows = self._new(generator)
        if not old and not rows:
            return Start(state.rungs[0])
        others = [trial for trial in self._order if trial not in old][:BESIDE]
        new_x = features_of(history).of(history.space.encode(rows))
        x = np.vstack([_columns(history, old), new_x, _columns(history, others)])
        coming = [ahead(self._curves[t], self._next(t) / self._horizon, self._model.decay) for t in old]
        coming += [ahead(_NEW, state.rungs[0] / self._horizon, self._model.decay)] * len(rows)
        gains = self._gains(x, coming, generator)
        costs = [self._next(t) - history.start_of(t) for t in old] + [state.rungs[0]] * len(rows)
        worth = np.maximum(gains, 1e-12) / np.array(costs)
        fits = np.array([history.may_spend(cost) for cost in costs])
        chosen = int(np.argmax(np.where(fits, worth, -1.0)))
        if chosen < len(old):
            return self._resumed(old[chosen])
        origin = Origin(_NAME, model=True, fidelity=self._seen.fidelity)
        return Start(state.rungs[0], values=rows[chosen - len(old)], origin=origin)

    def _gains(self, x: Floats, coming: list[Ahead], generator: np.random.Generator) -> Floats:
        """(c,) what the next values of the first c of x (z, f) tell about the lowest asymptote of all."""
        means, _ = self._model.predict(x)
        covariance = self._model.covariance(x, x)
        shares = np.array([each.share for each in coming])
        count = len(coming)
        cross = shares[:, None] * covariance[:count]
        variances = shares**2 * np.diagonal(covariance)[:count] + [each.variance for each in coming]
        return information_gain(means, covariance, cross, variances, generator, self._scheduler.samples)

    def _promising(self, trials: list[int], count: int) -> list[int]:
        """Those with the largest expected improvement of their asymptote."""
        places = [self._place[trial] for trial in trials]
        promise = log_improvement(self._means[places], self._variances[places], float(self._means.min()))
        return [trials[i] for i in np.argsort(-promise, kind="stable")[:count]]

    def _new(self, generator: np.random.Generator) -> list[Values]:
        """New configurations, those with the largest expected improvement."""
        history = self._history
        centres = [history.values[trial] for trial in self._order[:3]]
        tried = set(history.space.told_apart(history.values))
        rows = candidates(history, centres, generator, self._scheduler.drawn, NEAR)
        marked = dict(zip(history.space.told_apart(rows), rows, strict=True))
        rows = [row for mark, row in marked.items() if mark not in tried]
        if not rows:
            return []
        x = features_of(history).of(history.space.encode(rows))
        promise = log_improvement(*self._model.predict(x), float(self._means.min()))
        return [rows[i] for i in np.argsort(-promise, kind="stable")[: self._scheduler.new]]

    def _next(self, trial: int) -> int:
        return self._state.above(self._state.paused[trial])

    def _resumed(self, trial: int) -> Resume:
        return Resume(trial, self._next(trial))


_NEW: Final = Curve((), ())
