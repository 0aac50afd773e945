"""Simulated annealing (Kirkpatrick, Gelatt, Vecchi 1983, Optimization by Simulated Annealing).

There is a current configuration. A neighbour of it is evaluated, and becomes the current one by the rule of
Metropolis: always if it is not worse, with probability exp(-d / T) if it is worse by d. The temperature T
falls geometrically with the trials that have ended.

What the paper leaves open is done so:
- A neighbour differs by one of the space's own moves (`rung.space.neighbours`), of the same width throughout.
- T is in units of the interquartile range of the latest `WINDOW` results, so that the metric's scale is of no
  account: `heat` x this range x `cooling` ** k.
- The first trials are random, and T is 0 among them: the chain goes on from the best of them.
- When `patience` trials in a row bring no new best one the chain is stuck: it is heated again, and goes on
  from the best configuration; at the next time from a random one; and so on in turn.
- Several workers evaluate different neighbours. Each result is judged against what is current when it comes,
  by a random number that belongs to trial and fidelity. Trials that others proposed are judged as well.
- A result is compared with the current trial's at the same fidelity. A trial that reaches a larger fidelity
  than the current one becomes current: its scheduler has chosen it.
- A failed trial is never accepted; if the current one fails at a larger fidelity the best one becomes
  current.
- A result that breaks a constraint is accepted only in place of one that breaks them as much or more.
- With several objectives, d is the difference in how many of the non-dominated results (and of the two)
  dominate each, over their number (Smith et al. 2008, Dominance-Based Multiobjective Simulated Annealing),
  and T is `heat` x `cooling` ** k.

On nine test functions, at 50 to 300 trials, more heat (0.2) and less patience (30) found worse configurations
than the defaults in the mean of ranks, and so, on seven of them, did slower cooling and steps that shrink
with the temperature; no heat at all found about equally good ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from rung.samplers.base import Request, Suggestion
from rung.samplers.moves import neighbour
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng, key
from rung.trials.events import Identity, JobStarted, Origin
from rung.trials.history import BEHIND, WORST, History, Result

WINDOW: Final = 32  # results of which the spread is that of losses
FRONT: Final = 64  # non-dominated results that are kept, the latest

_RANDOM: Final = Origin("anneal")
_STREAM: Final = 13  # apart from other keys made of a study's seed

Vector = tuple[float, ...]


class Chain:
    """Where the search stands.

    Attributes:
        seed: of the study.
        results: by trial, by fidelity.
        current, best: trial numbers, if any.
        begun, judged: trials that have started, and those that have had a result.
        newest: the largest trial number that has started.
        fresh: the smallest one that may become current while there is none.
        cooled: how often the temperature was lowered since it was last raised.
        idle: trials judged since the best one was found or the chain began anew.
        restarts: how often it was stuck.
        losses: by fidelity, the latest, the oldest first.
        fronts: by fidelity, non-dominated vectors of a study with several objectives.
    """

    __slots__ = (
        "begun",
        "best",
        "cooled",
        "current",
        "fresh",
        "fronts",
        "idle",
        "judged",
        "losses",
        "newest",
        "restarts",
        "results",
        "seed",
    )

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.results: dict[int, dict[int, Result]] = {}
        self.current: int | None = None
        self.best: int | None = None
        self.begun = self.judged = self.fresh = self.cooled = self.idle = self.restarts = 0
        self.newest = -1
        self.losses: dict[int, list[float]] = {}
        self.fronts: dict[int, list[Vector]] = {}

    def standing(self, trial: int) -> Result:
        """A trial's result at its largest fidelity."""
        return next(reversed(self.results[trial].values()))


