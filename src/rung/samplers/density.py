"""Kernel density estimates over numbers and categories, evaluated as one matrix product.

The definitions are those of statsmodels' `KDEMultivariate`: a product of Gaussian kernels for numbers and of
Aitchison and Aitken's (1976) for categories, bandwidths by the normal reference rule. Two things differ, so
that every density is above zero. The number of categories m is the parameter's own, not that of those seen.
And a category's bandwidth ends at (m - 1) / m, where the kernel is uniform; the rule goes beyond it, to
weights that prefer any other category, or are negative.

Arrays have a dimension in each row, numbers first, then categories as codes 0 ... m - 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FloatType = type[np.float64] | type[np.float32]

_BLOCK = 4096  # observations evaluated at once: what is computed of them stays in the cache
_UNTHREADED = 2**18  # multiplications of a product that OpenBLAS leaves to one thread
_LN2 = math.log(2.0)
_SCALE = 1.0 / math.sqrt(_LN2)  # numbers are scaled so that products are exponents of 2: exp2 is the fastest
_LOWEST = -100.0  # smaller exponents are raised to this: results below float32's normal range are very slow
_SMALL = 2.0**-50  # the least sum beside which what `_LOWEST` adds is nothing


@dataclass(frozen=True, eq=False)
class Density:
    """A density over k dimensions from n observations.

    Attributes:
        data: (k, n) the observations.
        levels: (k,) number of categories m, at least 2, or 0 for numbers, which come first.
        bandwidths: (k,).
    """

    data: Floats
    levels: Ints
    bandwidths: Floats

    def log(self, points: Floats, dtype: FloatType = np.float64) -> tuple[Floats, float]:
        """The logarithm of the density at `points` (count, k), computed in `dtype`.

        Returns:
            (count,) array, and a bound on the error of each entry.
        """
        rows, furthest = self._rows(dtype)
        weights, reach = self._weights(points, furthest)
        roundings = (len(rows) + 8) * (1.0 + reach) + _BLOCK  # of the exponents, and of their sum
        return _log_sum(weights.astype(dtype), rows) + self._constant, float(np.finfo(dtype).eps) * roundings

    @cached_property
    def _numbers(self) -> int:
        return int(np.count_nonzero(self.levels == 0))

    @cached_property
    def _centre(self) -> Floats:
        """(c,) means of the numbers, subtracted on both sides of the product so that its terms stay small."""
        centre: Floats = self.data[: self._numbers].mean(axis=1)
        return centre

    @cached_property
    def _constant(self) -> float:
        """The logarithm of what every kernel is at its centre, over n."""
        c = self._numbers
        scales = np.log1p(-self.bandwidths[c:]).sum() - np.log(self.bandwidths[:c]).sum()
        return float(scales) - 0.5 * c * math.log(2.0 * math.pi) - math.log(self.data.shape[1])

    @cached_property
    def _gains(self) -> Floats:
        """The binary logarithm of a kernel at its own category, over that at another; never negative."""
        h, m = self.bandwidths[self._numbers :], self.levels[self._numbers :]
        gains: Floats = np.log2((1.0 - h) * (m - 1) / h)
        return np.maximum(gains, 0.0)

    def _rows(self, dtype: FloatType) -> tuple[NDArray[Any], float]:
        """The observations' side of the product (K, n), and the largest norm of a scaled observation.

        Its rows are: each number, scaled; each category of each dimension, 0 or 1; minus half the squared
        norm of the numbers; 1.
        """
        c, n = self._numbers, self.data.shape[1]
        rows = np.empty((c + int(self.levels.sum()) + 2, n), dtype)
        np.subtract(self.data[:c], self._centre[:, None], out=rows[:c], casting="same_kind")
        rows[:c] *= (_SCALE / self.bandwidths[:c, None]).astype(dtype)
        start = c
        for codes, m in zip(self.data[c:], self.levels[c:], strict=True):
            rows[start : start + m] = codes == np.arange(m)[:, None]
            start += m
        squares = np.einsum("kn,kn->n", rows[:c], rows[:c])
        np.multiply(squares, -0.5, out=rows[start])
        rows[-1] = 1.0
        return rows, math.sqrt(float(squares.max()))

    def _weights(self, points: Floats, furthest: float) -> tuple[Floats, float]:
        """The points' side of the product (count, K), and the largest sum of its terms' sizes.

        The product is the exponent of 2 of each point's kernel around each observation, at most 0.
        """
        c = self._numbers
        scaled = (points[:, :c] - self._centre) * (_SCALE / self.bandwidths[:c])  # (count, c)
        squares = np.einsum("ck,ck->c", scaled, scaled)
        hot = [
            gain * (codes[:, None] == np.arange(m))
            for codes, m, gain in zip(points.T[c:], self.levels[c:], self._gains, strict=True)
        ]
        ones, offsets = np.ones((len(points), 1)), -0.5 * squares - self._gains.sum()
        weights = np.concatenate([scaled, *hot, ones, offsets[:, None]], axis=1)
        reach = 0.5 * (furthest + math.sqrt(float(squares.max()))) ** 2 + 2.0 * float(self._gains.sum())
        return weights, reach


def _log_sum(weights: NDArray[Any], rows: NDArray[Any]) -> Floats:
    """log(sum(2 ** (weights @ rows))) over the columns of `rows`: (count, K), (K, n) -> (count,).

    The product is at most 0, give or take rounding.
    """
    parts = [_sum_block(weights, rows[:, i : i + _BLOCK]) for i in range(0, rows.shape[1], _BLOCK)]
    shifts = np.array([shift for shift, _ in parts])  # (blocks, count)
    sums = np.array([block for _, block in parts])
    top: Floats = shifts.max(axis=0)
    total: Floats = (sums * np.exp2(shifts - top)).sum(axis=0)
    return _LN2 * top + np.log(total)


def _sum_block(weights: NDArray[Any], rows: NDArray[Any]) -> tuple[Floats, Floats]:
    """sum(2 ** (weights @ rows - shift)) over axis 1, and the shift, nearly always 0; both (count,)."""
    sums = _sum_powers(product(weights, rows))
    if sums.min() >= _SMALL:
        return np.zeros(len(sums)), sums
    exponents = product(weights, rows)
    peaks = exponents.max(axis=1)
    return peaks.astype(np.float64), _sum_powers(exponents - peaks[:, None])


def _sum_powers(exponents: NDArray[Any]) -> Floats:
    """sum(2 ** exponents) over axis 1; overwrites its argument."""
    np.maximum(exponents, _LOWEST, out=exponents)
    np.exp2(exponents, out=exponents)
    sums: Floats = np.einsum("cn->c", exponents).astype(np.float64)  # three times as fast as `sum`
    return sums


def product(weights: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """The matrix product, in pieces that no BLAS spreads over threads.

    Beside busy workers such threads wait for each other, a hundred times as long as the product takes; and
    the result would depend on their number.
    """
    product = np.empty((len(weights), rows.shape[1]), weights.dtype)
    piece = min(512, max(16, _UNTHREADED // weights.size))
    for i in range(0, rows.shape[1], piece):
        np.matmul(weights, rows[:, i : i + piece], out=product[:, i : i + piece])
    return product


def fit(data: Floats, levels: Ints, smallest: float) -> Density:
    """The density of `data` (k, n), bandwidths by the normal reference rule but at least `smallest`."""
    k, n = data.shape
    rule = 1.06 * data.std(axis=1) * n ** (-1.0 / (4 + k))
    largest = np.where(levels > 0, 1.0 - 1.0 / np.maximum(levels, 2), np.inf)
    return Density(data, levels, np.clip(rule, smallest, largest))


def draw(density: Density, count: int, factor: float, generator: np.random.Generator) -> Floats:
    """Points (count, k) near the observations of `density`, each near one picked at random.

    A number is drawn from a normal around the observation's, truncated to [0, 1], `factor` bandwidths wide; a
    category is kept with probability 1 - bandwidth, else drawn uniformly.
    """
    picks = generator.integers(density.data.shape[1], size=count)
    points = density.data[:, picks].T.copy()  # (count, k)
    uniforms = generator.random(points.shape)
    c = int(np.count_nonzero(density.levels == 0))
    points[:, :c] = truncated_normal(points[:, :c], factor * density.bandwidths[:c], uniforms[:, :c])
    h, m = density.bandwidths[c:], density.levels[c:]
    surplus = uniforms[:, c:] - (1.0 - h)  # uniform in [0, h) where the category isn't kept
    others = np.minimum(np.floor(surplus / h * m), m - 1)
    points[:, c:] = np.where(surplus < 0.0, points[:, c:], others)
    return points


def truncated_normal(centres: Floats, widths: Floats, uniforms: Floats) -> Floats:
    """Normal draws around `centres`, `widths` wide, truncated to [0, 1], by inversion of `uniforms`."""
    low, high = ndtr(-centres / widths), ndtr((1.0 - centres) / widths)
    drawn: Floats = centres + widths * ndtri(low + uniforms * (high - low))
    return np.clip(drawn, 0.0, 1.0)


def ranked(good: Density, bad: Density, points: Floats) -> Iterator[int]:
    """The indices of `points` (count, k) by falling good / bad, the earlier first among equals.

    float32 finds those that may come next, by the bound on its error; float64 decides among them.
    """
    ratios, error = _log_ratio(good, bad, points, np.float32)
    left = np.arange(len(points))
    while len(left):
        close = left[ratios[left] >= ratios[left].max() - 2.0 * error]
        first = 0
        if (points[close] != points[close[0]]).any():
            first = int(np.argmax(_log_ratio(good, bad, points[close], np.float64)[0]))
        yield int(close[first])
        left = left[left != close[first]]


def _log_ratio(good: Density, bad: Density, points: Floats, dtype: FloatType) -> tuple[Floats, float]:
    above, error = good.log(points, dtype)
    below, other = bad.log(points, dtype)
    return above - below, error + other
