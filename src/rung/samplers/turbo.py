"""TuRBO-1, for many parameters (Eriksson et al. 2019, Scalable Global Optimization via Local Bayesian Opt.).

A Gaussian process of the results since the last restart, a trust region around the best of them
(`rung.samplers.trust_region`), and Thompson sampling: of points perturbed inside the region that which is
best in one draw of the function is suggested. The region's width follows from successes and failures; when it
is too narrow, another search begins elsewhere and forgets. What the paper leaves open is done so:

- A search begins with 2 d results, at most 100, of configurations of a Sobol sequence.
- Results are counted one by one as they come, those of trials that the region's model proposed. Others (of
  the first configurations, of the user's own) only tell what is best. A late one of an earlier region's trial
  is left out.
- Each fidelity has a search of its own; the largest whose search has begun suggests.
- A category is one more dimension: where a candidate is not the best trial's, it is any category.
- A parameter that is not active stands at its centre; a candidate's conditions follow from its parents.
- A failed trial is a failure, and as bad as the worst. A broken constraint counts behind all that break none.
- With several objectives the losses are places in a non-dominated sorting, and a success is a result that no
  other of the search dominates or equals.
- The paper's up to 5,000 candidates are 1,024 at most here: a joint draw costs their third power. Of a
  search's results at most `most_points` are modelled, see `rung.samplers.kept`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rung.models.one_thread import one_thread
from rung.models.thompson import draw
from rung.models.torch_scope import require
from rung.samplers.base import Request, Suggestion
from rung.samplers.candidates import best_allowed
from rung.samplers.gp import best_first
from rung.samplers.inputs import Inputs
from rung.samplers.kept import MOST
from rung.samplers.observed import observed
from rung.samplers.sobol import SobolSampler
from rung.samplers.surrogate import inputs_of, model_of, settled
from rung.samplers.trust_region import Region, box, improves, perturbed, tolerance
from rung.space import compile_space, from_json
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.trials.events import Identity, JobStarted, Origin
from rung.trials.history import BEHIND, History, Result

Floats = NDArray[np.float64]

_SPREAD: Final = Origin("turbo")
_MOST_INITIAL: Final = 100
_MOST_CANDIDATES: Final = 1024


@dataclass
class Local:
    """The search at one fidelity.

    Attributes:
        region: the trust region.
        restarts: how many searches came before.
        members: trials whose results are this search's, in the order they came.
        front: their objectives that none dominates, if there are several.
    """

    region: Region = field(default_factory=Region)
    restarts: int = 0
    members: list[int] = field(default_factory=list)
    front: list[tuple[float, ...]] = field(default_factory=list)

    def take(self, item: Result, counts: bool, limit: int) -> Local:
        """After a result: this search, or the one that follows it.

        Args:
            counts: whether it is a success or a failure of the region, or only tells what is best.
            limit: failures after which the region is halved.
        """
        self.members.append(item.trial)
        success = self._succeeds(item)
        best = min(item.value, self.region.best)
        if counts:
            self.region = self.region.counted(success, best, limit)
        else:
            self.region = self.region._replace(best=best)
        return Local(restarts=self.restarts + 1) if self.region.over else self

    def _succeeds(self, item: Result) -> bool:
        """Whether a result improves on what the search has; its objectives go to the front if so."""
        if item.measure is None or len(item.measure.vector) < 2:
            return improves(item.value, self.region.best)
        if item.value >= BEHIND:
            return not self.front and improves(item.value, self.region.best)
        vector = item.measure.vector
        if any(all(a <= b for a, b in zip(other, vector, strict=True)) for other in self.front):
            return False
        self.front = [other for other in self.front if any(a < b for a, b in zip(other, vector, strict=True))]
        self.front.append(vector)
        return True


@dataclass
class State:
    """What is kept of the log.

    Attributes:
        limit: failures after which a region is halved.
        first: results before a search has a model.
        searches: by fidelity.
        asked: trials that a region's model proposed, with its fidelity and the restarts before it.
    """

    limit: int
    first: int
    searches: dict[int, Local] = field(default_factory=dict)
    asked: dict[int, tuple[int, int]] = field(default_factory=dict)

    def search(self, fidelity: int) -> Local:
        """The search at a fidelity; a new one if there is none."""
        return self.searches.setdefault(fidelity, Local())


@dataclass(frozen=True)
class TurboSampler:
    """A trust region that moves, widens and narrows, with BoTorch.

    Args:
        start: results before a search has a model; None for 2 d, at most 100.
        candidates: points compared, at most; None for 100 d, at most 1,024.
        most_points: results that are modelled, at most.

    Raises:
        ValueError: a setting outside its range.
        StudyError: BoTorch is not installed.
    """

    start: int | None = None
    candidates: int | None = None
    most_points: int = 200

    def __post_init__(self) -> None:
        _check("start", self.start, self.start is None or self.start >= 2, "at least 2")
        _check("candidates", self.candidates, self.candidates is None or self.candidates >= 1, "at least 1")
        _check("most_points", self.most_points, 10 <= self.most_points <= MOST, f"from 10 to {MOST}")
        require("turbo")

    def initial(self, identity: Identity) -> State:
        """The state of a study that begins."""
        inputs = Inputs(compile_space(from_json(identity.space)))
        return State(tolerance(inputs.dimensions), self._first(inputs.dimensions))

    def _first(self, dimensions: int) -> int:
        return self.start or max(2, min(2 * dimensions, _MOST_INITIAL))

    def fold(self, state: State, item: JobStarted | Result) -> State:
        """The state after a trial has begun, or given a result."""
        if isinstance(item, JobStarted):
            origin = item.origin
            if origin is not None and origin.sampler == _SPREAD.sampler and origin.fidelity is not None:
                state.asked[item.trial] = (origin.fidelity, state.search(origin.fidelity).restarts)
            return state
        fidelity, search = item.resource, state.search(item.resource)
        asked = state.asked.get(item.trial)
        own = asked is not None and asked[0] == fidelity
        if own and asked != (fidelity, search.restarts):
            return state
        state.searches[fidelity] = search.take(item, own, state.limit)
        return state

    @one_thread()
    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """The best candidate in one draw of the model, or one of a Sobol sequence; the origin tells which."""
        state: State = history.sampler
        for fidelity in sorted(state.searches, reverse=True):
            search = state.searches[fidelity]
            if len(search.members) >= state.first:
                suggestion = self._inside(space, history, fidelity, search, rng.generator())
                if suggestion is not None:
                    return suggestion
        return Suggestion(SobolSampler().suggest(space, history, request, rng).values, _SPREAD)

    def _inside(
        self,
        space: CompiledSpace,
        history: History,
        fidelity: int,
        search: Local,
        generator: np.random.Generator,
    ) -> Suggestion | None:
        """The best candidate inside the region; None if there is no model, or nothing new to be found."""
        inputs, data = inputs_of(space), observed(history, fidelity)
        mine = np.isin(data.trials, search.members)
        losses, points = data.losses[mine], history.matrix(space)[data.trials[mine]]
        if inputs.width == 0 or np.isfinite(losses).sum() < 2:
            return None
        x = inputs(points)
        model = model_of(x, inputs.numbers, losses, losses[:, None], self.most_points)
        centre = points[best_first(losses)[0]]
        scales = np.array(model.kernels[0].scales[: len(inputs.values)])
        near = self._candidates(inputs, centre, scales, search.region.length, generator)
        seed = int(generator.integers(2**31))
        drawn = draw(model.kernels[0], x[model.rows], model.y[:, 0], inputs(near), seed)
        values = best_allowed(space, history, near, -drawn)
        if values is None:
            return None
        return Suggestion(values, Origin("turbo", model=True, fidelity=fidelity))

    def _candidates(
        self,
        inputs: Inputs,
        centre: Floats,
        scales: Floats,
        length: float,
        generator: np.random.Generator,
    ) -> Floats:
        """Legal points (n, d) inside the region around `centre` (d,)."""
        full = np.where(np.isnan(centre), 0.5, centre)
        low, high = np.zeros(len(full)), np.ones(len(full))
        if len(scales):
            low[inputs.values], high[inputs.values] = box(full[inputs.values], length, scales)
        count = self.candidates or min(100 * inputs.dimensions, _MOST_CANDIDATES)
        return settled(inputs.space, perturbed(full, low, high, count, generator))


def _check(name: str, given: object, valid: bool, range_: str) -> None:
    if not valid:
        raise ValueError(f"{name} must be {range_}, not {given!r}")
