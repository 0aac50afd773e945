"""Bayesian optimisation by Gaussian processes: expected improvement (Jones et al. 1998), as a logarithm.

The acquisition is that of Ament et al. (2023, Unexpected Improvements to Expected Improvement for Bayesian
Optimization); see `rung.models.botorch_acquisition` for it and for that of several objectives, and
`rung.models.botorch_gp` for the model. What papers leave open is done so:

- The first 2 (d + 1) results, at most 30, are of a Sobol sequence; d parameters can vary.
- The model is of the largest fidelity with as many results, and of no other: `mfes` and `cqr` learn from all.
- A failed trial counts as the worst result. One that breaks a constraint has a loss behind all that break
  none (`rung.samplers.observed`); with several objectives so in each of them.
- Pending trials are fantasies: 16 draws of their values, the improvement averaged over them.
- Of many results at most `most_points` are modelled, see `rung.samplers.kept`: the best, the latest,
  and some spread out. The hyperparameters are fitted at milestones, see `rung.samplers.surrogate`.
- The acquisition is evaluated at random configurations and at neighbours of the best trials. From the best of
  these, numbers go uphill along its slope, the rest by the space's own moves, and numbers once more.
- Above 20 numbers, new configurations come from a trust region around the best trial, TuRBO's
  (`rung.samplers.trust_region`), but one that keeps all results when it begins anew.
- Where trials begin with a small resource, the acquisition is searched less: by the square root of the share
  of an evaluation that their first job costs.
- With `belief` > 0 the user's priors weigh the acquisition: times prior ** (belief / n) after n results
  (piBO, Hvarfner et al. 2022, equation 5), so that a wrong belief is forgotten.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.models.botorch_acquisition import Acquisition, Data
from rung.models.botorch_gp import Kernel
from rung.models.torch_scope import require
from rung.samplers.base import Request, Suggestion
from rung.samplers.candidates import best_allowed
from rung.samplers.gp_search import Belief, Bounds, Search
from rung.samplers.inputs import Inputs, targets
from rung.samplers.kept import MOST
from rung.samplers.observed import Observed, fidelities, observed, pending
from rung.samplers.sobol import SobolSampler
from rung.samplers.surrogate import Model, inputs_of, model_of
from rung.samplers.trust_region import box, replayed
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.space.values import Values
from rung.trials.events import Origin
from rung.trials.history import History

Floats = NDArray[np.float64]

_SPREAD: Final = Origin("gp")
_MOST_INITIAL: Final = 30
_FEWEST: Final = 128  # candidates, however little the first job costs
_MOST_PENDING: Final = 64  # trials that are fantasies, the latest


class Known(NamedTuple):
    """What a suggestion is made from.

    Attributes:
        fidelity: whose results these are.
        points: (n, d) in the unit cube.
        losses: (n,).
        goals: (n, m) the losses of each objective.
        violated: (n,) whether a constraint is broken.
        pending: (p, d).
    """

    fidelity: int
    points: Floats
    losses: Floats
    goals: Floats
    violated: NDArray[np.bool_]
    pending: Floats


@dataclass(frozen=True)
class GpSampler:
    """Gaussian processes with BoTorch.

    Args:
        initial: results before there is a model; None for 2 (d + 1), at most 30.
        candidates: random configurations at which the acquisition is evaluated.
        starts: how many of the best candidates are improved.
        iterations: of L-BFGS from these.
        most_points: results that are modelled, at most.
        belief: weight of the user's priors; 0 for none, beyond what they do to random configurations. The
            paper's is a tenth of the number of trials.
        region_above: how many numbers a space may have without a trust region.

    Raises:
        ValueError: a setting outside its range.
        StudyError: BoTorch is not installed.
    """

    initial: int | None = None
    candidates: int = 512
    starts: int = 6
    iterations: int = 30
    most_points: int = 200
    belief: float = 0.0
    region_above: int = 20

    def __post_init__(self) -> None:
        _check("initial", self.initial, self.initial is None or self.initial >= 2, "at least 2")
        _check("candidates", self.candidates, self.candidates >= 1, "at least 1")
        _check("starts", self.starts, self.starts >= 1, "at least 1")
        _check("iterations", self.iterations, self.iterations >= 0, "at least 0")
        _check("most_points", self.most_points, 10 <= self.most_points <= MOST, f"from 10 to {MOST}")
        _check("belief", self.belief, self.belief >= 0.0, "at least 0")
        _check("region_above", self.region_above, self.region_above >= 1, "at least 1")
        require("gp")

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """The configuration that promises most, or one of a Sobol sequence; the origin tells which."""
        inputs = inputs_of(space)
        known = self._known(space, history, inputs)
        if known is not None:
            values = self._deliberate(history, request)._promising(history, inputs, known, rng.generator())
            if values is not None:
                return Suggestion(values, Origin("gp", model=True, fidelity=known.fidelity))
        return Suggestion(SobolSampler().suggest(space, history, request, rng).values, _SPREAD)

    def _deliberate(self, history: History, request: Request) -> GpSampler:
        """With as much search as the first job is worth: the square root of its share of an evaluation."""
        resource = history.identity.resource
        share = 1.0 if resource is None else math.sqrt(request.resource / resource.maximum)
        if share >= 1.0:
            return self
        return replace(
            self,
            candidates=max(round(share * self.candidates), min(self.candidates, _FEWEST)),
            starts=max(round(share * self.starts), min(self.starts, 2)),
            iterations=max(round(share * self.iterations), min(self.iterations, 8)),
        )

    def _known(self, space: CompiledSpace, history: History, inputs: Inputs) -> Known | None:
        """The results of the largest fidelity that has enough of them."""
        if inputs.width == 0:
            return None
        least = self._least(inputs)
        for fidelity in fidelities(history):
            data = observed(history, fidelity)
            if len(data.trials) >= least and np.isfinite(data.losses).sum() >= 2:
                matrix = history.matrix(space)
                seen = set(data.trials.tolist()) | history.outside
                waiting = [trial for trial in pending(history) if trial not in seen][-_MOST_PENDING:]
                points, ahead = matrix[data.trials], matrix[np.array(waiting, dtype=np.intp)]
                return Known(fidelity, points, data.losses, _goals(data), data.violations > 0.0, ahead)
        return None

    def _least(self, inputs: Inputs) -> int:
        return self.initial or min(2 * (inputs.dimensions + 1), _MOST_INITIAL)

    def _promising(
        self, history: History, inputs: Inputs, known: Known, generator: np.random.Generator
    ) -> Values | None:
        """The best configuration found, not tried yet unless the study is noisy; None if there is none."""
        x = inputs(known.points)
        model = model_of(x, inputs.numbers, known.losses, known.goals, self.most_points)
        data = Data(
            model.kernels, x[model.rows], model.y, inputs(known.pending), _reference(history, known, model)
        )
        acquisition = Acquisition(data, int(generator.integers(2**31)))
        search = Search(inputs, acquisition, Belief(inputs, self.belief / len(x)), generator)
        bounds = self._bounds(inputs, known, model.kernels[0])
        pool = search.candidates(known.points[best_first(known.losses)], self.candidates, bounds)
        points, values = search.best(pool, self.starts, self.iterations, bounds)
        return best_allowed(inputs.space, history, points, values)

    def _bounds(self, inputs: Inputs, known: Known, kernel: Kernel) -> Bounds | None:
        """The trust region, (v,) corners for the numbers, if there are so many that there is one."""
        v = len(inputs.values)
        if v <= self.region_above:
            return None
        losses = np.where(known.violated, np.inf, known.losses)
        region = replayed(losses.tolist(), self._least(inputs), v)
        centre = inputs(known.points[best_first(known.losses)[:1]])[0, :v]
        return box(centre, region.length, np.array(kernel.scales[:v]))


def best_first(losses: Floats) -> NDArray[np.intp]:
    """Positions of the results that have a value, the best first, of equal ones the older."""
    order = np.argsort(losses, kind="stable")
    return order[: int(np.isfinite(losses).sum())]


def _goals(data: Observed) -> Floats:
    """(n, m) the losses of each objective, in each behind all others where constraints are broken."""
    if not data.vectors.shape[1]:
        return data.losses[:, None]
    broken = data.violations > 0.0
    if not broken.any():
        return data.vectors
    sound = data.vectors[~broken & np.isfinite(data.vectors).all(axis=1)]
    worst, width = (sound.max(axis=0), np.ptp(sound, axis=0)) if len(sound) else (np.zeros(1), np.ones(1))
    excess = np.where(np.isfinite(data.violations), data.violations, 1e300)
    behind = worst + np.where(width > 0.0, width, 1.0) * (1.0 + excess / (1.0 + excess))[:, None]
    behind[~np.isfinite(data.vectors).all(axis=1)] = np.inf
    return np.where(broken[:, None], behind, data.vectors)


def _reference(history: History, known: Known, model: Model) -> Floats:
    """(m,) targets beyond which nothing counts: what the study says, else the worst that is modelled."""
    reference: Floats = model.y.max(axis=0)
    for j, goal in enumerate(history.identity.goals[: known.goals.shape[1]]):
        if goal.reference is not None:
            given = np.array([-goal.reference if goal.mode == "max" else goal.reference])
            reference[j] = targets(known.goals[model.rows, j], given)[0]
    return reference


def _check(name: str, given: object, valid: bool, range_: str) -> None:
    if not valid:
        raise ValueError(f"{name} must be {range_}, not {given!r}")
