"""A space compiled to arrays, once: every sampler and model works on this form, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rung.errors import SpaceError
from rung.space.axes import Floats
from rung.space.columns import Active, Columns, Raw
from rung.space.domains import Domain, Space, as_space
from rung.space.draws import uniforms_of
from rung.space.grid import Grid
from rung.space.layout import Layout, MisfitError
from rung.space.naming import Naming
from rung.space.neighbours import find_neighbours
from rung.space.values import INACTIVE, Value, Values

BLOCK: Final = 256  # random configurations are drawn and kept in aligned blocks
KEPT: Final = 8  # blocks
ATTEMPTS: Final = 1000  # draws of one configuration before the forbidden statements are called too many


class CompiledSpace:
    """A space compiled to arrays.

    A configuration is a `Values` tuple, one entry a dimension, `INACTIVE` where not active. Dimensions are
    the parameters in the order of declaration, a choice followed by its branches' parameters.

    Attributes:
        space: what was compiled.
        size: number of dimensions d.
        naming: its parameters' names, by which a configuration becomes a mapping.
        names: by dimension, the public name; two branches may share one.
        keys: by dimension, the full name, such as "optimizer.sgd.momentum"; unique.
        levels: (d,) number of categories; 0 for numeric and ordinal dimensions and those of one value.
        domains: by dimension, the domain.
        layout: the space laid flat, with its rules.
        columns: its axes and rules, by dimension, on whole columns of raw numbers.
        defaults: by dimension, the value that stands for a NaN.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.columns = Columns(space)
        self.layout: Layout = self.columns.layout
        slots = self.layout.slots
        self.size: int = len(slots)
        self.naming = Naming(self.layout)
        self.names: tuple[str, ...] = self.naming.names
        self.keys: tuple[str, ...] = tuple(slot.key for slot in slots)
        self.domains: tuple[Domain, ...] = tuple(slot.domain for slot in slots)
        self.levels: NDArray[np.int64] = np.array([axis.levels for axis in self.columns.axes], dtype=np.int64)
        self.defaults: tuple[Value, ...] = tuple(
            axis.python(np.array([raw]))[0]
            for axis, raw in zip(self.columns.axes, self.columns.defaults, strict=True)
        )
        lists = [axis.values for axis in self.columns.axes if axis.values is not None]
        self._twins = any(len(set(values)) < len(values) for values in lists)  # True and 1, or 1 and 1.0
        self._blocks: dict[tuple[int, int], list[Values]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return compile_space, (self.space,)

    # -- random configurations --------------------------------------------------------------------------

    def sample(self, seed: int, number: int) -> Values:
        """The random configuration of trial `number`: a legal one, by the priors; a pure function.

        Raises:
            SpaceError: the forbidden statements leave almost nothing.
        """
        block = (seed, number // BLOCK)
        rows = self._blocks.get(block)
        if rows is None:
            rows = self.samples(seed, block[1] * BLOCK, BLOCK)
            while len(self._blocks) >= KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[block] = rows
        return rows[number % BLOCK]

    def samples(self, seed: int, first: int, count: int, *, uniform: bool = False) -> list[Values]:
        """The random configurations of trials `first` ... `first + count - 1`, as `sample` gives them.

        With `uniform` they are drawn as if the space had no priors.
        """
        rows: list[Values] = []
        missing = np.arange(first, first + count)
        for attempt in range(ATTEMPTS):
            points = self._draw(seed, missing, attempt, uniform)
            raw, active = self._decoded(points)
            found = self.columns.rows(raw, active)
            legal = self.columns.legal(raw, active, len(found))
            if attempt:
                for i in np.flatnonzero(legal).tolist():
                    rows[missing[i] - first] = found[i]
            else:
                rows = found
            missing = missing[~legal]
            if not len(missing):
                return rows
        raise SpaceError(
            f"the forbidden combinations leave almost nothing: {ATTEMPTS:,} random configurations in a row "
            "were forbidden; narrow the parameters' ranges instead"
        )

    def _draw(self, seed: int, numbers: NDArray[np.int64], attempt: int, uniform: bool) -> Floats:
        points = np.ascontiguousarray(uniforms_of(seed, numbers, self.size, attempt).T)  # (d, n)
        return points if uniform else self._by_priors(points)

    def _by_priors(self, points: Floats) -> Floats:
        """Uniform numbers (d, n) as points that follow the priors; changes its argument."""
        for j, axis in enumerate(self.columns.axes):
            if axis.quantile is not None:
                points[j] = axis.quantile(points[j])
        return points

    def _decoded(self, points: Floats) -> tuple[Raw, Active]:
        raw = self.columns.raw(points)
        return raw, self.columns.activity(raw)

    # -- the unit cube ------------------------------------------------------------------------------------

    def encode(self, rows: Sequence[Values]) -> Floats:
        """The configurations in the unit cube: (n, d), NaN where not active.

        Category k of m lies at (k + 1/2) / m.
        """
        return self.columns.encode(rows)

    def decode(self, points: ArrayLike) -> list[Values]:
        """The configurations at points of the unit cube.

        What is active follows from the decoded parents. They need not be legal.

        Args:
            points: (n, d); what lies outside [0, 1] is moved to its edge, NaN means the default.
        """
        x = np.array(np.asarray(points, dtype=np.float64).T, order="C")  # (d, n), a copy
        if x.ndim != 2 or len(x) != self.size:
            raise ValueError(f"points must have the shape (n, {self.size}), not {np.shape(points)}")
        missing = np.isnan(x)
        raw = self.columns.raw(np.clip(np.where(missing, 0.5, x), 0.0, 1.0))
        for j in np.flatnonzero(missing.any(axis=1)).tolist():
            raw[j][missing[j]] = self.columns.defaults[j]
        return self.columns.rows(raw, self.columns.activity(raw))

    def by_priors(self, uniforms: Floats) -> Floats:
        """Points of the unit cube that follow the priors, from uniform numbers in [0, 1); (n, d) both."""
        return self._by_priors(np.array(uniforms.T, order="C")).T

    def log_prior(self, points: ArrayLike) -> Floats:
        """How likely the priors hold each configuration to be: (n,) log densities.

        They are relative to the uniform distribution: 0 in a space without priors, and the mean of exp() over
        uniform points is 1, but for what forbidden statements cut out. A value of a parameter with steps or
        of a list has one density all over its part of the cube, so that exp() is its probability over that of
        a uniform draw. A category of weight 0 has minus infinity; all else is finite.

        Args:
            points: (n, d) in the unit cube; NaN where not active, which counts as 0.
        """
        x = np.asarray(points, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.size:
            raise ValueError(f"points must have the shape (n, {self.size}), not {np.shape(points)}")
        total = np.zeros(len(x))
        for j, axis in enumerate(self.columns.axes):
            if axis.quantile is not None:
                there = np.flatnonzero(~np.isnan(x[:, j]))
                total[there] += axis.log_density(np.clip(x[there, j], 0.0, 1.0))
        return total

    def default(self) -> Values:
        """The configuration of all defaults (it may be forbidden)."""
        return self.decode(np.full((1, self.size), np.nan))[0]

    def activity(self, rows: Sequence[Values]) -> NDArray[np.bool_]:
        """Where the configurations are active: (n, d)."""
        return np.array([[v is not INACTIVE for v in row] for row in rows], dtype=np.bool_).reshape(
            -1, self.size
        )

    def legal(self, rows: Sequence[Values]) -> NDArray[np.bool_]:
        """Which configurations no forbidden statement meets: (n,)."""
        if not rows or not self.columns.forbidden:
            return np.ones(len(rows), dtype=np.bool_)
        raw, active = self.columns.read(rows)
        return self.columns.legal(raw, list(active), len(rows))

    def told_apart(self, rows: Sequence[Values]) -> Sequence[object]:
        """What tells the configurations apart in a set: True and 1 are different, and so are 1 and 1.0.

        It is the configurations themselves where the space has no such values.
        """
        return [(row, *map(type, row)) for row in rows] if self._twins else rows

    # -- moves and grids ------------------------------------------------------------------------------------

    def neighbours(self, values: Values, rng: np.random.Generator, count: int) -> list[Values]:
        """Up to `count` different legal configurations, each with one parameter of `values` changed."""
        return find_neighbours(self.columns, values, rng, count)

    def grid(self, resolution: int | Mapping[str, int] = 5) -> Grid:
        """The grid's configurations, by number; see `Grid` for its order and for `resolution`."""
        return Grid(self.columns, resolution)

    def grid_size(self, resolution: int | Mapping[str, int] = 5) -> int:
        """How many configurations the grid has."""
        return self.grid(resolution).size

    # -- mappings -----------------------------------------------------------------------------------------

    def to_mapping(self, values: Values) -> dict[str, Any]:
        """The configuration as a flat mapping from public name to value, only what is active."""
        return self.naming.to_mapping(values)

    def from_mapping(self, mapping: Mapping[str, Any]) -> Values:
        """The configuration that a flat mapping means.

        Raises:
            SpaceError: a parameter is missing, unknown, not active or out of its domain, or the combination
                is forbidden.
        """
        if not isinstance(mapping, Mapping):
            raise SpaceError(f"a configuration is a mapping from names to values, not {mapping!r}")
        columns = self.columns
        raw: Raw = [0] * self.size
        active: Active = [False] * self.size
        values: list[Any] = [INACTIVE] * self.size
        for slot in columns.layout.order:
            gate = columns.gates[slot]
            if gate is None or columns.holds(gate, raw, active):
                values[slot] = self._admitted(slot, mapping)
                raw[slot] = columns.axes[slot].column([values[slot]]).tolist()[0]
                active[slot] = True
        found = tuple(values)
        self._check_names(mapping, active)
        if not self.legal([found])[0]:
            raise SpaceError(f"the configuration {dict(mapping)!r} is forbidden in this space")
        return found

    def _admitted(self, slot: int, mapping: Mapping[str, Any]) -> Value:
        name = self.names[slot]
        if name not in mapping:
            raise SpaceError(
                f"the configuration has no value for parameter {self.keys[slot]!r}, which is active"
            )
        try:
            value: Value = self.domains[slot].admit(mapping[name])
        except MisfitError as problem:
            raise SpaceError(f"parameter {self.keys[slot]!r} {problem}") from None
        return value

    def _check_names(self, mapping: Mapping[str, Any], active: Active) -> None:
        known = {name for name, on in zip(self.names, active, strict=True) if on}
        for name in mapping:
            if name not in known:
                why = "not active beside the other values" if name in self.names else "not in the space"
                raise SpaceError(f"the configuration names parameter {name!r}, which is {why}")


def compile_space(space: Space | Mapping[str, Any]) -> CompiledSpace:
    """Compile a space, or the plain mapping of parameters that stands for one.

    Raises:
        SpaceError: it is not valid, or has no parameters.
    """
    space = as_space(space)
    if not space.parameters:
        raise SpaceError("the space has no parameters, so there is nothing to search")
    return CompiledSpace(space)
