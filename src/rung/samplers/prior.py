"""PriorBand's sampler (Mallik et al. 2023, section 5): what the user believes helps where it is right.

The belief is the space's priors. A configuration comes from one of three distributions: uniform over the
space, the prior, or near the incumbent.

- 5.1: for a configuration that starts at rung k of the ladder the uniform one has the weight 1 / (1 + eta^k):
  what is cheap explores, what is dear trusts the belief.
- 5.2: near the incumbent, each parameter is changed with probability 1/2: a number by a normal step of
  deviation 0.25 in the unit cube, a category to one drawn with twice the weight on the incumbent's.
- 5.3: once the results are enough, the prior's share is split between prior and incumbent as the top
  configurations are likely under each: those of the best 1 / eta at the largest fidelity that has eta
  results, weighted by K, K - 1, ..., 1; the incumbent's density is the prior's own shape around it.
  Enough is: the results are worth one bracket of successive halving, one of them at the largest resource.
  A trial is worth the largest resource at which it has a result with a value: reports in between, of trials
  that run, say nothing yet.

What the paper leaves open is done so:
- The incumbent is the best trial at the largest resource that has a result with a value.
- At least one parameter changes; a step is drawn from the normal truncated to the cube, so that bounds
  attract nothing. What becomes active by a change is drawn from its prior.
- A prior's shape is a normal of the prior's own standard deviation, both truncated; the weights of categories
  are those of the prior, with the incumbent's in the place of the highest.
- Without a ladder (a study without a resource, or r eta > R) k is 1: a share of 1 / (1 + eta) is uniform.
- Failed trials are never among the top ones. Of more than `MOST` top ones, the best count.
- A draw that is forbidden is repeated, then gives way to a uniform one.
- A space without priors has no belief: what stands for it is uniform, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.samplers.base import Request, Suggestion
from rung.samplers.observed import fidelities, observed
from rung.samplers.recentred import Shape
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.space.values import Values
from rung.trials.events import Identity, Origin
from rung.trials.history import WORST, History
from rung.trials.ladder import bracket_size, ladder_of, shrink

Floats = NDArray[np.float64]

MOST: Final = 256  # top configurations that are looked at
_DRAWS: Final = 32  # near the incumbent, of which the first legal one is taken
_RANDOM: Final = Origin("prior")


class Weights(NamedTuple):
    """With which probability a configuration comes from where; they sum to 1."""

    uniform: float
    prior: float
    incumbent: float


class Leading(NamedTuple):
    """What the results so far say.

    Attributes:
        share: of the prior's weight, what goes to the incumbent.
        incumbent: (d,) in the unit cube, NaN where not active.
        fidelity: where the incumbent is the best.
    """

    share: float
    incumbent: Floats
    fidelity: int


class _Kept(NamedTuple):
    key: tuple[object, ...]
    leading: Leading | None


_kept: WeakKeyDictionary[History, _Kept] = WeakKeyDictionary()  # a cache: it follows from the history
_shapes: WeakKeyDictionary[CompiledSpace, Shape] = WeakKeyDictionary()


@dataclass(frozen=True)
class PriorSampler:
    """A mixture of uniform, prior and incumbent, with the paper's weights.

    Args:
        mutation: probability with which a parameter of the incumbent is changed.
        step: standard deviation of a number's change, in the unit cube.

    Raises:
        ValueError: a setting outside its range.
    """

    mutation: float = 0.5
    step: float = 0.25

    def __post_init__(self) -> None:
        if not 0.0 <= self.mutation <= 1.0:
            raise ValueError(f"mutation must be from 0 to 1, not {self.mutation!r}")
        if not 0.0 < self.step <= 10.0:
            raise ValueError(f"step must be above 0 and at most 10, not {self.step!r}")

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """A configuration from one of the three; the origin is a model's where it is near the incumbent."""
        generator = rng.generator()
        weights = self.weights(space, history, request)
        place = generator.random()
        if place < weights.incumbent:
            leading = self._leading(space, history)
            values = None if leading is None else self._near(space, leading.incumbent, generator)
            if leading is not None and values is not None:
                return Suggestion(values, Origin("prior", model=True, fidelity=leading.fidelity))
        if place < weights.incumbent + weights.prior:
            return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)
        return Suggestion(space.samples(rng.seed, rng.number, 1, uniform=True)[0], _RANDOM)

    def weights(self, space: CompiledSpace, history: History, request: Request) -> Weights:
        """With which probability each of the three is drawn from now."""
        uniform = 1.0 / (1.0 + history.identity.eta ** _rung(history.identity, request.resource))
        leading = self._leading(space, history)
        share = 0.0 if leading is None else leading.share
        return Weights(uniform, (1.0 - uniform) * (1.0 - share), (1.0 - uniform) * share)

    def _leading(self, space: CompiledSpace, history: History) -> Leading | None:
        """What the results say; None while they are not enough. Kept until another result comes."""
        counts = tuple((fidelity, len(column)) for fidelity, column in history.results.items())
        key = (self, space, history.space_version, counts)
        kept = _kept.get(history)
        if kept is None or kept.key != key:
            kept = _kept[history] = _Kept(key, _lead(space, history))
        return kept.leading

    def _near(self, space: CompiledSpace, incumbent: Floats, generator: np.random.Generator) -> Values | None:
        """The first legal configuration of some near the incumbent; None if none is."""
        shape = _shape(space)
        points = shape.near(incumbent, self.mutation, self.step, _DRAWS, generator)
        rows = space.decode(points)
        legal = np.flatnonzero(space.legal(rows))
        return rows[legal[0]] if len(legal) else None


