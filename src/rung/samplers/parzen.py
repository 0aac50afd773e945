"""Parzen estimators of the tree-structured kind: mixtures of truncated kernels and the prior.

Watanabe 2023, "Tree-Structured Parzen Estimator: Understanding Its Algorithm Components and Their Roles for
Better Empirical Performance", sections 3.3 and 3.4, and Bergstra et al. 2011, section 4. Each observation is
the centre of a kernel, a product over the dimensions; one component more is the space's prior.

- Numbers have normal kernels truncated to [0, 1], logarithmic ones in the logarithm. What has steps (whole
  numbers, ordinals) has the kernel's mass over the value's part of the line: up to 12 values by a table,
  beyond by the normal density whose variance is larger by that of the part (Sheppard's correction: with
  `STEP_PART` of a part as least bandwidth 1 % off; 20 % at the first, wide values of a long logarithmic one).
- Categories have Aitchison and Aitken's (1976) kernel.
- Where a parameter is not active in an observation, that one's kernel is the prior in its dimension; where it
  is not active at a point, it has no part in the density there. So a joint density over a tree of conditions
  is one, too: its integral over the tree is 1.

All densities are relative to the uniform one, as in `CompiledSpace.log_prior`. The exponents of all points
and observations are one matrix product in single precision: rows of observations hold x - 1/2, its square and
a 0 or 1 for each category, so that they stay when a bandwidth changes; bandwidths are on the points' side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from rung.samplers.density import product, truncated_normal
from rung.samplers.frame import Floats, Frame, Ints, Singles, Table

STEP_PART: Final = 0.5  # the least bandwidth of a number with steps, in the mean part of a value
_GRID: Final = 1024  # parts between the points at which many kernels' normalisers are computed
_BLOCK: Final = 4096  # observations evaluated at once: what is computed of them stays in the cache
_SPREAD: Final = 500  # of more than twice as many observations the spread is that of at least these
_LOWEST: Final = -100.0  # smaller exponents, in bits below the largest, are raised to this
_LN2: Final = math.log(2.0)


class Settings(NamedTuple):
    """How wide kernels are.

    Attributes:
        narrowest: the least bandwidth of a number.
        exponent: the least bandwidth is also (1 / (n + 2)) to this power (magic clipping); None for no such.
        category: the bandwidth of a category: the mass that other categories have. None for that of one
            count for each of m categories beside n + 1 for the kernel's own: (m - 1) / (n + m + 1).
    """

    narrowest: float
    exponent: float | None
    category: float | None


_NOTHING = -1000.0  # binary logarithm of a density that makes no difference


@dataclass(frozen=True, eq=False)
class Parzen:
    """A mixture of kernels around n observations, and of the prior.

    Attributes:
        rows: (height, n) `Frame.features` of the observations.
        weights: (n,) of the kernels; with the prior's they sum to 1.
        prior: the prior's weight.
        bandwidths: (k,)
    """

    frame: Frame
    rows: Singles
    weights: Floats
    prior: float
    bandwidths: Floats

    def log2(self, points: Floats) -> Floats:
        """(count,) binary logarithms of the density at settled points (count, k)."""
        with np.errstate(divide="ignore"):
            prior: Floats = np.log2(self.prior) + self.frame.log_prior(points).sum(axis=1)
        if not len(self.weights):
            return prior
        weights, offsets = self._weights(points)
        return np.logaddexp2(prior, offsets + _log2_sum(weights, self._rows))

    def draw(self, count: int, generator: np.random.Generator) -> Floats:
        """Settled points (count, k): for each a component, picked by weight, and a point that follows it."""
        c, k = len(self.frame.smooth), len(self.frame.dims)
        edges = np.cumsum(self.weights)
        picks = np.searchsorted(edges, generator.random(count), side="right")
        uniforms = generator.random((count, k))
        points = self.frame.from_prior(uniforms)
        kernels = np.flatnonzero(picks < len(edges))  # of the others the component is the prior
        rows = self.rows[:, picks[kernels]].astype(np.float64)
        drawn = np.empty((len(kernels), k))
        drawn[:, :c] = truncated_normal(rows[:c].T + 0.5, self.bandwidths[:c], uniforms[kernels, :c])
        for i, (table, place) in enumerate(self.frame.places(), c):
            codes = rows[place].argmax(axis=0)
            drawn[:, i] = _from_table(table, codes, float(self.bandwidths[i]), uniforms[kernels, i])
        held = np.ones((len(kernels), k), dtype=bool)
        held[:, self.frame.gated] = rows[self.frame.height - len(self.frame.gated) :].T == 0.0
        points[kernels] = np.where(held, drawn, points[kernels])
        return self.frame.settled(points)

    @cached_property
    def _rows(self) -> Singles:
        """The features, the normalisers of smooth gated numbers, and what always counts: (K, n)."""
        c, height, gated = len(self.frame.smooth), self.frame.height, self._gated_smooth
        logs = _log_masses(self.rows[:c], self.bandwidths[:c])
        rows = np.empty((height + len(gated) + 1, len(self.weights)), np.float32)
        rows[:height] = self.rows
        gaps = self.rows[height - len(self.frame.gated) :][: len(gated)]
        np.multiply(gaps - 1.0, logs[gated], out=rows[height:-1])
        always = np.delete(logs, gated, axis=0) if len(gated) else logs
        np.subtract(np.log2(self.weights), always.sum(axis=0), out=rows[-1], casting="same_kind")
        return rows

    @cached_property
    def _gated_smooth(self) -> Ints:
        return self.frame.gated[self.frame.gated < len(self.frame.smooth)]

    def _weights(self, points: Floats) -> tuple[NDArray[Any], Floats]:
        """The points' side of the product (count, K), and what a point's exponents all have more (count,)."""
        frame, c = self.frame, len(self.frame.smooth)
        active = ~np.isnan(points)
        x = np.where(active[:, :c], points[:, :c] - 0.5, 0.0)
        variances = self.bandwidths[:c] ** 2 + frame.parts(points) ** 2 / 12.0
        factors = np.where(active[:, :c], 1.0 / (_LN2 * variances), 0.0)
        highest = -0.5 * x * x * factors - 0.5 * np.log2(2.0 * math.pi * variances)
        at = np.zeros(points.shape)  # what a gap of the observation must not have of these terms
        at[:, :c] = np.where(active[:, :c], highest, 0.0)
        hot = []
        for i, table in enumerate(frame.tables, c):
            codes = np.where(active[:, i], points[:, i], 0.0).astype(np.intp)
            kernel = table.log_kernel(float(self.bandwidths[i]), at=codes)
            hot.append(np.where(active[:, i, None], kernel, 0.0))
        prior = np.maximum(frame.log_prior(points), _NOTHING)  # an infinity times 0 would be no number
        gaps = np.where(active, prior - at, 0.0)[:, frame.gated]
        present = active[:, self._gated_smooth]
        columns = [x * factors, -0.5 * factors, *hot, gaps, present, np.ones((len(points), 1))]
        return np.concatenate(columns, axis=1).astype(np.float32), at.sum(axis=1)


def fit(frame: Frame, rows: Singles, weights: Floats, prior_weight: float, settings: Settings) -> Parzen:
    """The mixture around observations, bandwidths by Scott's rule with the prior's centre as one more.

    Args:
        rows: (height, n) `frame.features` of the observations.
        weights: (n,) of the kernels, before they are scaled to a sum of 1 with `prior_weight`.
    """
    total = float(weights.sum()) + prior_weight
    least = np.maximum(_narrowest(len(weights), settings), STEP_PART * frame.steps)
    bandwidths = np.clip(_spreads(frame, rows), least, 1.0)
    for i, table in enumerate(frame.tables, len(frame.smooth)):
        if table.category:
            m = table.size
            wanted = settings.category if settings.category is not None else (m - 1) / (len(weights) + m + 1)
            bandwidths[i] = min(wanted, 1.0 - 1.0 / m)  # where the kernel is uniform
    return Parzen(frame, rows, weights / total, prior_weight / total, bandwidths)


def _narrowest(n: int, settings: Settings) -> float:
    magic = 0.0 if settings.exponent is None else (1.0 / (n + 2.0)) ** settings.exponent
    return max(settings.narrowest, magic)


def _spreads(frame: Frame, rows: Singles) -> Floats:
    """(k,) Scott's rule: 1.059 min(interquartile range / 1.34, standard deviation) n^(-1/5)."""
    c = len(frame.smooth)
    numbers = [rows[:c]]
    for table, place in frame.places():
        numbers.append((table.centres - 0.5).astype(np.float32)[None, :] @ rows[place])
    centred = np.concatenate(numbers)
    spreads = _scott(centred)
    gaps = rows[frame.height - len(frame.gated) :]
    for i, gap in zip(frame.gated, gaps, strict=True):
        spreads[i] = _scott(centred[None, i, gap == 0.0])[0]
    return spreads


