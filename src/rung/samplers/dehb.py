"""DEHB (Awad, Mallik, Hutter 2021): differential evolution with a sub-population for each fidelity.

A sub-population has as many individuals as Hyperband runs at most at that rung (section 4.1). A new
configuration replaces a target, the next individual in turn, if its result is not worse ("selection", 3.3):

    mutant v = r1 + F (r2 - r3)                                (rand/1)
    trial u_j = v_j with probability CR, and for one j at least; else the target's    (bin)
    what lies outside [0, 1] is drawn anew, uniformly

At the lowest fidelity r1, r2, r3 come from the sub-population itself. At a higher one they come from the best
of the sub-population below (4.2): as many as successive halving promotes from there. If these are fewer than
three, individuals of all sub-populations, drawn at random, join them ("global population").

In the paper DEHB also decides what runs at which rung; here the scheduler does (`hyperband` is the paper's),
and asks for a configuration where a bracket begins. A promoted trial's result enters the sub-population of
the rung that it reached, as in the paper's first brackets. What the paper leaves open is done so:
- A target is fixed when its trial starts. A result that comes late is compared with what holds the target's
  place by then. A result whose trial was given no target at that fidelity (promoted, enqueued, told, of
  another sampler) takes the next one in turn.
- A place that no result has reached yet is filled with a random configuration.
- A failed trial never enters. Of equal results the newer one stays, which helps to cross plateaus.
- With several objectives it enters unless it is dominated; the best are those of a non-dominated sorting.
- Values with parts of the cube's line (categories, steps, whole numbers) lie at a place in their part that
  the trial's number fixes: at the centres, differences would favour higher values. Parameters that are not
  active lie at places of that kind, too.
- Without a ladder there is one population, of `population` individuals: plain differential evolution.
  A resource that is no rung counts as the highest rung below it. A sub-population has at most `MOST`.
- A trial configuration that is forbidden is made anew from other parents, then gives way to a random one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.samplers.base import Request, Suggestion
from rung.samplers.observed import nondominated, places
from rung.space.compiled import CompiledSpace
from rung.space.domains import Integer
from rung.space.draws import Rng, uniforms_of
from rung.trials.events import Identity, JobStarted, Origin
from rung.trials.history import WORST, History, Result
from rung.trials.ladder import bracket_size, ladder_of, shrink
from rung.trials.running import Measure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST: Final = 512  # individuals of a sub-population
PARENTS: Final = 3  # that rand/1 needs
_ATTEMPTS: Final = 32  # at a configuration that is not forbidden
_EMPTY: Final = -1
_RANDOM: Final = Origin("dehb")


@dataclass
class Population:
    """The individuals at one fidelity.

    Attributes:
        trials: by place, the trial whose configuration is there; -1 where none is yet.
        values: by place, its result; `inf` where none is.
        measures: by place, what the result was made from, if the study has several objectives.
        turn: targets given so far; the next one's place is `turn` modulo the size.
        targets: by trial, the place of its target.
    """

    trials: list[int]
    values: list[float]
    measures: dict[int, Measure] = field(default_factory=dict)
    turn: int = 0
    targets: dict[int, int] = field(default_factory=dict)

    def give(self, trial: int) -> None:
        """The trial's target is the next place in turn."""
        self.targets[trial] = self.turn % len(self.trials)
        self.turn += 1

    def select(self, result: Result) -> None:
        """The result's trial takes its target's place if it is not worse."""
        if result.trial not in self.targets:
            self.give(result.trial)
        place = self.targets.pop(result.trial)
        if result.value == WORST or self._is_better(place, result):
            return
        self.trials[place], self.values[place] = result.trial, result.value
        if result.measure is not None:
            self.measures[place] = result.measure

    def _is_better(self, place: int, result: Result) -> bool:
        """Whether what is at `place` is better than a result."""
        own, new = self.measures.get(place), result.measure
        if own is None or new is None or len(new.vector) == 1 or own.violation or new.violation:
            return self.values[place] < result.value
        both = np.array([own.vector, new.vector])
        return not bool(nondominated(both)[1])

    def best(self, count: int) -> Ints:
        """The trials of the `count` best individuals, best first."""
        filled = np.flatnonzero(np.array(self.trials) != _EMPTY)
        losses = np.array(self.values)[filled]
        measures = [self.measures.get(place) for place in filled.tolist()]
        if measures and all(m is not None and len(m.vector) > 1 for m in measures):
            vectors = np.array([m.vector for m in measures if m is not None])
            losses = places(vectors, np.array([m.violation for m in measures if m is not None]))
        order = np.argsort(losses, kind="stable")[:count]
        return np.array(self.trials, dtype=np.int64)[filled[order]]


