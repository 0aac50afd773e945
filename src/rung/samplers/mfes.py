"""MFES-HB's sampler (Li, Shen, Jiang, Gao, Zhang, Cui 2021, AAAI, section 4): surrogates of all fidelities.

A random forest is grown on the results at each fidelity. Together they are one surrogate: a generalised
product of experts, normal at each configuration, of precision sum(w / variance) and mean
sum(w mean / variance) / precision (4.2). A forest's weight w says how well it ranks the results at the
largest fidelity (4.3): p is the part of their pairs that it puts in order, and w is p^theta over their sum.
The forest of the largest fidelity itself is judged on what it was not grown on, by cross-validation in five
folds. The configuration of the highest expected improvement under this surrogate is suggested, but for a part
of all suggestions, which is random.

What the paper leaves open is done so:
- While the largest fidelity has fewer than 3 results with a value, all other forests weigh the same; its own
  has a weight from 10 of them on. Both as in the authors' code.
- The largest fidelity is that of the study. A fidelity has a forest from `min_points` results on.
- Losses at each fidelity are replaced by normal scores of their ranks, which are of one scale at all of them,
  as those that the paper standardises are. The best, on which is improved, is that of the largest fidelity
  that has a forest. A failed trial has the worst loss at its fidelity.
- Of equal losses no order is asked for; equal predictions are half right.
- A trial is in the forest of each fidelity at which its result is to come, with the mean of the scores.
- The forests, and the search for the highest improvement, are those of the sampler `forest`; but forests are
  kept until their fidelity has a new result, or others are to come there.
- Of more than `most` results at a fidelity half are the best, a quarter the latest, the rest evenly from
  those between. The latest `JUDGED` results with a value at the largest fidelity are ranked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.models.forest import Forest, as_points, fit_forest
from rung.samplers.base import Request, Suggestion
from rung.samplers.candidates import (
    STARTS,
    Moves,
    best_of,
    check,
    enough,
    without_failures,
)
from rung.samplers.improvement import log_improvement, normal_scores
from rung.samplers.kept import kept_rows
from rung.samplers.observed import awaited, fidelities, observed
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng, key
from rung.trials.events import Origin
from rung.trials.history import WORST, History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

JUDGED: Final = 200  # results at the largest fidelity by which forests are judged, at most
RANKED: Final = 3  # results with a value at the largest fidelity before weights are learnt from them
FOLDS: Final = 5  # of the cross-validation; twice as many results before it is done
_LOWEST: Final = 1e-6  # variance of a forest, so that no precision is infinite
_RANDOM: Final = Origin("mfes")


class Base(NamedTuple):
    """The surrogate of one fidelity: a forest, and the best of its targets."""

    forest: Forest
    best: float


class Ensemble(NamedTuple):
    """Forests of different fidelities, the largest first, and their weights, which sum to 1."""

    forests: tuple[Forest, ...]
    weights: Floats

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and variance at points (n, d), NaN where inactive; (n,) each."""
        columns = as_points(points)
        precision, total = np.zeros(len(points)), np.zeros(len(points))
        for forest, weight in zip(self.forests, self.weights.tolist(), strict=True):
            if weight > 0.0:
                mean, variance = forest.predict(columns)
                share = weight / np.maximum(variance, _LOWEST)
                precision += share
                total += share * mean
        return total / precision, 1.0 / precision


_kept: WeakKeyDictionary[History, dict[tuple[object, ...], Base]] = WeakKeyDictionary()  # follows from it


