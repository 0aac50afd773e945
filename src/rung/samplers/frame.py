"""A space's dimensions as Parzen estimators see them: smooth numbers, tables of few values, gaps.

See `rung.samplers.parzen`, which has the kernels.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from rung.space.compiled import CompiledSpace
from rung.space.domains import Integer

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.intp]

SHORT: Final = 12  # values up to which a number with steps has a table of its kernel
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

    def log_kernel(self, bandwidth: float, at: Ints | None = None, around: Ints | None = None) -> Floats:
        """Binary logarithms of the densities at some values of the kernels around others.

        Args:
            at: (a,) positions of values, the rows; all m unless given.
            around: (b,) positions of the kernels' centres, the columns; all m unless given. A category may
                have thousands of values, of whose m x m pairs few are ever asked for.

        Returns:
            (a, b) array.
        """
        everything = np.arange(self.size)
        at, around = everything if at is None else at, everything if around is None else around
        if self.category:
            mass = np.where(at[:, None] == around, 1.0 - bandwidth, bandwidth / (self.size - 1))
        else:
            below = ndtr((self.edges[:, None] - self.centres[around]) / bandwidth)
            mass = (np.diff(below, axis=0) / (below[-1] - below[0]))[at]
        logs: Floats = np.log2(np.maximum(mass, _LEAST) / np.diff(self.edges)[at, None])
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