@dataclass
class Populations:
    """The state: sub-populations by rung.

    Attributes:
        rungs: the ladder.
        sizes: by rung, individuals.
        promoted: by rung, how many successive halving promotes to it from the one below.
        by_rung: those that there are.
    """

    rungs: tuple[int, ...]
    sizes: tuple[int, ...]
    promoted: tuple[int, ...]
    by_rung: dict[int, Population] = field(default_factory=dict)

    def rung(self, resource: int) -> int:
        """The number of the highest rung that `resource` reaches."""
        return max(0, sum(rung <= resource for rung in self.rungs) - 1)

    def at(self, rung: int) -> Population:
        """The sub-population of a rung, made when first needed."""
        if rung not in self.by_rung:
            size = self.sizes[rung]
            self.by_rung[rung] = Population([_EMPTY] * size, [WORST] * size)
        return self.by_rung[rung]

    def everyone(self) -> Ints:
        """All individuals' trials, the global population."""
        found = [trial for rung in sorted(self.by_rung) for trial in self.by_rung[rung].trials]
        return np.array([trial for trial in found if trial != _EMPTY], dtype=np.int64)


@dataclass(frozen=True)
class DehbSampler:
    """Differential evolution over fidelities, with the paper's settings.

    Args:
        mutation_factor: F, the weight of a difference.
        crossover: CR, the part of a trial that comes from the mutant.
        population: individuals, where there is no ladder.

    Raises:
        ValueError: a setting outside its range.
    """

    mutation_factor: float = 0.5
    crossover: float = 0.5
    population: int = 10

    def __post_init__(self) -> None:
        if not 0.0 < self.mutation_factor <= 2.0:
            raise ValueError(f"mutation_factor must be above 0 and at most 2, not {self.mutation_factor!r}")
        if not 0.0 <= self.crossover <= 1.0:
            raise ValueError(f"crossover must be from 0 to 1, not {self.crossover!r}")
        if not PARENTS <= self.population <= MOST:
            raise ValueError(f"population must be from {PARENTS} to {MOST}, not {self.population!r}")

    def initial(self, identity: Identity) -> Populations:
        rungs = ladder_of(identity)
        if len(rungs) == 1:
            return Populations(rungs, (self.population,), (0,))
        sizes, promoted = hyperband_sizes(len(rungs), identity.eta)
        return Populations(rungs, sizes, promoted)

    def fold(self, state: Populations, item: JobStarted | Result) -> Populations:
        if isinstance(item, Result):
            state.at(state.rung(item.resource)).select(item)
        elif item.origin is not None and item.origin.sampler == "dehb" and item.until:
            state.at(state.rung(item.until)).give(item.trial)
        return state

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """A configuration by mutation and crossover; a random one while its target's place is empty."""
        state: Populations = history.sampler
        rung = state.rung(request.resource)
        own = state.by_rung.get(rung)
        target = own.trials[own.turn % len(own.trials)] if own is not None else _EMPTY
        if target != _EMPTY:
            pool, source = self._parents(state, rung)
            others = state.everyone() if len(pool) < PARENTS else pool[:0]
            points = _points(space, history, np.concatenate([[target], pool, others]))
            found = self._evolve(space, points, len(pool), rng)
            if found is not None:
                return Suggestion(found, Origin("dehb", model=True, fidelity=state.rungs[source]))
        return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)

    def _parents(self, state: Populations, rung: int) -> tuple[Ints, int]:
        """The trials from which mutants are made, and their rung."""
        below = state.by_rung.get(rung - 1)
        if below is not None:
            best = below.best(state.promoted[rung])
            if len(best):
                return best, rung - 1
        return state.by_rung[rung].best(state.sizes[rung]), rung

    def _evolve(self, space: CompiledSpace, points: Floats, pool: int, rng: Rng) -> Any:
        """The first of some trial configurations that is legal; None if none is.

        `points` are those of the target, of the `pool` parents and of the global population.
        """
        generator = rng.generator()
        varies = np.flatnonzero([axis.count != 1 for axis in space.columns.axes])
        if not len(varies):
            return None
        target, parents, everyone = points[0], points[1 : 1 + pool], points[1 + pool :]
        for _ in range(_ATTEMPTS):
            three = pick(parents, everyone, generator)
            if three is None:
                return None
            mutant = three[0] + self.mutation_factor * (three[1] - three[2])
            trial = target.copy()
            trial[varies] = cross(target[varies], mutant[varies], self.crossover, generator)
            rows = space.decode(inside(trial, generator)[None])
            if space.legal(rows)[0]:
                return rows[0]
        return None