def _scott(centred: Singles) -> Floats:
    """(k,) the rule for the rows of (k, n), each with 0 added; the spread is that of `_SPREAD` of many."""
    n = centred.shape[1] + 1
    if n == 1:
        return np.zeros(len(centred))
    if n > 2 * _SPREAD:
        centred = centred[:, :: n // _SPREAD]
    values = np.sort(np.concatenate([centred, np.zeros((len(centred), 1), np.float32)], axis=1), axis=1)
    last = values.shape[1] - 1
    low, high = values[:, round(0.25 * last)], values[:, round(0.75 * last)]
    spread = np.minimum((high - low) / 1.34, values.std(axis=1, ddof=1))
    found: Floats = 1.059 * spread.astype(np.float64) * n**-0.2
    return found


def _from_table(table: Table, codes: Ints, bandwidth: float, uniforms: Floats) -> Floats:
    """Positions that follow the kernels around `codes` (n,), by inversion of `uniforms`."""
    mass = np.exp2(table.log_kernel(bandwidth, around=codes)) * np.diff(table.edges)[:, None]  # (m, n)
    below = np.cumsum(mass / mass.sum(axis=0), axis=0)
    found: Floats = np.minimum((below <= uniforms).sum(axis=0), table.size - 1).astype(np.float64)
    return found


def _log_masses(centred: Singles, bandwidths: Floats) -> Singles:
    """(c, n) binary logarithms of the mass in [0, 1] of normals around `centred` (c, n) plus 1/2.

    Of many they are found on a line between the two nearest points of a grid; 0.002 off at most where a
    bandwidth is 0.01.
    """
    h = bandwidths[:, None]
    if centred.shape[1] <= _GRID:
        return _log_mass(centred + 0.5, h).astype(np.float32)
    grid = _log_mass(np.arange(_GRID + 1) / _GRID, h).astype(np.float32)
    slopes = np.diff(grid, axis=1, append=np.float32(0.0))
    logs = np.empty_like(centred)
    for line, slope, x, out in zip(grid, slopes, centred, logs, strict=True):  # a row stays in the cache
        np.add(x, np.float32(0.5), out=out)
        out *= np.float32(_GRID)
        cells = out.astype(np.intp)
        np.subtract(out, cells, out=out, dtype=np.float32, casting="same_kind")
        out *= slope.take(cells, mode="clip")
        out += line.take(cells, mode="clip")
    return logs


def _log_mass(centres: Any, widths: Any) -> Floats:
    logs: Floats = np.log2(ndtr((1.0 - centres) / widths) - ndtr(-centres / widths))
    return logs


def _log2_sum(weights: NDArray[Any], rows: NDArray[Any]) -> Floats:
    """log2(sum(2 ** (weights @ rows))) over the columns of `rows`: (count, K), (K, n) -> (count,)."""
    parts = [_sum_block(weights, rows[:, i : i + _BLOCK]) for i in range(0, rows.shape[1], _BLOCK)]
    peaks = np.array([peak for peak, _ in parts], dtype=np.float64)  # (blocks, count)
    top = peaks.max(axis=0)
    logs: Floats = top + np.log2((np.array([part for _, part in parts]) * np.exp2(peaks - top)).sum(axis=0))
    return logs


def _sum_block(weights: NDArray[Any], rows: NDArray[Any]) -> tuple[NDArray[Any], Floats]:
    """The largest exponent, and sum(2 ** (exponent - largest)); both (count,)."""
    exponents = product(weights, rows)
    peaks = exponents.max(axis=1)
    exponents -= peaks[:, None]
    np.maximum(exponents, _LOWEST, out=exponents)  # results below float32's normal range are very slow
    np.exp2(exponents, out=exponents)
    return peaks, np.einsum("cn->c", exponents).astype(np.float64)
