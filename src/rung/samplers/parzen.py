"""Parzen estimators of the tree-structured kind: mixtures of truncated kernels and the prior.

Watanabe 2023, "Tree-Structured Parzen Estimator: Understanding Its Algorithm Components and Their Roles for
Better Empirical Performance", sections 3.3 and 3.4, and Bergstra et al. 2011, section 4. Each observation is
the centre of a kernel, a product over the dimensions; one component more is the space's prior.

- Numbers have normal kernels truncated to [0, 1], logarithmic ones in the logarithm. What has steps (whole
  numbers, ordinals) has the kernel's mass over the value's part of the line: up to `SHORT` values by a table,
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
from scipy.special import ndtr, ndtri

from rung.samplers.density import product
from rung.space.compiled import CompiledSpace
from rung.space.domains import Integer

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.intp]

SHORT: Final = 12  # values up to which a number with steps has a table of its kernel
STEP_PART: Final = 0.5  # the least bandwidth of a number with steps, in the mean part of a value
_GRID: Final = 1024  # parts between the points at which many kernels' normalisers are computed
_BLOCK: Final = 4096  # observations evaluated at once: what is computed of them stays in the cache
_SPREAD: Final = (
    500  # observations, at least, of which a spread is taken where there are more than twice that
)
_LOWEST: Final = -100.0  # smaller exponents, in bits below the largest, are raised to this
_LEAST: Final = 1e-30  # the least mass of a kernel
_LN2: Final = math.log(2.0)


class Table(NamedTuple):
    """A dimension of few values: their parts of the line, and whether they have no order."""

    dim: int
    edges: Floats  # (m + 1,)
    category: bool

    @property
    def size(self) -> int:
        return len(self.edges) - 1

    @property
    def centres(self) -> Floats:
        """(m,)"""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    def log_kernel(self, bandwidth: float) -> Floats:
        """(m, m) binary logarithms of the density at a value (row) of the kernel around another (column)."""
        if self.category:
            other = bandwidth / (self.size - 1)
            mass = np.where(np.eye(self.size, dtype=bool), 1.0 - bandwidth, other)
        else:
            below = ndtr((self.edges[:, None] - self.centres) / bandwidth)
            mass = np.diff(below, axis=0) / (below[-1] - below[0])
        logs: Floats = np.log2(np.maximum(mass, _LEAST) / np.diff(self.edges)[:, None])
        return logs


class Frame:
    """Some of a space's dimensions, as kernels see them.

    Points of it are (count, k) arrays: smooth numbers in [0, 1], then positions in the tables; NaN where not
    active.

    Args:
        dims: of the space, each of more than one value.

    Attributes:
        smooth: (c,) dimensions of the space that are numbers of many values.
        tables: those of few values.
        dims: (k,) all, smooth ones first.
        gated: (g,) positions in `dims` of those that are not always active, if points of all are compared.
    """

    def __init__(self, space: CompiledSpace, dims: Ints) -> None:
        axes = space.columns.axes
        few = [axes[j].levels > 0 or (axes[j].count or SHORT + 1) <= SHORT for j in dims]
        self.space = space
        self.smooth: Ints = dims[~np.array(few, dtype=bool)]
        self.tables = tuple(_table(space, int(j)) for j in dims[np.array(few, dtype=bool)])
        self.dims: Ints = np.concatenate([self.smooth, np.array([t.dim for t in self.tables], dtype=np.intp)])
        gates = [space.columns.gates[j] for j in self.dims]
        self.joint = any(gate != gates[0] for gate in gates)  # else all are active, or none of them
        self.gated: Ints = np.flatnonzero([self.joint and gate is not None for gate in gates])
        self._stepped = [(i, axes[j]) for i, j in enumerate(self.smooth) if axes[j].count is not None]
        self._parts = np.array([1.0 / (axes[j].count or math.inf) for j in self.smooth])
        self._tables_start = 2 * len(self.smooth)
        self.height = self._tables_start + sum(t.size for t in self.tables) + len(self.gated)

    def features(self, matrix: Floats) -> Singles:
        """The observations' side of the product: (height, n), from encoded configurations (n, d).

        Its rows are: smooth numbers less 1/2; their squares; for each table each value, 0 or 1; for each
        dimension of `gated` whether it is not active, 0 or 1. A gap is 0 in all but the last.
        """
        c = len(self.smooth)
        rows = np.zeros((self.height, len(matrix)), np.float32)
        centred = matrix[:, self.smooth].T - 0.5
        rows[:c] = np.where(np.isnan(centred), 0.0, centred)
        np.square(rows[:c], out=rows[c : 2 * c])
        for table, place in self.places():
            rows[place] = _codes(table, matrix[:, table.dim]) == np.arange(table.size)[:, None]
        rows[self.height - len(self.gated) :] = np.isnan(matrix[:, self.dims[self.gated]].T)
        return rows

    def places(self) -> list[tuple[Table, slice]]:
        """The tables, each with its rows of `features`."""
        starts = np.cumsum([self._tables_start, *(t.size for t in self.tables)]).tolist()
        return [(t, slice(a, b)) for t, a, b in zip(self.tables, starts, starts[1:], strict=False)]

    def settled(self, points: Floats) -> Floats:
        """The points (count, k) at the middle of the values that they mean, NaN where not active."""
        points = points.copy()
        for i, axis in self._stepped:
            points[:, i] = axis.cube(axis.raw(points[:, i]))
        if len(self.gated):
            active = self.space.columns.activity(self.space.columns.raw(self.cube(points)))
            for i in self.gated:
                points[~active[self.dims[i]], i] = np.nan
        return points

    def cube(self, points: Floats) -> Floats:
        """Points (count, k) in the unit cube of the whole space: (d, count), 1/2 in all other dimensions."""
        full = np.full((self.space.size, len(points)), 0.5)
        c = len(self.smooth)
        full[self.smooth] = points[:, :c].T
        for table, codes in zip(self.tables, points.T[c:], strict=True):
            known = np.where(np.isnan(codes), 0, codes).astype(np.intp)
            full[table.dim] = np.where(np.isnan(codes), np.nan, table.centres[known])
        return full

    def parts(self, points: Floats) -> Floats:
        """(count, c): how much of the line the value of each smooth number has; 0 in a continuum."""
        widths = np.broadcast_to(self._parts, (len(points), len(self.smooth)))
        for i, _ in self._stepped:
            domain = self.space.domains[self.smooth[i]]
            if isinstance(domain, Integer) and domain.log:
                widths = widths.copy()
                widths[:, i] = _log_part(domain, points[:, i])
        return widths

    @cached_property
    def steps(self) -> Floats:
        """(k,) the mean part of a value, 0 in a continuum and for categories."""
        tables = [0.0 if t.category else 1.0 / t.size for t in self.tables]
        return np.concatenate([self._parts, tables])

    def log_prior(self, points: Floats) -> Floats:
        """(count, k) binary logarithms of the prior's density; 0 where not active."""
        logs = np.zeros(points.shape)
        cube = None
        for i, j in enumerate(self.dims):
            axis = self.space.columns.axes[j]
            if axis.quantile is not None:
                cube = self.cube(points) if cube is None else cube
                there = np.flatnonzero(~np.isnan(points[:, i]))
                logs[there, i] = axis.log_density(cube[j, there]) / _LN2
        return logs

    def from_prior(self, uniforms: Floats) -> Floats:
        """Points (count, k) that follow the prior, from uniform numbers (count, k)."""
        points = uniforms.copy()
        for i, j in enumerate(self.dims):
            quantile = self.space.columns.axes[j].quantile
            if quantile is not None:
                points[:, i] = quantile(points[:, i])
        for i, table in enumerate(self.tables, len(self.smooth)):
            points[:, i] = _codes(table, points[:, i])
        return points


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
        drawn[:, :c] = _truncated_normal(rows[:c].T + 0.5, self.bandwidths[:c], uniforms[kernels, :c])
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
            kernel = table.log_kernel(float(self.bandwidths[i]))
            codes = np.where(active[:, i], points[:, i], 0.0).astype(np.intp)
            hot.append(np.where(active[:, i, None], kernel[codes], 0.0))
        gaps = np.where(active, frame.log_prior(points) - at, 0.0)[:, frame.gated]
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


