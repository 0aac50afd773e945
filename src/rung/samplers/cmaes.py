"""CMA-ES (Hansen 2016) by the `cmaes` library, with margins for whole numbers and categories, and restarts.

Numbers are searched in the unit cube by a normal distribution that learns its mean, width and covariance
from generations of `population` results; see `rung.samplers.distributions` for what has steps or no order.
When the library says that a distribution has converged it begins anew elsewhere with twice the population
(IPOP, Auger and Hansen 2005).

The state is a fold of the log:
- A configuration is a draw of the present distribution, by the trial's number. With more workers than the
  population, more draws of it are taken. What the log's configuration does not tell of a draw (where in its
  part of the line a whole number lay, where a parameter lay that is not active) is drawn again when the trial
  starts; what differs from the draw (a parameter that the user fixed) is told as it is in the configuration.
- A generation is told when `population` draws of the present distribution have results at one fidelity, the
  one where this happens first. A trial counts in one generation.
- A result that comes late, after its own distribution has learnt, counts in the generation under way, if
  that is one of the next `LATEST`: later the distribution may be so narrow that what lies outside misleads
  it. So no worker's result is lost. (With 16 workers on three problems the best value found is nearer to the
  optimum by a factor of 1.3 to 6 than if late results are ignored.)
- A failed trial counts as worse than all that did not fail; a generation in which all failed is dropped.
  A result that breaks a constraint comes before the failed ones, the least broken first. With several
  objectives a generation is ranked by a non-dominated sorting.
- Trials of others (enqueued, told, random) teach it nothing: they are no draws of the distribution. When the
  space is changed it begins anew, and its earliest trials that are left count in the first generations.

It begins around the defaults (a prior's mode, the middle of a range), and restarts where uniform numbers say.
A parameter that is not active has its draw all the same, and learns by chance only. Draws that are forbidden
are passed over; if all are, a random configuration is suggested, which is not told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.models.one_thread import one_thread
from rung.samplers.base import Request, Suggestion
from rung.samplers.distributions import Distribution, Draw, Parts, begin, parts_of
from rung.samplers.observed import places
from rung.space import compile_space, from_json
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng, uniforms
from rung.space.values import INACTIVE, Values
from rung.trials.events import Identity, JobStarted, Origin
from rung.trials.history import BEHIND, WORST, History, Result
from rung.trials.running import Measure

Floats = NDArray[np.float64]

LARGEST: Final = 2**22  # numbers that a generation's update may hold: population times dimensions squared
LATEST: Final = 5  # generations for which a draw's result still counts
_ATTEMPTS: Final = 16  # draws, of which the first legal one is taken
_HUGE: Final = 1e150  # values beyond this are told as this
_STREAM: Final = 13  # of the uniform numbers that say where a restart begins


_Found = tuple[Draw, Values] | None
_kept: WeakKeyDictionary[Distribution, tuple[tuple[int, Rng], _Found]] = WeakKeyDictionary()  # a cache


@dataclass
class Member:
    """A draw of a generation and its result."""

    token: Any
    value: float
    measure: Measure | None


@dataclass
class Search:
    """The state.

    Attributes:
        space: the space searched.
        parts: its dimensions, by what they are.
        seed: the study's.
        now: the present distribution.
        age: generations told, over all restarts.
        restarts: how often it began anew.
        drawn: by trial that is not told yet, the `age` at which it was drawn, and the library's token of it.
        results: by fidelity, the members of the generation under way, by trial.
        fidelity: of the generation told last.
    """

    space: CompiledSpace
    parts: Parts
    seed: int
    now: Distribution | None
    age: int = 0
    restarts: int = 0
    drawn: dict[int, tuple[int, Any]] = field(default_factory=dict)
    results: dict[int, dict[int, Member]] = field(default_factory=dict)
    fidelity: int | None = None


@dataclass(frozen=True)
class CmaesSampler:
    """CMA-ES with margins and restarts.

    Args:
        sigma: standard deviation at the beginning, in the unit cube.
        population: of the first run; None for 4 + floor(3 log d).
        growth: by which a restart multiplies the population; 1 keeps it.

    Raises:
        ValueError: a setting outside its range.
    """

    sigma: float = 1 / 6
    population: int | None = None
    growth: int = 2

    def __post_init__(self) -> None:
        if not 0.0 < self.sigma <= 10.0:
            raise ValueError(f"sigma must be above 0 and at most 10, not {self.sigma!r}")
        if self.population is not None and self.population < 4:
            raise ValueError(f"population must be at least 4, not {self.population!r}")
        if not 1 <= self.growth <= 10:
            raise ValueError(f"growth must be from 1 to 10, not {self.growth!r}")

    def initial(self, identity: Identity) -> Search:
        space = compile_space(from_json(identity.space))
        parts = parts_of(space)
        search = Search(space, parts, identity.seed, None)
        if len(parts.continuous) + len(parts.discrete) + len(parts.categories):
            search.now = begin(parts, parts.centre, self.sigma, self.population)
        return search

    def fold(self, state: Search, item: JobStarted | Result) -> Search:
        if isinstance(item, Result):
            self._result(state, item)
        elif item.values is not None and item.origin is not None and item.origin.sampler == "cmaes":
            token = _token(state, item.trial, item.values)
            if token is not None:
                state.drawn[item.trial] = (state.age, token)
        return state

    @one_thread()
    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """A draw of the present distribution; the origin is a model's once a generation was told."""
        state: Search = history.sampler
        found = _propose(state, rng, space)
        if found is None:
            return Suggestion(space.sample(rng.seed, rng.number), Origin("cmaes"))
        return Suggestion(found[1], Origin("cmaes", model=state.age > 0, fidelity=state.fidelity))

    def _result(self, state: Search, result: Result) -> None:
        """A result of a draw joins the generation under way, which is told when it is complete."""
        drawn = state.drawn.get(result.trial)
        if drawn is None or state.now is None:
            return
        age, token = drawn
        if age < state.age - LATEST:
            del state.drawn[result.trial]
            return
        members = state.results.setdefault(result.resource, {})
        members[result.trial] = Member(token, result.value, result.measure)
        if len(members) < state.now.population:
            return
        for trial in members:
            del state.drawn[trial]
        state.results = {}
        generation = list(members.values())
        if all(member.value == WORST for member in generation):
            return
        values = ranked_values(generation).tolist()
        state.now.learn([(member.token, value) for member, value in zip(generation, values, strict=True)])
        state.age += 1
        state.fidelity = result.resource
        if state.now.ended():
            self._restart(state, state.now.population)

    def _restart(self, state: Search, population: int) -> None:
        """Begin anew with a larger population; draws of the distribution that ended are forgotten."""
        state.restarts += 1
        state.drawn = {}
        numbers = len(state.parts.continuous) + len(state.parts.discrete)
        most = max(population, LARGEST // max(1, numbers * numbers))
        centre = uniforms(state.seed, state.restarts, 1, len(state.parts.axes), _STREAM)[0]
        state.now = begin(state.parts, centre, self.sigma, min(population * self.growth, most))


def _propose(state: Search, rng: Rng, space: CompiledSpace) -> _Found:
    """The first of a trial's draws that is legal; None if none is.

    It is asked for when the trial is suggested and again when it starts, so the latest is kept.
    """
    if state.now is None:
        return None
    key = (state.age, rng)
    kept = _kept.get(state.now)
    if kept is None or kept[0] != key:
        kept = _kept[state.now] = (key, _first_legal(state.now, rng, space))
    return kept[1]


def _first_legal(now: Distribution, rng: Rng, space: CompiledSpace) -> _Found:
    seed = int(rng.generator().integers(2**32))
    for count in (1, _ATTEMPTS):
        draws = now.draw(seed, count)
        rows = space.decode(np.array([draw.point for draw in draws]))
        legal = np.flatnonzero(space.legal(rows))
        if len(legal):
            return draws[legal[0]], rows[legal[0]]
    return None


def _token(state: Search, trial: int, values: Values) -> Any:
    """What the library is told of a trial that starts; None if it is no draw of the distribution."""
    found = _propose(state, Rng(state.seed, trial), state.space)
    if found is None or state.now is None:
        return None
    draw, drawn = found
    if drawn == values:
        return draw.token
    differs = [own is not INACTIVE and own != other for own, other in zip(values, drawn, strict=True)]
    return state.now.corrected(draw, state.space.encode([values])[0], np.array(differs))


def ranked_values(generation: list[Member]) -> Floats:
    """(n,) finite values that rank a generation: sound results, then broken constraints, then failed ones."""
    values = np.array([member.value for member in generation])
    measures = [member.measure for member in generation if member.measure is not None]
    if len(measures) == len(generation) and len(measures[0].vector) > 1:
        vectors = np.array([measure.vector for measure in measures])
        values = places(vectors, np.array([measure.violation for measure in measures]))
    sound = values < BEHIND
    values = np.where(sound, np.clip(values, -_HUGE, _HUGE), values)
    worst, best = (values[sound].max(), values[sound].min()) if sound.any() else (0.0, 0.0)
    width = max(worst - best, 1e-6 * abs(worst)) or 1.0  # seen beside the worst, too
    broken = np.flatnonzero(~sound & (values < WORST))
    values[broken[np.argsort(values[broken], kind="stable")]] = worst + width * np.arange(1, len(broken) + 1)
    values[np.isinf(values)] = worst + width * (len(broken) + 1)
    return values