def _shape(space: CompiledSpace) -> Shape:
    shape = _shapes.get(space)
    if shape is None:
        shape = _shapes[space] = Shape(space)
    return shape


def _rung(identity: Identity, resource: int) -> int:
    """The number of the highest rung that `resource` reaches."""
    rungs = ladder_of(identity)
    if len(rungs) == 1:
        return 1
    return max(0, sum(rung <= resource for rung in rungs) - 1)


def _lead(space: CompiledSpace, history: History) -> Leading | None:
    incumbent = _incumbent(history)
    tops = _top(history)
    if incumbent is None or tops is None or not _enough(history):
        return None
    matrix = history.matrix(space)
    best = matrix[incumbent[0]]
    # K, K - 1, ..., 1: the best weighs most
    ranks = np.log(np.arange(len(tops), 0.0, -1.0))
    beliefs = ranks + space.log_prior(matrix[tops])
    nearness = ranks + _shape(space).log_density(matrix[tops], best)
    prior, near = np.logaddexp.reduce(beliefs), np.logaddexp.reduce(nearness)
    share = 1.0 if prior == -np.inf else float(1.0 / (1.0 + np.exp(min(prior - near, 700.0))))
    return Leading(share, best, incumbent[1])


def _incumbent(history: History) -> tuple[int, int] | None:
    """The best trial at the largest resource with a value, and that resource."""
    for fidelity in fidelities(history):
        trials, losses, *_ = observed(history, fidelity)
        if len(losses) and losses.min() < WORST:
            ties = trials[losses == losses.min()]
            return int(ties.min()), fidelity
    return None


def _top(history: History) -> NDArray[np.int64] | None:
    """The best 1 / eta at the largest fidelity with eta results or more, best first; None without any."""
    eta = history.identity.eta
    for fidelity in fidelities(history):
        trials, losses, *_ = observed(history, fidelity)
        count = min(len(losses) // eta, int(np.count_nonzero(losses < WORST)), MOST)
        if count:
            return trials[np.lexsort((trials, losses))[:count]]
    return None


def _enough(history: History) -> bool:
    """Whether one bracket's worth of results is there, and one of them at the largest resource."""
    identity = history.identity
    rungs = ladder_of(identity)
    worth = np.zeros(len(history), dtype=np.int64)
    for fidelity in reversed(fidelities(history)):
        trials, losses, *_ = observed(history, fidelity)
        worth[trials[losses < WORST]] = fidelity
    if worth.max(initial=0) < rungs[-1]:
        return False
    sizes = shrink(bracket_size(len(rungs), len(rungs) - 1, identity.eta), len(rungs), identity.eta)
    steps = np.diff([0, *rungs])
    return int(worth.sum()) >= int(np.dot(sizes, steps))
