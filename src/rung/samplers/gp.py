"""Bayesian optimisation by Gaussian processes: expected improvement (Jones et al. 1998), as a logarithm.

The acquisition is that of Ament et al. (2023, Unexpected Improvements to Expected Improvement for Bayesian
Optimization); see `rung.models.gain` for it, `rung.models.botorch_acquisition` for that of several
objectives, and `rung.models.process` for the model. What papers leave open is done so:

- The first d + 1 results, from 5 to 30, are of the space's default configuration and of a Sobol sequence; d
  parameters can vary.
- Results of all fidelities are modelled together, and asked for the largest with any: how well lower ones
  foretell it is learnt (`rung.models.process`). With several objectives only the largest with enough counts.
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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.models.botorch_acquisition import Acquisition, Data
from rung.models.botorch_gp import Kernel
from rung.models.gain import Gain
from rung.models.one_thread import one_thread
from rung.models.torch_scope import require
from rung.samplers.base import Request, Suggestion
from rung.samplers.candidates import best_allowed
from rung.samplers.gp_kept import kept_of
from rung.samplers.gp_search import Belief, Bounds, Search
from rung.samplers.inputs import Inputs, targets
from rung.samplers.kept import MOST
from rung.samplers.ladder import FIDELITIES, Level, modelled
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
_DESIGN: Final = SobolSampler(from_default=True)
_LEAST_INITIAL: Final = 5
_MOST_INITIAL: Final = 30
_MOST_PENDING: Final = 64  # trials that are fantasies, the latest


class Effort(NamedTuple):
    """What a suggestion may take.

    Attributes:
        candidates, starts, iterations: of the search for the highest acquisition.
        points: results that are modelled.
    """

    candidates: int
    starts: int
    iterations: int
    points: int


_FEWEST: Final = Effort(128, 2, 5, 96)  # however little the first job costs


class Known(NamedTuple):
    """What a suggestion is made from.

    Attributes:
        fidelity: whose results these are.
        points: (n, d) in the unit cube.
        losses: (n,).
        goals: (n, m) the losses of each objective.
        violated: (n,) whether a constraint is broken.
        pending: (p, d).
        levels: the results of all fidelities that are modelled, the largest first.
    """

    fidelity: int
    points: Floats
    losses: Floats
    goals: Floats
    violated: NDArray[np.bool_]
    pending: Floats
    levels: list[Level]


@dataclass(frozen=True)
class GpSampler:
    """Gaussian processes: of one objective in NumPy, of several with BoTorch.

    Args:
        initial: results before there is a model; None for d + 1, from 5 to 30.
        candidates: random configurations at which the acquisition is evaluated.
        starts: how many of the best candidates are improved.
        iterations: of L-BFGS from these.
        most_points: results that are modelled, at most.
        belief: weight of the user's priors; 0 for none, beyond what they do to random configurations. The
            paper's is a tenth of the number of trials.
        region_above: how many numbers a space may have without a trust region.

    Raises:
        ValueError: a setting outside its range.
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

    @one_thread()
    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """The configuration that promises most, or one of the first design; the origin tells which.

        Raises:
            StudyError: there are several objectives, and BoTorch is not installed.
        """
        if len(history.identity.goals) > 1:
            require("gp")
        inputs = inputs_of(space)
        known = self._known(space, history, inputs)
        if known is not None:
            effort = self._effort(history, request)
            values = self._promising(history, inputs, known, effort, rng.generator())
            if values is not None:
                return Suggestion(values, Origin("gp", model=True, fidelity=known.fidelity))
        return Suggestion(_DESIGN.suggest(space, history, request, rng).values, _SPREAD)

    def _effort(self, history: History, request: Request) -> Effort:
        """As much as the first job is worth: the square root of its share of an evaluation."""
        resource = history.identity.resource
        share = 1.0 if resource is None else min(1.0, math.sqrt(request.resource / resource.maximum))
        return Effort(
            max(round(share * self.candidates), min(self.candidates, _FEWEST.candidates)),
            max(round(share * self.starts), min(self.starts, _FEWEST.starts)),
            max(round(share * self.iterations), min(self.iterations, _FEWEST.iterations)),
            max(round(share * self.most_points), min(self.most_points, _FEWEST.points)),
        )

    def _known(self, space: CompiledSpace, history: History, inputs: Inputs) -> Known | None:
        """The results that a model is made from; None if there are too few."""
        if inputs.width == 0:
            return None
        least, matrix = self._least(inputs), history.matrix(space)
        counts = {each: _count(observed(history, each)) for each in fidelities(history)}
        sound = [each for each, count in counts.items() if count]
        if len(history.identity.goals) > 1:
            sound = [each for each in sound if len(observed(history, each).trials) >= least][:1]
        if sum(len(observed(history, each).trials) for each in sound) < least:
            return None
        if not sound or max(counts[each] for each in sound) < 2:
            return None
        data = observed(history, sound[0])
        kept = kept_of(history, inputs)
        columns = kept.columns(matrix)
        levels = [
            kept.level(observed(history, each), _below(history, each, sound[0]), columns)
            for each in spread_out(sound, FIDELITIES)
        ]
        seen = set(data.trials.tolist()) | history.outside
        waiting = [trial for trial in pending(history) if trial not in seen][-_MOST_PENDING:]
        ahead = matrix[np.array(waiting, dtype=np.intp)]
        return Known(
            sound[0], matrix[data.trials], data.losses, _goals(data), data.violations > 0.0, ahead, levels
        )

    def _least(self, inputs: Inputs) -> int:
        return self.initial or min(max(inputs.dimensions + 1, _LEAST_INITIAL), _MOST_INITIAL)

    def _promising(
        self,
        history: History,
        inputs: Inputs,
        known: Known,
        effort: Effort,
        generator: np.random.Generator,
    ) -> Values | None:
        """The best configuration found, not tried yet unless the study is noisy; None if there is none."""
        acquisition, kernel = self._acquisition(history, inputs, known, effort.points, generator)
        search = Search(inputs, acquisition, Belief(inputs, self.belief / len(known.points)), generator)
        bounds = self._bounds(inputs, known, kernel)
        pool = search.candidates(known.points[best_first(known.losses)], effort.candidates, bounds)
        points, values = search.best(pool, effort.starts, effort.iterations, bounds)
        return best_allowed(inputs.space, history, points, values)

    def _acquisition(
        self, history: History, inputs: Inputs, known: Known, most: int, generator: np.random.Generator
    ) -> tuple[Acquisition | Gain, Kernel]:
        """What is to be as high as possible, and the (first) model's hyperparameters."""
        ahead = inputs(known.pending)
        if known.goals.shape[1] == 1:
            kept = kept_of(history, inputs)
            kernel, data = modelled(known.levels, inputs.numbers, most, kept.fitted, kept.scales)
            return Gain(kernel, data, ahead, generator), kernel
        x = inputs(known.points)
        model = model_of(x, inputs.numbers, known.losses, known.goals, most)
        several = Data(model.kernels, x[model.rows], model.y, ahead, _reference(history, known, model))
        return Acquisition(several, int(generator.integers(2**31))), model.kernels[0]

    def _bounds(self, inputs: Inputs, known: Known, kernel: Kernel) -> Bounds | None:
        """The trust region, (v,) corners for the numbers, if there are so many that there is one."""
        v = len(inputs.values)
        if v <= self.region_above:
            return None
        losses = np.where(known.violated, np.inf, known.losses)
        region = replayed(losses.tolist(), self._least(inputs), v)
        centre = inputs(known.points[best_first(known.losses)[:1]])[0, :v]
        return box(centre, region.length, np.array(kernel.scales[:v]))


def _count(data: Observed) -> int:
    """How many results have a value."""
    return int(np.count_nonzero(np.isfinite(data.losses)))


def _below(history: History, fidelity: int, largest: int) -> float:
    """How many rungs a fidelity is below the largest."""
    return math.log(largest / fidelity) / math.log(history.identity.eta)


def spread_out(fidelities: Sequence[int], most: int) -> list[int]:
    """At most `most` of these, the first among them."""
    if len(fidelities) <= most:
        return list(fidelities)
    places = np.linspace(0, len(fidelities) - 1, most)
    return [fidelities[place] for place in places.round().astype(int).tolist()]


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
