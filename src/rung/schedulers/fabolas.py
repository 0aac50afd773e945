"""Fabolas: Klein, Falkner, Bartels, Hennig & Hutter 2017 (AISTATS), Algorithm 1.

The resource is the size of the data subset. A Gaussian process models the loss over (configuration, size),
another the logarithm of the cost; the next job is the configuration and the size that tell most, for their
predicted cost, about which configuration is best on all data: the information gain of entropy search.

As in the paper: a first design of random configurations, each on several small subsets; the kernels (Matern
5/2 over configurations times (1, (1 - s)^2) for the loss, (1, s) for the cost); p_min over representer points
at full size. As in the authors' code, s is the logarithm of the size, from 0 at r to 1 at R.

What the paper leaves open, or what is different here:
- Sizes are the rungs of the ladder. A larger size is a new trial of the same configuration.
- Hyperparameters are at the mode of their posterior (the paper averages over MCMC samples), found anew when
  the results have grown by a quarter.
- The cost is in seconds, as the log has them; where a trial has taken no time, all costs are the sizes.
- p_min is estimated by samples (the paper: expectation propagation). Representers are drawn from the
  candidates in proportion to their expected improvement at R; the candidates are random configurations,
  neighbours of the three with the best predictions, and tried ones.
- The paper ends with the predicted incumbent. A study's incumbent is the best at the largest resource, so
  every `check`-th configuration is the one that is predicted to be best at R, run there if it wasn't yet; so
  is the last one that the budget allows.
- A pending trial has, in the model, the result that is predicted for it.
- Failed trials have the worst sound loss, and no part in the model of costs. Losses far worse than the
  median are cut.
- The models see at most `points` results: half of them the best, the others the newest.

Where there is no model yet (fewer than three sound results after the design) the sampler is asked, at the
smallest size; a space of one configuration runs at R. There are no pauses and no stops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.models.entropy import log_improvement
from rung.models.one_thread import one_thread
from rung.models.subsets import Hypers, Results, SubsetModels, fit
from rung.schedulers.base import DONE, WAIT, Decision, Start
from rung.schedulers.ladder import ladder_of
from rung.schedulers.pool import Latest, candidates, features_of, latest_of, spread, stage, targets
from rung.space.draws import Rng, key
from rung.trials.events import Identity, JobStarted, Origin, TrialStopped
from rung.trials.history import BEHIND, History, Result
from rung.trials.states import TrialState

Floats = NDArray[np.float64]

LEAST: Final = 3  # sound results that a model needs
NEAR: Final = 12  # neighbours of each of the three best configurations
TRIED: Final = 40  # tried configurations among the candidates: those with the best predictions
_STREAM: Final = 37  # apart from other keys made of a study's seed
_NAME: Final = "fabolas"
_FAILED: Final = (TrialState.FAILED, TrialState.INFEASIBLE)


class Runs:
    """What was started, and what came of it, in the order of the log.

    Attributes:
        sizes: the ladder.
        design: the sizes of the first design: the smallest, at most three, but never R.
        started: trials; `until` their sizes.
        results: (trial, size, loss); `found` their number by trial.
    """

    __slots__ = ("design", "found", "results", "sizes", "started", "until")

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self.design = sizes[:-1][:3] or sizes
        self.started: list[int] = []
        self.until: dict[int, int] = {}
        self.results: list[tuple[int, int, float]] = []
        self.found: set[int] = set()

    def scaled(self, sizes: Floats) -> Floats:
        """s: the logarithm of sizes, from 0 at r to 1 at R; 1 if there is one size."""
        if len(self.sizes) == 1:
            return np.ones(len(sizes))
        low, high = math.log(self.sizes[0]), math.log(self.sizes[-1])
        found: Floats = (np.log(sizes) - low) / (high - low)
        return found


@dataclass(frozen=True)
class Fabolas:
    """Configurations and subset sizes chosen together, by information gain for the cost.

    Args:
        first: random configurations of the first design, each on up to three small subsets.
        check: every how many configurations the predicted best one is run on all data.
        drawn: random configurations among the candidates.
        representers: points over which p_min is estimated.
        compared: configurations whose information gain is worked out, at each size.
        samples: of the function, for p_min.
        points: results that the models see, at most.

    Raises:
        ValueError: a setting outside its range.
    """

    first: int = 5
    check: int = 5
    drawn: int = 64
    representers: int = 24
    compared: int = 30
    samples: int = 192
    points: int = 160

    def __post_init__(self) -> None:
        least = {"first": 1, "check": 2, "drawn": 8, "representers": 2}
        least |= {"compared": 2, "samples": 16, "points": 10}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ValueError(f"{name} must be at least {smallest}, not {getattr(self, name)!r}")

    def initial(self, identity: Identity) -> Runs:
        return Runs(ladder_of(identity))

    def fold(self, state: Runs, item: JobStarted | Result | TrialStopped) -> Runs:
        if type(item) is JobStarted:
            state.started.append(item.trial)
            state.until[item.trial] = item.until
        elif type(item) is Result and item.trial not in state.found:
            state.found.add(item.trial)
            state.results.append((item.trial, item.resource, item.value))
        return state

    @one_thread()
    def next(self, history: History) -> Decision:
        """Start another, wait, or be done."""
        if not history.may_start:
            return WAIT if history.running or history.retry else DONE
        state: Runs = history.scheduler
        latest: Latest[Hypers] = latest_of(self, history)
        return latest.decision(history, len(state.results), lambda: _decide(self, history, latest))

    def may_resume(self, history: History, trial: int) -> bool:
        """Never: a trial has one job."""
        return False


def _decide(scheduler: Fabolas, history: History, latest: Latest[Hypers]) -> Decision:
    """What to start next."""
    state: Runs = history.scheduler
    if features_of(history).parameters == 0:
        return Start(state.sizes[-1])
    place, first = len(state.started), min(scheduler.first, _configurations(history))
    if place < first * len(state.design):
        return _designed(state, history, place)
    results = [each for each in state.results if each[0] not in history.outside]
    sound = np.cumsum([loss < BEHIND for _, _, loss in results])
    if len(sound) == 0 or sound[-1] < LEAST:
        few = first < scheduler.first and (history.running or history.retry)
        return WAIT if few else Start(state.sizes[0])
    at = (stage(len(results), int(np.searchsorted(sound, LEAST)) + 1), history.space_version)

    def fitted() -> Hypers:
        early = _seen(scheduler, history, results[: at[0]])
        return fit(early.results, features_of(history).groups)

    seen = _seen(scheduler, history, results)
    choice = _Choice(scheduler, history, seen, _models(history, seen, latest.hypers(at, fitted)))
    return choice.best_at_largest(place - first * len(state.design)) or choice.most_told()


def _configurations(history: History) -> int:
    """How many configurations the first design may have: of a space with few, not all."""
    counts = [axis.count for axis in history.space.columns.axes]
    known = [count for count in counts if count is not None]
    return 10**6 if len(known) < len(counts) else max(1, math.prod(known) // 2)


def _designed(state: Runs, history: History, place: int) -> Start:
    """Each configuration of the first design on one size after the other; the sampler proposes it.

    The sizes that one which failed still had are given to new ones, a size each.
    """
    turn = place % len(state.design)
    turns = state.started[place - turn : place]
    if not turns or turns[0] in history.outside or any(history.states[each] in _FAILED for each in turns):
        return Start(state.design[turn])
    origin = Origin(_NAME, parent=turns[0])
    return Start(state.design[turn], values=history.values[turns[0]], origin=origin)


class _Seen(NamedTuple):
    """The results that the models see, and whose they are."""

    trials: list[int]
    results: Results
    fidelity: int  # the largest


def _seen(scheduler: Fabolas, history: History, found: list[tuple[int, int, float]]) -> _Seen:
    """At most `points` of the results found, in the order of the log."""
    state: Runs = history.scheduler
    kept = [found[i] for i in spread(np.array([loss for _, _, loss in found]), scheduler.points)]
    trials = [trial for trial, _, _ in kept]
    sizes = np.array([size for _, size, _ in kept], dtype=np.float64)
    losses = np.array([loss for _, _, loss in kept])
    seconds = np.array([history.seconds[trial] for trial in trials])
    sound = losses < BEHIND
    costs = seconds if (seconds[sound] > 0.0).all() else sizes
    logs = np.log(np.where(sound, costs, np.nan))
    results = Results(_columns(history, trials), state.scaled(sizes), targets(losses), logs)
    return _Seen(trials, results, int(sizes.max()))


def _models(history: History, seen: _Seen, hypers: Hypers) -> SubsetModels:
    """The models given what is seen, and what is pending."""
    state: Runs = history.scheduler
    waiting = [t for t in state.started if t not in state.found and t not in history.outside]
    sizes = np.array([state.until[t] for t in waiting], dtype=np.float64)
    pending = (_columns(history, waiting), state.scaled(sizes))
    return SubsetModels(seen.results, hypers, features_of(history).groups, pending)


def _columns(history: History, trials: list[int]) -> Floats:
    return features_of(history).of(history.matrix(history.space)[trials])


class _Choice:
    """One decision by the models of what is seen."""

    def __init__(self, scheduler: Fabolas, history: History, seen: _Seen, models: SubsetModels) -> None:
        self._scheduler, self._history, self._models = scheduler, history, models
        self._origin = Origin(_NAME, model=True, fidelity=seen.fidelity)
        state: Runs = history.scheduler
        self._sizes = state.sizes
        self._scaled = state.scaled(np.array(state.sizes, dtype=np.float64))
        marks = history.space.told_apart(history.values)
        self._taken = {(marks[t], state.until[t]) for t in state.started}
        tried = list({marks[t]: t for t in reversed(seen.trials)}.values())
        means, _ = models.at_full_size(_columns(history, tried))
        order = np.argsort(means, kind="stable")
        self._best = [history.values[tried[i]] for i in order[:TRIED]]  # by prediction
        self._least = float(means[order[0]])

    def best_at_largest(self, turn: int) -> Start | None:
        """The predicted best configuration on all data, if it is its turn and it wasn't run there."""
        largest = self._sizes[-1]
        limits, history = self._history.limits, self._history
        last = limits.trials is not None and history.begun >= limits.trials - 1
        if limits.total_resource is not None:  # no other job on all data would fit in after another small one
            last |= largest <= limits.total_resource - history.spent < 2 * largest
        due = last or turn % self._scheduler.check == self._scheduler.check - 1
        if not due or (history.space.told_apart(self._best[:1])[0], largest) in self._taken:
            return None
        return Start(largest, values=self._best[0], origin=self._origin)

    def most_told(self) -> Start:
        """The configuration and size with the largest information gain for its predicted cost."""
        scheduler, history, models = self._scheduler, self._history, self._models
        generator = Rng(key(history.identity.seed, _STREAM) >> 1, len(history.values)).generator()
        rows = candidates(history, self._best[:3], generator, scheduler.drawn, NEAR) + self._best
        x = features_of(history).of(history.space.encode(rows))
        promise = log_improvement(*models.at_full_size(x), self._least)
        drawn = np.argsort(-promise - generator.gumbel(size=len(rows)), kind="stable")
        representers = drawn[: scheduler.representers]  # without replacement, in proportion
        compared = np.argsort(-promise, kind="stable")[: scheduler.compared]
        marks, taken, sizes = history.space.told_apart(rows), self._taken, self._sizes
        pairs = [(i, j) for i in compared for j in self._affordable() if (marks[i], sizes[j]) not in taken]
        if not pairs:
            return Start(sizes[-1])
        chosen, at = np.array(pairs).T
        s = self._scaled[at]
        gains = models.gain(x[chosen], s, x[representers], generator, scheduler.samples)
        best = int(np.argmax(np.maximum(gains, 1e-12) / models.costs(x[chosen], s)))
        return Start(sizes[at[best]], values=rows[chosen[best]], origin=self._origin)

    def _affordable(self) -> list[int]:
        """The sizes that the budget has room for; all if none, so that the study ends."""
        fits = [j for j, size in enumerate(self._sizes) if self._history.may_spend(size)]
        return fits or list(range(len(self._sizes)))
