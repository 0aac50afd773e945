"""Where an acquisition is highest in a space of any kind: candidates, its slope, the space's own moves."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rung.models.botorch_acquisition import Acquisition
from rung.models.gain import Gain
from rung.samplers.candidates import climb, random_points
from rung.samplers.inputs import Inputs
from rung.samplers.surrogate import settled
from rung.samplers.trust_region import perturbed

Floats = NDArray[np.float64]
Bounds = tuple[Floats, Floats]  # (v,) the least and the largest of each number

_BEST: Final = 5  # trials whose neighbours are candidates
_NEAR: Final = 16  # of the random candidates there are, for a neighbour of each
_ROUNDS: Final = 4  # of the space's moves
_STEP: Final = 1e-4  # of a difference quotient


class Belief:
    """The logarithm of the user's priors, times a weight."""

    def __init__(self, inputs: Inputs, weight: float) -> None:
        self._inputs = inputs
        self._weight = weight

    def __bool__(self) -> bool:
        return self._weight > 0.0

    def __call__(self, points: Floats) -> Floats:
        """At points (n, d): (n,)."""
        if not self:
            return np.zeros(len(points))
        return self._weight * self._inputs.space.log_prior(points)

    def slope(self, points: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """At points (n, d) with the numbers of `columns` (n, k): (n,), and by difference quotients (n, k)."""
        n, v = len(points), len(self._inputs.values)
        gradient = np.zeros_like(columns)
        if n and v:
            steps = _STEP * np.eye(v, columns.shape[1])
            steps = np.concatenate([steps, -steps])  # (2 v, k)
            around = np.clip(columns[:, None] + steps, 0.0, 1.0).reshape(-1, columns.shape[1])
            values = self(self._inputs.moved(np.repeat(points, 2 * v, axis=0), around)).reshape(n, 2, v)
            width = around.reshape(n, 2, v, -1)[:, :, np.arange(v), np.arange(v)]
            with np.errstate(invalid="ignore"):
                gradient[:, :v] = np.nan_to_num((values[:, 0] - values[:, 1]) / (width[:, 0] - width[:, 1]))
        return self(self._inputs.moved(points, columns)), gradient


class Search:
    """The search for the highest acquisition, weighed by what the user believes."""

    def __init__(
        self, inputs: Inputs, acquisition: Acquisition | Gain, belief: Belief, generator: np.random.Generator
    ) -> None:
        self._inputs = inputs
        self._acquisition = acquisition
        self._belief = belief
        self._generator = generator
        self._moves = inputs.moves

    def worth(self, points: Floats) -> Floats:
        """At points (n, d): (n,)."""
        return self._acquisition(self._inputs(points)) + self._belief(points)

    def candidates(self, trials: Floats, count: int, bounds: Bounds | None) -> Floats:
        """Points to begin with: random ones, half of them by the priors, and neighbours of the best trials.

        Args:
            trials: (n, d) those with a value, the best first.
            count: how many random ones.
            bounds: of the trust region: random ones are in it, and differ from the best trial in few numbers.
        """
        space, generator = self._inputs.space, self._generator
        near, _ = self._moves(np.repeat(trials[:_BEST], max(1, count // _NEAR), axis=0), generator)
        if bounds is not None:
            return np.concatenate([near, self._inside(trials[0], count, bounds)])
        if not self._moves.priors:
            return np.concatenate([near, random_points(space, generator, count)])
        drawn = [random_points(space, generator, n, flat=i > 0) for i, n in enumerate(halves(count))]
        return np.concatenate([near, *drawn])

    def _inside(self, centre: Floats, count: int, bounds: Bounds) -> Floats:
        low, high = np.zeros(len(centre)), np.ones(len(centre))
        low[self._inputs.values], high[self._inputs.values] = bounds
        full = np.where(np.isnan(centre), 0.5, centre)
        return settled(self._inputs.space, perturbed(full, low, high, count, self._generator))

    def best(
        self, pool: Floats, starts: int, iterations: int, bounds: Bounds | None
    ) -> tuple[Floats, Floats]:
        """`pool` (n, d) and what the `starts` best of it were improved to: points (m, d), and their worth."""
        if not len(pool):
            return pool, np.empty(0)
        values = self.worth(pool)
        order = np.argsort(-values, kind="stable")[:starts]
        first, heights = pool[order], values[order]
        if self._inputs.smooth:
            found = self._uphill(first, iterations, bounds)
            return np.concatenate([found, pool]), np.concatenate([self.worth(found), values])
        rounds = min(_ROUNDS, starts - 1)
        first, heights = climb(self._moves, first, self.worth, self._generator, rounds=rounds, values=heights)
        found = self._uphill(first, iterations, bounds)
        return np.concatenate([first, found, pool]), np.concatenate([heights, self.worth(found), values])

    def _uphill(self, points: Floats, iterations: int, bounds: Bounds | None) -> Floats:
        """Points (n, d) with their numbers moved along the slope, at the next configurations: (m, d)."""
        inputs, columns = self._inputs, self._inputs(points)
        free = inputs.movable(points)
        if not iterations or not free.any():
            return points
        low, high = np.zeros(inputs.width), np.ones(inputs.width)
        if bounds is not None:
            low[: len(inputs.values)], high[: len(inputs.values)] = bounds
        extra = (lambda moved: self._belief.slope(points, moved)) if self._belief else None
        moved = self._acquisition.refine(columns, free, (low, high), iterations, extra)
        return settled(inputs.space, inputs.moved(points, moved))


def halves(count: int) -> tuple[int, int]:
    """`count` in two parts."""
    return count - count // 2, count // 2
