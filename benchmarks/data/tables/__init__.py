"""Recorded tables: learning curves of full grids, really trained, opened as problems in microseconds.

    table = open_table("nets-letter")
    table.loss({"layers": 2, "units": 45, ...}, resource=9, seed=0)

To add a table, write its recipe into a module of `recipes`, then run `python -m benchmarks.data.tables
record NAME`; a recording that was stopped goes on. The file NAME.npz that comes of it is all that a problem
needs: `benchmarks.problems.recorded` finds it by itself, and the recipe's data and packages are needed no
more.

A file is an uncompressed npz of three arrays:

`about`
    JSON as bytes: `axes` (by parameter `values` and `kind`, see `recipes.Axis`), `resource` (its name),
    `steps` (the resources that were recorded), `continues` (whether a training goes on from a smaller one;
    if not, a step's seconds are those of a whole training to it), `what` (one sentence), `hours` (of training
    in all), `python`.
`first`, (3, configurations, steps), float32
    Of the first seed: losses on the validation part, on the test part, seconds that each step took. The
    configurations are the full grid of the axes, the last running fastest. A training that failed has nan
    from there on.
`repeats`, (seeds - 1, a tenth of the configurations, steps), float32
    The validation losses of the other seeds: of configurations 0, 10, 20, ...

Between the values of a numeric axis a table is interpolated linearly in the axis' scale, all such axes at
once (multilinear), so that the surface meets the recorded points and has its extremes there; between steps
it is linear; beyond the ends the nearest value holds. A configuration that failed is worth `inf`; where only
some of the corners of an interpolation failed, these count as the worst finite loss of that step.
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from bisect import bisect_left
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.tables.recipes import Axis

HERE: Final = Path(__file__).parent

Config = Mapping[str, Any]
Corners = tuple[list[int], list[float]]
"""Rows of the grid and their weights, which add up to 1."""


class Table:
    """One table.

    Attributes:
        axes: by parameter.
        resource: the name of its fidelity.
        steps: the recorded resources, ascending.
        about: what else the file says of itself.
    """

    def __init__(self, about: Mapping[str, Any], first: NDArray[Any], repeats: NDArray[Any]) -> None:
        self.about = about
        self.axes = {
            name: Axis(tuple(_hashable(value) for value in axis["values"]), axis["kind"])
            for name, axis in about["axes"].items()
        }
        self.resource: str = about["resource"]
        self.steps: tuple[int, ...] = tuple(about["steps"])
        self._losses, self._tests, self._seconds = first  # (configurations, steps) each
        self._repeats = repeats
        self._ticks = np.array([0, *self.steps], float)
        self._scales: list[_Scale] = []
        stride = len(self._losses)
        for name, axis in self.axes.items():
            stride //= len(axis.values)
            self._scales.append(_Scale(name, axis, stride))

    def loss(self, config: Config, resource: int, seed: int = 0) -> float:
        """The validation loss; on the grid that of a recorded seed, of which `seed` picks one in turn.

        Off the grid it is the interpolated mean over the seeds.
        """
        rows, weights = self._corners(config)
        if len(rows) > 1:
            return self._at(self._means, rows, weights, resource)
        tenth, rest = divmod(rows[0], 10)
        number = seed % (len(self._repeats) + 1)
        if rest or not number:
            return self._at(self._losses, rows, weights, resource)
        return self._at(self._repeats[number - 1], [tenth], weights, resource)

    def mean(self, config: Config, resource: int | None = None) -> float:
        """The mean validation loss over the recorded seeds; at the largest resource if told none."""
        return self._at(self._means, *self._corners(config), resource or self.steps[-1])

    def test(self, config: Config) -> float:
        """The loss on the test part at the largest resource, of the first seed."""
        return self._at(self._tests, *self._corners(config), self.steps[-1])

    def seconds(self, config: Config, start: int, until: int) -> float:
        """The seconds that training from one resource to another took; above 0, also where it had failed."""
        rows, weights = self._corners(config)
        clock = np.dot(weights, self._clocks[rows])  # (steps + 1,)
        begin, end = np.interp((start, until), self._ticks, clock)
        if not self.about.get("continues", True):
            begin = 0.0
        return max(1e-6, float(end - begin))

    @cached_property
    def noise(self) -> NDArray[np.float64]:
        """The standard deviation among seeds at each step, (steps,), as good configurations have it.

        Of the repeated configurations the better quarter counts, by the mean at the largest resource: those
        that hardly train vary several times as much, and no search stays there. It is the median over these,
        scaled to be right for normal noise. 0 where there is one seed.
        """
        count = len(self._repeats)
        ends = self._means[::10, -1]
        if not count or np.isnan(ends).all():
            return np.zeros(len(self.steps))
        good = ends <= np.nanquantile(ends, 0.25)  # these failed with no seed
        losses = np.concatenate([self._losses[None, ::10], self._repeats])[:, good].astype(np.float64)
        median = np.median(losses.var(axis=0, ddof=1), axis=0)  # (steps,)
        # The median of a chi-square variable over its degrees of freedom (Wilson and Hilferty 1931).
        return np.sqrt(median / (1.0 - 2.0 / (9.0 * count)) ** 3)

    @cached_property
    def best(self) -> float:
        """The least mean validation loss at the largest resource."""
        return float(np.nanmin(self._means[:, -1]))

    @cached_property
    def _means(self) -> NDArray[np.float32]:
        """Over the seeds, (configurations, steps); failed with one seed is failed."""
        means = self._losses.copy()
        means[::10] = (means[::10] + self._repeats.sum(axis=0)) / (1 + len(self._repeats))
        return means

    @cached_property
    def _clocks(self) -> NDArray[np.float64]:
        """The seconds from the beginning to 0 and each step, (configurations, steps + 1)."""
        ends = np.nan_to_num(self._seconds).astype(np.float64)
        if self.about.get("continues", True):
            ends = ends.cumsum(axis=1)
        return np.pad(ends, ((0, 0), (1, 0)))

    def _corners(self, config: Config) -> Corners:
        rows, weights = [0], [1.0]
        for scale in self._scales:
            index, share = scale.place(config[scale.name])
            rows = [row + index * scale.stride for row in rows]
            if share:
                rows += [row + scale.stride for row in rows]
                weights = [weight * (1.0 - share) for weight in weights] + [
                    weight * share for weight in weights
                ]
        return rows, weights

    def _at(self, values: NDArray[Any], rows: list[int], weights: list[float], resource: int) -> float:
        end = min(bisect_left(self.steps, resource), len(self.steps) - 1)
        after = self._mixed(values, rows, weights, end)
        if not end > 0 or resource >= self.steps[end]:
            return after
        share = (self.steps[end] - resource) / (self.steps[end] - self.steps[end - 1])
        return share * self._mixed(values, rows, weights, end - 1) + (1.0 - share) * after

    def _mixed(self, values: NDArray[Any], rows: list[int], weights: list[float], step: int) -> float:
        if len(rows) == 1:
            found = float(values[rows[0], step])
            return math.inf if math.isnan(found) else found
        corners = values[rows, step]
        found = float(np.dot(corners, weights))
        if not math.isnan(found):
            return found
        failed = np.isnan(corners)
        if failed.all():
            return math.inf
        return float(np.dot(np.where(failed, np.nanmax(values[:, step]), corners), weights))


class _Scale:
    """An axis as a scale on which values have places.

    Attributes:
        name: of the parameter.
        stride: by how many rows of the grid neighbouring values are apart.
    """

    def __init__(self, name: str, axis: Axis, stride: int) -> None:
        self.name = name
        self.stride = stride
        self._places = {value: index for index, value in enumerate(axis.values)}
        self._choice = axis.kind == "choice"
        self._log = axis.kind == "log" or (axis.kind == "whole" and axis.values[0] > 0)
        self._points = [] if self._choice else [self._scaled(value) for value in axis.values]

    def place(self, value: Any) -> tuple[int, float]:
        """The index of the value, or of its lower neighbour, and the share of the way to the next."""
        index = self._places.get(value)
        if index is not None:
            return index, 0.0
        if self._choice:
            raise ValueError(f"{self.name}={value!r} was not recorded; there are {list(self._places)}")
        points = self._points
        point = self._scaled(max(value, next(iter(self._places))))
        above = bisect_left(points, point)
        if above in (0, len(points)):
            return max(0, above - 1), 0.0
        return above - 1, (point - points[above - 1]) / (points[above] - points[above - 1])

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._log else float(value)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def tables() -> list[str]:
    """The names of the recorded tables, by the files that are there."""
    return sorted(path.stem for path in HERE.glob("*.npz"))


def read(path: Path) -> Table:
    """The table of a file."""
    arrays = _arrays(path.read_bytes())
    return Table(json.loads(arrays["about"].tobytes()), arrays["first"], arrays["repeats"])


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an uncompressed npz, where they lie: `numpy.load` takes six times as long."""
    found: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            name, extra = struct.unpack_from("<HH", data, member.header_offset + 26)
            begin = member.header_offset + 30 + name + extra
            header = io.BytesIO(data[begin : begin + 512])
            if member.compress_type or np.lib.format.read_magic(header) != (1, 0):
                raise ValueError(f"{member.filename} is not an uncompressed array: pack the table anew")
            shape, _, kind = np.lib.format.read_array_header_1_0(header)
            flat = np.frombuffer(data, kind, math.prod(shape), begin + header.tell())
            found[Path(member.filename).stem] = flat.reshape(shape)
    return found


@cache
def open_table(name: str) -> Table:
    """The recorded table of this name; opened once a process, in about 200 microseconds.

    Raises:
        FileNotFoundError: there is none.
    """
    return read(HERE / f"{name}.npz")
