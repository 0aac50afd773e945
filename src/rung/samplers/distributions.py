"""The `cmaes` library's search distributions over a space's unit cube, behind one form.

Spaces of numbers have `CMAwM` (Hamano et al. 2022, CMA-ES with margin), which without whole numbers is plain
CMA-ES (Hansen 2016). Spaces with categories, or with whole numbers on a logarithmic scale, whose parts of the
line are not equal, have `CatCMAwM` (Hamano et al. 2025): one normal distribution for all numbers, a
categorical one for each category, both with margins, so that no value ever becomes impossible.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rung.space.axes import Axis
from rung.space.compiled import CompiledSpace
from rung.space.domains import Integer

Floats = NDArray[np.float64]

FEW: Final = 256  # a number with more values than this is treated as a continuum
_RESAMPLED: Final = (
    100  # draws outside the cube before the last one is moved to its edge, up to 10 dimensions
)
_LEAST_WEIGHT: Final = 0.1  # of a category, over 1 / m


class Draw(NamedTuple):
    """A point of the unit cube (d,), and what the library must be told of it."""

    point: Floats
    token: Any


class Distribution(Protocol):
    """A search distribution; `copy.deepcopy` gives one that draws and learns exactly alike."""

    population: int

    def draw(self, seed: int, count: int) -> list[Draw]:
        """`count` draws; the same for the same seed."""

    def corrected(self, draw: Draw, point: Floats, differs: NDArray[np.bool_]) -> Any:
        """The token of a draw whose coordinates are those of `point` (d,) where they differ."""

    def learn(self, told: list[tuple[Any, float]]) -> None:
        """Take in a generation: `population` tokens with their values, none infinite."""

    def ended(self) -> bool:
        """Whether it has converged, or gone astray, so that it should begin anew."""


class Parts(NamedTuple):
    """The dimensions of a space by what they are; those of one value are in none.

    Attributes:
        continuous: numbers with a continuum of values, or with many.
        discrete: numbers with few values.
        categories: those without an order.
        centre: (d,) the defaults, for numbers: the priors' modes or the middle.
    """

    axes: tuple[Axis, ...]
    continuous: NDArray[np.intp]
    discrete: NDArray[np.intp]
    categories: NDArray[np.intp]
    centre: Floats
    equal: bool  # whether all values of a discrete dimension have parts of one length
    weights: dict[int, Floats]  # by category's dimension, its values' probabilities


def parts_of(space: CompiledSpace) -> Parts:
    """The dimensions that a distribution is over."""
    axes = space.columns.axes
    few = np.array([axis.count is not None and 1 < axis.count <= FEW for axis in axes])
    one = np.array([axis.count == 1 for axis in axes])
    category = space.levels > 0
    discrete = np.flatnonzero(few & ~category)
    domains = [space.domains[j] for j in discrete.tolist()]
    return Parts(
        axes=axes,
        continuous=np.flatnonzero(~few & ~one & ~category),
        discrete=discrete,
        categories=np.flatnonzero(category),
        centre=np.array([axis.centre for axis in axes]),
        equal=not any(isinstance(domain, Integer) and domain.log for domain in domains),
        weights={j: _weights(axes[j]) for j in np.flatnonzero(category).tolist()},
    )


def _weights(axis: Axis) -> Floats:
    """The probabilities of a category's values by its prior, none of them near 0."""
    m = axis.levels
    weights: Floats = np.maximum(np.exp(axis.log_density((np.arange(m) + 0.5) / m)), _LEAST_WEIGHT)
    weights /= weights.sum()
    return weights


def begin(parts: Parts, centre: Floats, sigma: float, population: int | None) -> Distribution:
    """A distribution around `centre` (d,), `sigma` wide; `population` None: the library's default."""
    if len(parts.categories) or not parts.equal:
        return Mixed(parts, centre, sigma, population)
    return Numbers(parts, centre, sigma, population)