@dataclass(frozen=True)
class AnnealSampler:
    """Simulated annealing with restarts.

    Args:
        initial_trials: random configurations at the beginning.
        heat: the temperature at the beginning, in units of the losses' interquartile range.
        cooling: by what the temperature is multiplied with each trial that ends.
        patience: trials without a new best one before the chain begins anew.

    Raises:
        ValueError: a setting outside its range.
    """

    initial_trials: int = 5
    heat: float = 0.1
    cooling: float = 0.9
    patience: int = 60

    def __post_init__(self) -> None:
        for name, count in (("initial_trials", self.initial_trials), ("patience", self.patience)):
            if count < 1:
                raise ValueError(f"{name} must be at least 1, not {count!r}")
        if not 0.0 <= self.heat < math.inf:
            raise ValueError(f"heat must be a number from 0, not {self.heat!r}")
        if not 0.0 < self.cooling <= 1.0:
            raise ValueError(f"cooling must be above 0 and at most 1, not {self.cooling!r}")

    def initial(self, identity: Identity) -> Chain:
        return Chain(identity.seed)

    def fold(self, state: Chain, item: JobStarted | Result) -> Chain:
        """Judge a result against the current trial; cool down; begin anew when stuck."""
        if isinstance(item, JobStarted):
            state.begun += item.values is not None
            state.newest = max(state.newest, item.trial)
            return state
        first = item.trial not in state.results
        if item.value == WORST:
            state.results.setdefault(item.trial, {})[item.resource] = item
            _drop(state, item.trial)
        else:
            accepted = self.accepts(state, item)
            state.results.setdefault(item.trial, {})[item.resource] = item
            if accepted:
                state.current = item.trial
            _remember(state, item)
        if first:
            self._judged(state)
        return state

    def accepts(self, state: Chain, item: Result) -> bool:
        """Whether the trial becomes the current one: the rule of Metropolis."""
        if state.current is None:
            return item.trial >= state.fresh
        known = state.results[state.current]
        current = known.get(item.resource)
        if current is None:
            return item.resource > state.standing(state.current).resource
        worse = _difference(state, current, item)
        if worse <= 0.0:
            return True
        temperature = self.temperature(state, item.resource)
        if not 0.0 < temperature < math.inf:
            return False
        chance = (key(state.seed, _STREAM, item.trial, item.resource) >> 11) * 2.0**-53
        return chance < math.exp(-worse / temperature)

    def temperature(self, state: Chain, fidelity: int) -> float:
        """The temperature for results at a fidelity, in the metric's unit."""
        if state.judged < self.initial_trials:
            return 0.0
        spread = 1.0 if fidelity in state.fronts else _spread(state.losses.get(fidelity, []))
        return self.heat * self.cooling**state.cooled * spread

    def _judged(self, state: Chain) -> None:
        """One trial more has had its first result."""
        state.judged += 1
        state.cooled += state.judged > self.initial_trials
        state.idle += 1
        if state.idle > self.patience and state.best is not None:
            state.restarts += 1
            state.idle = state.cooled = 0
            state.current = state.best if state.restarts % 2 else None
            state.fresh = state.newest + 1

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """A neighbour of the current configuration; a random one at the beginning."""
        state: Chain = history.sampler
        if state.current is None or state.begun < self.initial_trials:
            return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)
        values = neighbour(space, history.values[state.current], rng.generator())
        fidelity = state.standing(state.current).resource
        return Suggestion(values, Origin("anneal", True, fidelity, state.current))


def _drop(state: Chain, failed: int) -> None:
    """A trial that failed is neither best nor current any more."""
    if state.best == failed:
        standings = [(state.standing(trial), trial) for trial in state.results]
        sound = [(-one.resource, one.value, trial) for one, trial in standings if one.value < WORST]
        state.best = min(sound)[2] if sound else None
    if state.current == failed:
        state.current = state.best
        state.fresh = 0


def _remember(state: Chain, item: Result) -> None:
    """Take a result into what is known of losses, of the front and of the best trial."""
    several = item.measure is not None and len(item.measure.vector) > 1
    improves = several and _on_front(state, item)
    if not several and item.value < BEHIND:
        losses = state.losses.setdefault(item.resource, [])
        losses.append(item.value)
        del losses[:-WINDOW]
    if state.best is None or item.trial == state.best:
        better = state.best is None
    else:
        best = state.standing(state.best)
        better = item.resource > best.resource or (
            item.resource == best.resource and (improves if several else item.value < best.value)
        )
    if better:
        state.best = item.trial
        state.idle = -1 if len(state.results[item.trial]) == 1 else 0  # a first result is counted after this


def _on_front(state: Chain, item: Result) -> bool:
    """Whether a result that keeps the constraints is not dominated; it then takes its place on the front."""
    front = state.fronts.setdefault(item.resource, [])
    if item.measure is None or item.measure.violation > 0.0:
        return False
    vector = item.measure.vector
    if any(_dominates(other, vector) or other == vector for other in front):
        return False
    front[:] = [other for other in front if not _dominates(vector, other)][1 - FRONT :]
    front.append(vector)
    return True


def _difference(state: Chain, current: Result, item: Result) -> float:
    """By how much `item` is worse than `current`, at the same fidelity."""
    before, after = current.measure, item.measure
    if before is None or after is None:
        return item.value - current.value
    if before.violation > 0.0 or after.violation > 0.0:
        return 0.0 if after.violation <= before.violation else math.inf
    if len(after.vector) == 1:
        return item.value - current.value
    front = {*state.fronts.get(item.resource, ()), before.vector, after.vector}
    lost = sum(_dominates(other, after.vector) for other in front)
    won = sum(_dominates(other, before.vector) for other in front)
    return (lost - won) / len(front)


def _dominates(one: Vector, other: Vector) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _spread(losses: list[float]) -> float:
    """The interquartile range (type 1: of values that are there); 0 of fewer than four."""
    ordered, count = sorted(losses), len(losses)
    return ordered[3 * count // 4] - ordered[count // 4] if count >= 4 else 0.0
