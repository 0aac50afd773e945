"""SMAC's sampler (Hutter, Hoos, Leyton-Brown 2011, section 4): a random forest and expected improvement.

A part of all suggestions is random. Otherwise a forest (`rung.models.forest`) is grown on the results at the
largest fidelity with enough of them, and the configuration of the highest expected improvement is suggested:
random candidates are compared, and the neighbours of the best candidates and of the best trials are climbed
through (4.3).

What the paper leaves open, or SMAC 3 has changed since, is done so:
- The forest is that of SMAC 3's facade for hyperparameters: ten trees of random thresholds on bootstrap
  samples, down to single results. (Best thresholds, leaves of three, and categories as columns of 0 and 1,
  each tried on four problems, found worse configurations or none better.)
- Every second suggestion, at random, is made on the losses as they are, standardised. For the other half
  they are on a logarithmic scale that begins below the best, and the improvement is that of the loss itself,
  not of its logarithm, as in SMAC 3 throughout. (The logarithm closes in on a minimum, but stays in the first
  good branch of a conditional space: after 100 trials of a space with three branches the mean distance from
  the least loss was 0.06 with it alone and 0.005 with both, over 10 seeds.)
  A failed trial has the worst loss found.
- The first `min_points` results are of random configurations.
- A trial whose result at that fidelity is to come counts as one with a `liar`'s loss, so that parallel
  suggestions keep apart.
- Of more than `most` results half are the best, a quarter the latest, the rest evenly from those between.
- A configuration that some trial has already is passed over, unless the study is noisy.
- In a space with priors half of the candidates are drawn by them, half uniformly.
- With `belief`, improvement is multiplied by prior^(belief / n) after n results: piBO (Hvarfner et al. 2022,
  equation 6), which believes the priors less and less. (A wrong belief costs trials before it fades: on a
  bowl in four dimensions, believed far from its least, 70 trials did not make up for it.)
- With `per_second` improvement is divided by what a trial is predicted to cost, by a second forest on the
  logarithms of the seconds that the same trials took ("expected improvement per second", Snoek et al. 2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.models.forest import as_points, fit_forest
from rung.samplers.base import Request, Suggestion
from rung.samplers.candidates import Acquisition, Moves, best_of, check, enough, without_failures
from rung.samplers.improvement import log_improvement, log_improvement_of_exp, log_scaled, standardised
from rung.samplers.kept import kept_rows
from rung.samplers.observed import awaited, fidelities, observed
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.trials.events import Origin
from rung.trials.history import WORST, History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STARTS: Final = 10  # of the best trials, from which neighbours are climbed through
_RANDOM: Final = Origin("forest")


class Data(NamedTuple):
    """What a forest is grown on.

    Attributes:
        fidelity: at which the results came.
        trials: (n,) their trials, then those whose result is to come.
        points: (n, d) their configurations in the unit cube, NaN where inactive.
        targets: (n,) losses on the scale that was asked for.
        results: how many are results.
        seconds: (results,) what these trials had taken by then.
    """

    fidelity: int
    trials: Ints
    points: Floats
    targets: Floats
    results: int
    seconds: Floats

    @property
    def best(self) -> float:
        """The lowest target that is a result."""
        return float(self.targets[: self.results].min())

    def starts(self) -> Floats:
        """The points of the best results."""
        return self.points[np.argsort(self.targets[: self.results], kind="stable")[:STARTS]]


@dataclass(frozen=True)
class ForestSampler:
    """SMAC's sampler.

    Args:
        random_fraction: the part of all suggestions that is random.
        min_points: results with a value before there is a model; None for one more than the space has
            dimensions, but 8 at least and 32 at most.
        candidates: random configurations that are compared for a suggestion.
        trees: how many.
        most: results that a forest is grown on.
        liar: the loss of trials whose result is to come: the "mean" of the results, on their scale, the
            "worst", or "none" to leave these trials out.
        belief: how strongly the space's priors are believed (piBO's beta); 0 for not beyond random draws.
        per_second: whether to go by improvement per second, with trials' costs learnt from the log.

    Raises:
        ValueError: a setting outside its range.
    """

    random_fraction: float = 0.1
    min_points: int | None = None
    candidates: int = 2000
    trees: int = 10
    most: int = 1000
    liar: Literal["mean", "worst", "none"] = "mean"
    belief: float = 0.0
    per_second: bool = False

    def __post_init__(self) -> None:
        check("random_fraction", self.random_fraction, 0.0 <= self.random_fraction <= 1.0, "from 0 to 1")
        check("min_points", self.min_points, self.min_points is None or self.min_points >= 2, "at least 2")
        check("candidates", self.candidates, self.candidates >= 1, "at least 1")
        check("trees", self.trees, self.trees >= 1, "at least 1")
        check("most", self.most, self.most >= 8, "at least 8")
        check("liar", self.liar, self.liar in ("mean", "worst", "none"), "'mean', 'worst' or 'none'")
        check("belief", self.belief, 0.0 <= self.belief < np.inf, "0 or more")

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """The configuration of the highest expected improvement, or a random one; the origin tells which."""
        generator = rng.generator()
        if generator.random() >= self.random_fraction:
            log = bool(generator.random() < 0.5)
            data = self.data(space, history, log)
            if data is not None:
                acquisition = self._acquisition(space, data, log, int(generator.integers(2**31)))
                moves, starts = Moves(space), data.starts()
                values = best_of(moves, history, starts, acquisition, generator, self.candidates)
                if values is not None:
                    return Suggestion(values, Origin("forest", model=True, fidelity=data.fidelity))
        return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)

    def _acquisition(self, space: CompiledSpace, data: Data, log: bool, seed: int) -> Acquisition:
        """The logarithm of what is made as high as possible."""
        forest = fit_forest(as_points(data.points), data.targets, seed=seed, trees=self.trees)
        improvement = log_improvement_of_exp if log else log_improvement
        strength = self.belief / data.results

        cost = self._cost(data, seed)

        def acquisition(points: Floats) -> Floats:
            found = improvement(data.best, *forest.predict(as_points(points))) - cost(points)
            return found + strength * space.log_prior(points) if strength else found

        return acquisition

    def _cost(self, data: Data, seed: int) -> Acquisition:
        """The logarithm of a trial's predicted seconds; 0 unless it is asked for and all costs are known."""
        if not self.per_second or not (data.seconds > 0.0).all():
            return lambda points: np.zeros(len(points))
        points, logs = as_points(data.points[: data.results]), np.log(data.seconds)
        forest = fit_forest(points, logs, seed=seed, trees=self.trees)
        return lambda points: forest.predict(as_points(points))[0]

    def data(self, space: CompiledSpace, history: History, log: bool = True) -> Data | None:
        """What to grow a forest on; None while results are too few."""
        least = self.min_points or enough(space)
        for fidelity in fidelities(history):
            found = observed(history, fidelity)
            if np.count_nonzero(found.losses < WORST) >= least:
                return self._data(space, history, fidelity, log)
        return None

    def _data(self, space: CompiledSpace, history: History, fidelity: int, log: bool) -> Data:
        found = observed(history, fidelity)
        matrix = history.matrix(space)
        losses = without_failures(found.losses)
        kept = kept_rows(losses, self.most)
        targets = log_scaled(losses[kept]) if log else standardised(losses[kept])
        trials, results = found.trials[kept], len(targets)
        waiting = awaited(history, fidelity) if self.liar != "none" else np.empty(0, dtype=np.int64)
        lie = targets.mean() if self.liar == "mean" else targets.max()
        trials = np.concatenate([trials, waiting])
        targets = np.concatenate([targets, np.full(len(waiting), lie)])
        return Data(fidelity, trials, matrix[trials], targets, results, found.costs[kept])