def _table(space: CompiledSpace, dim: int) -> Table:
    axis, domain = space.columns.axes[dim], space.domains[dim]
    count = axis.count or 0
    edges = np.arange(count + 1) / count
    if isinstance(domain, Integer) and domain.log:
        bounds = np.arange(domain.low, domain.high + 2) - 0.5
        edges = np.log(bounds / bounds[0]) / math.log(bounds[-1] / bounds[0])
    return Table(dim, edges, axis.levels > 0)


def _codes(table: Table, x: Floats) -> NDArray[np.float64]:
    """The position of the value at each of `x` (n,) in [0, 1]; NaN stays NaN."""
    codes = np.clip(np.searchsorted(table.edges, x, side="right") - 1, 0, table.size - 1)
    return np.where(np.isnan(x), np.nan, codes)


def _log_part(domain: Integer, x: Floats) -> Floats:
    """The part of the line that the value at each of `x` has, on a logarithmic one."""
    low, span = domain.low - 0.5, math.log((domain.high + 0.5) / (domain.low - 0.5))
    value = np.rint(low * np.exp(x * span))
    widths: Floats = np.log((value + 0.5) / np.maximum(value - 0.5, low)) / span
    return widths


def _truncated_normal(centres: Floats, widths: Floats, uniforms: Floats) -> Floats:
    """Normal draws around `centres`, `widths` wide, truncated to [0, 1], by inversion of `uniforms`."""
    low, high = ndtr(-centres / widths), ndtr((1.0 - centres) / widths)
    drawn: Floats = centres + widths * ndtri(low + uniforms * (high - low))
    return np.clip(drawn, 0.0, 1.0)


def _from_table(table: Table, codes: Ints, bandwidth: float, uniforms: Floats) -> Floats:
    """Positions that follow the kernels around `codes` (n,), by inversion of `uniforms`."""
    mass = np.exp2(table.log_kernel(bandwidth)) * np.diff(table.edges)[:, None]
    below = np.cumsum(mass / mass.sum(axis=0), axis=0)[:, codes]  # (m, n)
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
    slopes = np.diff(grid, axis=1, append=0.0)
    scaled = (centred + np.float32(0.5)) * np.float32(_GRID)
    cells = np.minimum(scaled.astype(np.int32), _GRID - 1)
    scaled -= cells
    cells += np.arange(len(cells), dtype=np.int32)[:, None] * np.int32(_GRID + 1)
    scaled *= slopes.take(cells, mode="clip")
    scaled += grid.take(cells, mode="clip")
    return scaled


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