def hyperband_sizes(levels: int, eta: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """By rung, the most that a bracket of Hyperband runs there, and what is promoted to it from one below.

    The latter is of the bracket that starts at the rung below; 0 for the lowest rung.
    """
    brackets = [shrink(bracket_size(levels, s, eta), s + 1, eta) for s in reversed(range(levels))]
    sizes = [max(brackets[start][rung - start] for start in range(rung + 1)) for rung in range(levels)]
    promoted = [0] + [max(1, brackets[rung - 1][1]) for rung in range(1, levels)]
    return tuple(min(MOST, max(PARENTS, size)) for size in sizes), tuple(promoted)


def pick(parents: Floats, everyone: Floats, generator: np.random.Generator) -> Floats | None:
    """Three different ones of `parents` (n, d), joined by some of `everyone` if they are fewer; else None."""
    if len(parents) < PARENTS:
        if len(everyone) < PARENTS:
            return None
        filling = generator.choice(len(everyone), PARENTS - len(parents), replace=False)
        parents = np.concatenate([parents, everyone[filling]])
    return parents[generator.choice(len(parents), PARENTS, replace=False)]


def cross(target: Floats, mutant: Floats, rate: float, generator: np.random.Generator) -> Floats:
    """Binomial crossover of two points (d,): at least one coordinate is the mutant's."""
    taken = generator.random(len(target)) < rate
    if not taken.any():
        taken[generator.integers(len(target))] = True
    return np.where(taken, mutant, target)


def inside(point: Floats, generator: np.random.Generator) -> Floats:
    """What lies outside [0, 1] drawn anew."""
    return np.where((point < 0.0) | (point > 1.0), generator.random(len(point)), point)


def _points(space: CompiledSpace, history: History, trials: Ints) -> Floats:
    """The trials' places in the unit cube (n, d), without gaps and off the centres of parts."""
    points = history.matrix(space)[trials]
    random = uniforms_of(history.identity.seed, trials, space.size, stream=11)
    shifted = points + (random - 0.5) * _widths(space)
    return np.where(np.isnan(points), random, shifted)


def _widths(space: CompiledSpace) -> Floats:
    """(d,) the part of the line that one value has; 0 for a continuum, and where parts are not equal."""
    counts = [axis.count for axis in space.columns.axes]
    equal = [not (isinstance(domain, Integer) and domain.log) for domain in space.domains]
    return np.array([1.0 / c if c and even else 0.0 for c, even in zip(counts, equal, strict=True)])
