"""Conformal quantile regression: Salinas, Golebiowski, Klein, Seeger, Archambeau 2023 (ICML).

Quantiles of the loss are modelled by gradient boosting and corrected on results held out (section 4; see
`rung.models.quantiles`). A suggestion is by Thompson sampling: for each candidate one of the quantiles is
drawn, independently, and the candidate of the lowest is taken. With several fidelities (section 5) the result
of a trial at its largest resource stands for it, wherever others have come: nothing is extrapolated, and
nothing waits.

What the paper leaves open is done so:
- Candidates are random. (With half of them neighbours of the best trials, the mean distance from the least
  loss of Hartmann's function was 0.70, not 0.30, in 8 simulated studies under ASHA with 8 workers: draws from
  so many likely good candidates trust the low fidelities too much.)
- Losses are replaced by normal scores of their ranks. A failed trial has the worst loss that was found.
- The first `min_points` results are of random configurations, and one tenth of all later ones.
- Trials whose result is to come are not modelled: draws differ, so parallel suggestions do.
- Of more than `most` results half are the best, a quarter the latest, the rest evenly from those between.
- The models are fitted anew when the results at some fidelity have passed the next multiple of a block: 1
  below 64 results, then a 32nd of the power of two below their number. They are fitted to those up to this
  multiple, so that a suggestion depends on the results only, not on when models were fitted before.
- A configuration that some trial has already is passed over, unless the study is noisy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.models.forest import as_points
from rung.models.quantiles import Quantiles, fit_quantiles
from rung.samplers.base import Request, Suggestion
from rung.samplers.candidates import (
    Moves,
    best_allowed,
    check,
    enough,
    random_points,
    without_failures,
)
from rung.samplers.improvement import normal_scores
from rung.samplers.kept import kept_rows
from rung.samplers.observed import Observed, fidelities, observed
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng, key
from rung.trials.events import Origin
from rung.trials.history import WORST, History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EACH: Final = 64  # results up to which every one is a block
_RANDOM: Final = Origin("cqr")


class Model(NamedTuple):
    """Quantiles, and the fidelity of the largest results among those that they are of."""

    quantiles: Quantiles
    fidelity: int


class Latest(NamedTuple):
    """Each trial's result at its largest resource.

    Attributes:
        trials: (n,) in the order of their numbers.
        losses: (n,).
    """

    trials: Ints
    losses: Floats


class _Kept(NamedTuple):
    key: tuple[object, ...]
    model: Model


_models: WeakKeyDictionary[History, _Kept] = WeakKeyDictionary()  # a cache: it follows from the history


@dataclass(frozen=True)
class CqrSampler:
    """Thompson sampling from conformal quantiles.

    Args:
        random_fraction: the part of all suggestions that is random.
        min_points: trials with a value before there is a model; None for one more than the space has
            dimensions, but 8 at least and 32 at most.
        candidates: configurations compared for a suggestion.
        quantiles: how many are modelled, an odd number.
        rounds: trees in each quantile's model.
        most: results that the models are fitted to.

    Raises:
        ValueError: a setting outside its range.
    """

    random_fraction: float = 0.1
    min_points: int | None = None
    candidates: int = 2000
    quantiles: int = 5
    rounds: int = 100
    most: int = 1000

    def __post_init__(self) -> None:
        check("random_fraction", self.random_fraction, 0.0 <= self.random_fraction <= 1.0, "from 0 to 1")
        check("min_points", self.min_points, self.min_points is None or self.min_points >= 2, "at least 2")
        check("candidates", self.candidates, self.candidates >= 2, "at least 2")
        odd = self.quantiles >= 3 and self.quantiles % 2 == 1
        check("quantiles", self.quantiles, odd, "odd and at least 3")
        check("rounds", self.rounds, self.rounds >= 1, "at least 1")
        check("most", self.most, self.most >= 8, "at least 8")

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """The candidate of the lowest drawn quantile, or a random one; the origin tells which."""
        generator = rng.generator()
        if generator.random() >= self.random_fraction:
            model = self.model(space, history)
            if model is not None:
                points = random_points(space, generator, self.candidates)
                drawn = model.quantiles.predict(as_points(points))
                picks = generator.integers(len(drawn), size=len(points))
                values = best_allowed(space, history, points, -drawn[picks, np.arange(len(points))])
                if values is not None:
                    return Suggestion(values, Origin("cqr", model=True, fidelity=model.fidelity))
        return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)

    def model(self, space: CompiledSpace, history: History) -> Model | None:
        """The model of the results up to the last block; None if they are too few, or of a single point."""
        counts = {fidelity: _counted(history, fidelity) for fidelity in fidelities(history)}
        name = (self, tuple(counts.items()), history.space_version, len(history.outside))
        kept = _models.get(history)
        if kept is not None and kept.key == name:
            return kept.model
        latest = latest_results(history, counts)
        least = self.min_points or enough(space)
        if np.count_nonzero(latest.losses < WORST) < least or not Moves(space).movable.any():
            return None
        model = self._fitted(space, history, latest, counts)
        _models[history] = _Kept(name, model)
        return model

    def _fitted(
        self, space: CompiledSpace, history: History, latest: Latest, counts: dict[int, int]
    ) -> Model:
        losses = without_failures(latest.losses)
        rows = kept_rows(losses, self.most)
        points = history.matrix(space)[latest.trials]
        seed = key(history.identity.seed, len(losses))
        quantiles = fit_quantiles(
            as_points(points[rows]),
            normal_scores(losses[rows]),
            seed=seed,
            quantiles=self.quantiles,
            rounds=self.rounds,
        )
        return Model(quantiles, next(iter(counts)))


def _counted(history: History, fidelity: int) -> int:
    """How many of the results at a fidelity are modelled.

    All of them where losses are not final: with several objectives or constraints they change with others.
    """
    found = observed(history, fidelity)
    n = len(found.losses)
    final = found.vectors.shape[1] == 0 and not found.violations.any()
    block = max(1, (1 << n.bit_length() - 1) // (EACH // 2)) if n and final else 1
    return n // block * block


def latest_results(history: History, counts: dict[int, int]) -> Latest:
    """Of each trial among the first `counts` results of fidelities, the largest first: its result there."""
    parts: list[Observed] = [observed(history, fidelity) for fidelity in counts]
    if not parts:
        return Latest(np.empty(0, np.int64), np.empty(0))
    trials = np.concatenate([part.trials[:n] for part, n in zip(parts, counts.values(), strict=True)])
    losses = np.concatenate([part.losses[:n] for part, n in zip(parts, counts.values(), strict=True)])
    found, first = np.unique(trials, return_index=True)
    return Latest(found, losses[first])