@dataclass(frozen=True)
class MfesSampler:
    """MFES-HB's sampler, with the paper's theta and the authors' share of random suggestions.

    Args:
        random_fraction: the part of all suggestions that is random.
        theta: how much more a better ranking weighs; 0 for equal weights.
        min_points: results with a value before a fidelity has a forest; None for one more than the space has
            dimensions, but 8 at least and 32 at most.
        candidates: random configurations that are compared for a suggestion.
        trees: of a forest.
        most: results that a forest is grown on.

    Raises:
        ValueError: a setting outside its range.
    """

    random_fraction: float = 0.3
    theta: float = 3.0
    min_points: int | None = None
    candidates: int = 2000
    trees: int = 10
    most: int = 500

    def __post_init__(self) -> None:
        check("random_fraction", self.random_fraction, 0.0 <= self.random_fraction <= 1.0, "from 0 to 1")
        check("theta", self.theta, 0.0 <= self.theta < np.inf, "0 or more")
        check("min_points", self.min_points, self.min_points is None or self.min_points >= 2, "at least 2")
        check("candidates", self.candidates, self.candidates >= 1, "at least 1")
        check("trees", self.trees, self.trees >= 1, "at least 1")
        check("most", self.most, self.most >= 8, "at least 8")

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """The configuration of the highest expected improvement, or a random one; the origin tells which."""
        generator = rng.generator()
        if generator.random() >= self.random_fraction:
            bases = self.bases(space, history)
            if bases:
                weights = self.weights(space, history, bases)
                ensemble = Ensemble(tuple(base.forest for base in bases.values()), weights)
                return self._by_model(space, history, bases, ensemble, rng)
        return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)

    def _by_model(
        self,
        space: CompiledSpace,
        history: History,
        bases: Mapping[int, Base],
        ensemble: Ensemble,
        rng: Rng,
    ) -> Suggestion:
        fidelity = next(iter(bases))
        best = bases[fidelity].best

        def acquisition(points: Floats) -> Floats:
            return log_improvement(best, *ensemble.predict(points))

        found = observed(history, fidelity)
        first = found.trials[np.argsort(found.losses, kind="stable")[:STARTS]]
        starts = history.matrix(space)[first]
        values = best_of(Moves(space), history, starts, acquisition, rng.generator(), self.candidates)
        if values is None:
            return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)
        return Suggestion(values, Origin("mfes", model=True, fidelity=fidelity))

    # -- the surrogates -------------------------------------------------------------------------------

    def bases(self, space: CompiledSpace, history: History) -> dict[int, Base]:
        """The forests, by fidelity, the largest first; those whose fidelity has enough results."""
        least = self.min_points or enough(space)
        kept = _kept.get(history, {})
        bases: dict[int, Base] = {}
        names: dict[tuple[object, ...], Base] = {}
        for fidelity in fidelities(history):
            found = observed(history, fidelity)
            if np.count_nonzero(found.losses < WORST) >= least:
                size = (len(found.losses), len(history.outside), history.space_version)
                waiting = awaited(history, fidelity)
                name = (self, fidelity, size, *waiting.tolist())
                base = kept.get(name) or self._base(space, history, fidelity, waiting)
                bases[fidelity] = names[name] = base
        _kept[history] = names
        return bases

    def _base(self, space: CompiledSpace, history: History, fidelity: int, waiting: Ints) -> Base:
        found = observed(history, fidelity)
        losses = without_failures(found.losses)
        rows = kept_rows(losses, self.most)
        scores = normal_scores(losses[rows])
        trials = np.concatenate([found.trials[rows], waiting])
        targets = np.concatenate([scores, np.full(len(waiting), scores.mean())])
        points = as_points(history.matrix(space)[trials])
        seed = key(history.identity.seed, fidelity, len(losses), *waiting.tolist()) >> 33
        return Base(fit_forest(points, targets, seed=seed, trees=self.trees), float(scores.min()))

    def weights(self, space: CompiledSpace, history: History, bases: Mapping[int, Base]) -> Floats:
        """The weights of the forests, which sum to 1."""
        largest = _largest(history)
        found = observed(history, largest)
        sound = np.flatnonzero(found.losses < WORST)[-JUDGED:]
        if len(sound) < RANKED or len(bases) == 1:
            others = [fidelity != largest or len(bases) == 1 for fidelity in bases]
            return np.array(others) / sum(others)
        losses = found.losses[sound]
        points = as_points(history.matrix(space)[found.trials[sound]])
        right = np.zeros(len(bases))
        for i, (fidelity, base) in enumerate(bases.items()):
            if fidelity != largest:
                right[i] = ordered(base.forest.predict(points)[0], losses)
            elif len(sound) >= 2 * FOLDS:
                right[i] = ordered(self._held_out(points, losses), losses)
        powers: Floats = np.where(right > 0.0, right**self.theta, 0.0)
        return powers / powers.sum() if powers.any() else np.full(len(bases), 1.0 / len(bases))

    def _held_out(self, points: NDArray[np.float32], losses: Floats) -> Floats:
        """Predictions (n,) for each fold from a forest that is grown on the other ones."""
        predicted = np.empty(len(losses))
        folds = np.arange(len(losses)) % FOLDS
        for fold in range(FOLDS):
            rest = folds != fold
            forest = fit_forest(points[rest], normal_scores(losses[rest]), seed=fold, trees=self.trees)
            predicted[~rest] = forest.predict(points[~rest])[0]
        return predicted


def ordered(predicted: Floats, losses: Floats) -> float:
    """The part of the pairs of different `losses` (n,) that `predicted` (n,) puts in order; 1/2 if none."""
    order = np.argsort(losses, kind="stable")
    a, b = predicted[order], losses[order]
    right = np.sign(a[None, :] - a[:, None])  # above the diagonal: 1 where the order holds
    pairs = np.triu(b[None, :] > b[:, None])
    count = int(np.count_nonzero(pairs))
    return 0.5 + 0.5 * float(right[pairs].sum()) / count if count else 0.5


def _largest(history: History) -> int:
    resource = history.identity.resource
    return resource.maximum if resource is not None else 1
