"""One dimension of the unit cube each: cube to raw numbers to Python values, and back.

Raw numbers are what rules are evaluated on: the value itself of a numeric parameter, else the position in the
list of values. Every function here takes and returns whole columns, and gives the same element whatever
else is in the column.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import (
    NO_DEFAULT,
    Categorical,
    Choice,
    Constant,
    Domain,
    Float,
    Integer,
    Normal,
    Ordinal,
)
from rung.space.priors import BetaPrior, Prior, Quantile, TruncatedNormal, Weights, log_density_of_cells
from rung.space.steps import Steps
from rung.space.values import Value

Array = NDArray[Any]
Floats = NDArray[np.float64]

_EXACT = 2**53


class Axis(Protocol):
    """A dimension.

    Attributes:
        levels: how many categories, 0 for whatever has an order or one value only.
        count: how many values there are; None if they are a continuum.
        values: all of them, where they are listed: raw numbers are positions in it.
        centre: where the default lies.
        quantile: from uniform numbers to points that follow the prior; None where that changes nothing.
    """

    levels: int
    count: int | None
    values: tuple[Value, ...] | None
    centre: float
    quantile: Quantile | None

    def raw(self, x: Floats) -> Array:
        """From points in [0, 1] to raw numbers."""

    def log_density(self, x: Floats) -> Floats:
        """The logarithm of the prior's density at points in [0, 1]; of a value's, all over its part."""

    def every(self) -> Array:
        """All raw numbers, where `count` is not None."""

    def cube(self, raw: Array) -> Floats:
        """From raw numbers to points; `raw(cube(r))` is r, to rounding for a continuum.

        So it is for whole numbers above 2**45 on a logarithmic scale: two of them may share a point.
        """

    def python(self, raw: Array) -> list[Value]:
        """From raw numbers to Python values."""

    def column(self, values: list[Value]) -> Array:
        """From Python values to raw numbers."""


class _Scale:
    """A straight or logarithmic line from `low` (at 0) to `high` (at 1)."""

    __slots__ = ("high", "log", "low", "start", "stop")

    def __init__(self, low: float, high: float, log: bool) -> None:
        self.low, self.high, self.log = low, high, log
        self.start, self.stop = (math.log(low), math.log(high)) if log else (low, high)

    def up(self, x: Floats) -> Floats:
        line = self.start * (1.0 - x) + self.stop * x
        if self.log:
            line = np.exp(line)
        return line

    def down(self, values: Array) -> Floats:
        line = np.log(values) if self.log else values
        return ((line - self.start) / (self.stop - self.start)).clip(0.0, 1.0)

    def prior(self, prior: Any) -> Prior | None:
        """The same on [0, 1]; None where that is uniform."""
        if prior is None:
            return None
        if isinstance(prior, Normal):
            span = self.stop - self.start
            mean = ((math.log(prior.mean) if self.log else prior.mean) - self.start) / span
            deviation = prior.deviation / span
            flat = deviation > 1e6 and abs(mean) < deviation  # no float tells it from a uniform one
            return None if flat else TruncatedNormal(mean, deviation)
        return BetaPrior(prior.alpha, prior.beta)

    def mode(self, prior: Any) -> float:
        """Where the prior is highest; the centre without one."""
        if isinstance(prior, Normal):
            return float(self.down(np.array([prior.mean]))[0])
        if prior is None or prior.alpha + prior.beta == 2:
            return 0.5
        return float((prior.alpha - 1) / (prior.alpha + prior.beta - 2))


class Continuum:
    """A `Float` without step."""

    levels: int = 0
    count: int | None = None
    values: tuple[Value, ...] | None = None

    def __init__(self, domain: Float) -> None:
        self._scale = _Scale(domain.low, domain.high, domain.log)
        self._prior = self._scale.prior(domain.prior)
        self.quantile = _quantile(self._prior)
        self.centre = self._scale.mode(domain.prior)
        if domain.default is not None:
            self.centre = float(self.cube(np.array([domain.default]))[0])

    def raw(self, x: Floats) -> Array:
        scale = self._scale
        values = scale.up(x)
        if scale.log:  # exp(log(low)) need not be low: the ends are exact
            values[x <= 0.0] = scale.low
            values[x >= 1.0] = scale.high
        return values.clip(scale.low, scale.high, out=values)

    def log_density(self, x: Floats) -> Floats:
        return np.zeros(len(x)) if self._prior is None else self._prior.log_density(x)

    def every(self) -> Array:
        raise ValueError("a continuum can't be listed")

    def cube(self, raw: Array) -> Floats:
        return self._scale.down(raw)

    def python(self, raw: Array) -> list[Value]:
        values: list[Value] = raw.tolist()
        return values

    def column(self, values: list[Value]) -> Array:
        return np.array(values, dtype=np.float64)


class Whole:
    """An `Integer`: value k has the part of the (log) line from k - 1/2 to k + 1/2."""

    levels: int = 0
    values: tuple[Value, ...] | None = None

    def __init__(self, domain: Integer) -> None:
        self._low, self._high = domain.low, domain.high
        self._count = domain.high - domain.low + 1
        self.count: int | None = self._count
        self._scale = _Scale(domain.low - 0.5, domain.high + 0.5, domain.log)
        self._prior = self._scale.prior(domain.prior)
        self.quantile = _quantile(self._prior)
        self.centre = self._scale.mode(domain.prior)
        if domain.default is not None:
            self.centre = float(self.cube(np.array([domain.default]))[0])

    def raw(self, x: Floats) -> Array:
        if self._scale.log:
            values = np.floor(self._scale.up(x) + 0.5)
        else:
            values = self._low + np.floor(x * self._count)
        return np.clip(values, self._low, self._high).astype(np.int64)

    def log_density(self, x: Floats) -> Floats:
        if self._prior is None:
            return np.zeros(len(x))
        if not self._scale.log:
            return _stepwise(self._prior, x, self._count)
        values = self.raw(x)
        low, high = self._scale.down(values - 0.5), self._scale.down(values + 0.5)
        return log_density_of_cells(self._prior, low, high)

    def every(self) -> Array:
        return np.arange(self._low, self._high + 1)

    def cube(self, raw: Array) -> Floats:
        if self._scale.log:
            return self._scale.down(raw)
        return (raw - self._low + 0.5) / self._count

    def python(self, raw: Array) -> list[Value]:
        values: list[Value] = raw.tolist()
        return values

    def column(self, values: list[Value]) -> Array:
        return np.array(values, dtype=np.int64)


class Stepped:
    """A number with a step: every value has an equal part of the line. Raw numbers are the values."""

    levels: int = 0
    values: tuple[Value, ...] | None = None

    def __init__(self, domain: Float | Integer) -> None:
        self._steps: Steps = domain.steps()
        self._type = np.int64 if isinstance(domain, Integer) else np.float64
        self._count = self._steps.count
        self.count: int | None = self._count
        half = 0.5 * (domain.step or 0.0)
        scale = _Scale(domain.low - half, domain.high + half, False)
        self._prior = scale.prior(domain.prior)
        self.quantile = _quantile(self._prior)
        self.centre = scale.mode(domain.prior)
        if domain.default is not None:
            self.centre = float(self.cube(np.array([domain.default]))[0])

    def raw(self, x: Floats) -> Array:
        index = np.minimum(np.floor(x * self._count), self._count - 1)
        steps = self._steps
        largest = max(abs(steps.first), abs(steps.first + (self._count - 1) * steps.step), steps.scale)
        if largest < _EXACT:  # one rounding, in the division: the same as Python's whole numbers
            values = (steps.first + index * steps.step) / steps.scale
            return np.where(index == self._count - 1, steps.high, values).astype(self._type)
        return np.array([steps.value(int(i)) for i in index], dtype=self._type)

    def log_density(self, x: Floats) -> Floats:
        return np.zeros(len(x)) if self._prior is None else _stepwise(self._prior, x, self._count)

    def every(self) -> Array:
        return np.array([self._steps.value(i) for i in range(self._count)])

    def cube(self, raw: Array) -> Floats:
        steps = self._steps
        index = np.rint((raw - steps.value(0)) / (steps.step / steps.scale))
        return (np.clip(index, 0, self._count - 1) + 0.5) / self._count

    def python(self, raw: Array) -> list[Value]:
        values: list[Value] = raw.tolist()
        return values

    def column(self, values: list[Value]) -> Array:
        return np.array(values, dtype=self._type)


class Listed:
    """A `Categorical`, `Choice`, `Ordinal` or `Constant`: value k of m has the part [k / m, (k + 1) / m)."""

    def __init__(self, domain: Categorical | Choice | Ordinal | Constant) -> None:
        values: tuple[Value, ...] = domain.values
        self.values: tuple[Value, ...] | None = values
        self._count = len(values)
        self.count: int | None = self._count
        self.levels: int = self._count if self._count > 1 and not domain.ordered else 0
        self._table = np.empty(self._count, dtype=object)
        self._table[:] = values
        self._typed = len(set(values)) < self._count  # True and 1, or 1 and 1.0
        self._numbers: dict[Any, int] = {
            ((type(v), v) if self._typed else v): i for i, v in enumerate(values)
        }
        weights = domain.prior if isinstance(domain, Categorical | Choice) else None
        self._weights = Weights(weights) if weights is not None else None
        self.quantile: Quantile | None = None if self._weights is None else self._weights.quantile
        self.centre = (_default(domain, values, weights) + 0.5) / self._count

    def raw(self, x: Floats) -> Array:
        return np.minimum(x * self._count, self._count - 1).astype(np.int64)

    def log_density(self, x: Floats) -> Floats:
        return np.zeros(len(x)) if self._weights is None else self._weights.log_density(x)

    def every(self) -> Array:
        return np.arange(self._count)

    def cube(self, raw: Array) -> Floats:
        return (raw + 0.5) / self._count

    def python(self, raw: Array) -> list[Value]:
        values: list[Value] = self._table[raw].tolist()
        return values

    def column(self, values: list[Value]) -> Array:
        numbers = self._numbers
        if self._typed:
            return np.array([numbers[type(v), v] for v in values], dtype=np.int64)
        return np.array([numbers[v] for v in values], dtype=np.int64)


def _quantile(prior: Prior | None) -> Quantile | None:
    return None if prior is None else prior.quantile


def _stepwise(prior: Prior, x: Floats, count: int) -> Floats:
    """The log density of the value at each point, where `count` values have equal parts."""
    index = np.minimum(np.floor(x * count), count - 1)
    return log_density_of_cells(prior, index / count, (index + 1.0) / count)


def _default(domain: Any, values: tuple[Value, ...], weights: tuple[float, ...] | None) -> int:
    """The number of the default: the one given, else of the largest weight, the middle or the first."""
    default = getattr(domain, "default", NO_DEFAULT)
    for i, value in enumerate(values):
        if type(value) is type(default) and value == default:
            return i
    if weights is not None:
        return weights.index(max(weights))
    return (len(values) - 1) // 2 if domain.ordered else 0


def make_axis(domain: Domain) -> Axis:
    """The axis of a parameter's domain."""
    match domain:
        case Float(step=None):
            return Continuum(domain)
        case Integer(step=None):
            return Whole(domain)
        case Float() | Integer():
            return Stepped(domain)
    return Listed(domain)