class Numbers:
    """`CMAwM` over continuous and discrete numbers."""

    def __init__(self, parts: Parts, centre: Floats, sigma: float, population: int | None) -> None:
        from cmaes import CMAwM

        self._columns = np.concatenate([parts.continuous, parts.discrete])
        self._size = len(parts.axes)
        counts = [parts.axes[j].count or 0 for j in parts.discrete.tolist()]
        steps = np.concatenate([np.zeros(len(parts.continuous)), 1.0 / np.array(counts, dtype=np.float64)])
        bounds = np.stack([0.5 * steps, 1.0 - 0.5 * steps], axis=1)
        mean = np.clip(centre[self._columns], bounds[:, 0], bounds[:, 1])
        self._library = CMAwM(
            mean,
            sigma,
            bounds,
            steps,
            n_max_resampling=max(1, min(_RESAMPLED, 400 * _RESAMPLED // len(mean) ** 2)),  # one is O(d^3)
            seed=0,
            population_size=population,
        )
        self.population: int = self._library.population_size
        self._settle()

    def draw(self, seed: int, count: int) -> list[Draw]:
        library = copy.deepcopy(self._library)
        library.reseed_rng(seed)
        draws = []
        for _ in range(count):
            shown, token = library.ask()
            point = np.full(self._size, 0.5)
            point[self._columns] = shown
            draws.append(Draw(point, token))
        return draws

    def corrected(self, draw: Draw, point: Floats, differs: NDArray[np.bool_]) -> Any:
        return np.where(differs[self._columns], point[self._columns], draw.token)

    def learn(self, told: list[tuple[Any, float]]) -> None:
        with np.errstate(over="ignore"):  # of a width that is infinite by then: it has ended
            self._library.tell(list(told))
        self._settle()

    def ended(self) -> bool:
        return self._ended

    def _settle(self) -> None:
        """Leave the library in a state that copying keeps to the last bit.

        It makes its matrix symmetric when it is copied, and decomposes it when first needed.
        """
        self._ended = bool(self._library.should_stop())
        self._library = copy.deepcopy(self._library)


class Mixed:
    """`CatCMAwM` over numbers and categories."""

    def __init__(self, parts: Parts, centre: Floats, sigma: float, population: int | None) -> None:
        from cmaes import CatCMAwM

        self._parts = parts
        continuous, discrete, categories = parts.continuous, parts.discrete, parts.categories
        numbers = np.concatenate([continuous, discrete])
        levels = [parts.axes[j].levels for j in categories.tolist()]
        weights = np.zeros((len(levels), max(levels, default=0)))
        for row, j in enumerate(categories.tolist()):
            weights[row, : levels[row]] = parts.weights[j]
        every = [parts.axes[j].cube(parts.axes[j].every()) for j in discrete.tolist()]
        self._library = CatCMAwM(
            x_space=[[0.0, 1.0]] * len(continuous) if len(continuous) else None,
            z_space=[values.tolist() for values in every] if every else None,
            c_space=levels or None,
            population_size=population,
            mean=centre[numbers].copy() if len(numbers) else None,
            sigma=sigma,
            cov=np.eye(len(numbers)) if len(numbers) else None,
            cat_param=weights if levels else None,
            seed=0,
        )
        self.population: int = self._library.population_size
        self._broken = False
        self._ranged = not len(continuous)  # penalties of what left the space need a range of values

    def draw(self, seed: int, count: int) -> list[Draw]:
        library = copy.deepcopy(self._library)
        library.reseed_rng(seed)
        return [Draw(self._point(solution), solution) for solution in (library.ask() for _ in range(count))]

    def _point(self, solution: Any) -> Floats:
        parts = self._parts
        point = np.full(len(parts.axes), 0.5)
        if solution.x is not None:
            point[parts.continuous] = solution.x
        if solution.z is not None:
            point[parts.discrete] = solution.z
        if solution.c is not None:
            levels = np.array([parts.axes[j].levels for j in parts.categories.tolist()])
            point[parts.categories] = (solution.c.argmax(axis=1) + 0.5) / levels
        return point

    def corrected(self, draw: Draw, point: Floats, differs: NDArray[np.bool_]) -> Any:
        """The library keeps the numbers before rounding and repair in `_v_raw`."""
        parts, solution = self._parts, draw.token
        numbers = np.concatenate([parts.continuous, parts.discrete])
        one_hot = solution.c
        if one_hot is not None:
            one_hot = one_hot.copy()
            for row, j in enumerate(parts.categories.tolist()):
                if differs[j]:
                    one_hot[row] = np.arange(one_hot.shape[1]) == int(point[j] * parts.axes[j].levels)
        raw = solution._v_raw
        if raw is not None:
            raw = np.where(differs[numbers], point[numbers], raw)
        return dataclasses.replace(solution, c=one_hot, _v_raw=raw)

    def learn(self, told: list[tuple[Any, float]]) -> None:
        """Generations are passed over until one has the range that the library needs: between quartiles."""
        values = sorted(value for _, value in told)
        quartiles = values[len(values) // 4], values[3 * len(values) // 4]
        self._ranged = self._ranged or quartiles[0] < quartiles[1]
        if not self._ranged or values[0] == values[-1]:
            return
        with np.errstate(all="ignore"):
            self._library.tell(list(told))
        drawn = self.draw(0, 1)[0].point
        self._broken = not bool(np.isfinite(drawn).all())

    def ended(self) -> bool:
        if self._broken or not self._library.n_continuous + self._library.n_integer:
            return self._broken
        return bool(copy.deepcopy(self._library).should_stop())
