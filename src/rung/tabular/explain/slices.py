"""Which groups a model serves badly: its loss in each level of a category and in each range of a number.

A group's interval is the normal one of its mean loss, and the difference from all other rows is judged by
Welch's t; with many groups some look bad by chance, so p-values are corrected (Benjamini and Hochberg 1995).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Column, Kind

if TYPE_CHECKING:
    import pandas as pd

FEWEST: Final = 20  # rows of a group that is looked at
BINS: Final = 5
MOST_LEVELS: Final = 30
MOST_COLUMNS: Final = 200
WORST: Final = 10
MISSING: Final = "missing"
_LEAST: Final = 1e-9  # of a row: what is left of all rows' weight beside a group's that has it all


class Group(NamedTuple):
    """Some rows of a table: those where `column` is what `label` says."""

    column: str
    label: str
    rows: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Slice:
    """A group's mean loss, with its 95 % interval.

    Attributes:
        share: of all rows' weight.
        ratio: to the mean loss of all rows.
        p: of a loss that is no higher than the other rows', corrected for the number of groups.
    """

    column: str
    label: str
    rows: int
    share: float
    loss: float
    low: float
    high: float
    ratio: float
    p: float


@dataclass(frozen=True, slots=True)
class Slices:
    """The groups with the largest loss, worst first, out of `groups` that were looked at.

    Attributes:
        what: the loss, in words.
        overall: its mean over all rows.
    """

    what: str
    overall: float
    groups: int
    worst: tuple[Slice, ...]


def row_loss(y: NDArray[Any], said: NDArray[Any], *, classes: bool) -> tuple[str, NDArray[np.float64]]:
    """Each row's loss and its name: the error (0 or 1) of classes, the absolute error of numbers."""
    if classes:
        return "error rate", (said != y).astype(np.float64)
    return "mean absolute error", np.abs(said - y)


def find_slices(
    cells: pd.DataFrame,
    columns: Sequence[Column],
    y: NDArray[Any],
    said: NDArray[Any],
    *,
    classes: bool,
    weight: NDArray[np.float64] | None = None,
) -> Slices:
    """The groups with a significantly larger loss first, then the others, each by its interval's lower end.

    Args:
        cells: the judged rows as `prepare` returns them.
        columns: of the training table.
        y, said: (n,) codes or values, true and predicted.
        classes: whether they are codes.
        weight: (n,) of the rows, not negative; they count the same unless given. A group of weighted rows
            tells as much as (sum w)^2 / sum w^2 rows (Kish 1965, section 11.7).
    """
    what, loss = row_loss(y, said, classes=classes)
    weight = np.ones(len(loss)) if weight is None else weight
    whole = _moments(loss, weight) if weight.any() else _Moments(0.0, float("nan"), 0.0, 0.0)
    found = (_slice(group, loss, weight, whole) for group in groups(cells, columns))
    every, overall = [one for one in found if one is not None], whole.mean
    tested = _corrected(every)
    worse = sorted((s for s in tested if s.loss > overall), key=lambda s: (s.p >= 0.05, -s.low, -s.loss))
    return Slices(what, overall, len(every), tuple(_without_twins(worse)[:WORST]))


def groups(cells: pd.DataFrame, columns: Sequence[Column], fewest: int = FEWEST) -> Iterator[Group]:
    """Groups of at least `fewest` rows, never all rows, column by column."""
    for column in [c for c in columns if c.used and c.kind != Kind.TEXT][:MOST_COLUMNS]:
        for label, chosen in column_groups(cells[column.name], column.kind):
            if fewest <= len(chosen) < len(cells):
                yield Group(column.name, label, chosen)


def column_groups(values: pd.Series[Any], kind: str) -> list[tuple[str, NDArray[np.intp]]]:
    """(what the cells are, which rows) of a column: levels, ranges, years or months; missing last."""
    gone = values.isna().to_numpy()
    if kind == Kind.NUMBER:
        found = _ranges(values.to_numpy(dtype=np.float64))
    elif kind == Kind.DATE:
        found = _spans(values, ~gone)
    else:
        found = _levels(values.to_numpy(dtype=object), ~gone)
    return [*found, (MISSING, np.flatnonzero(gone))] if gone.any() else found


def _spans(dates: pd.Series[Any], there: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.intp]]]:
    """Years, or months where all lie in one year."""
    form = "%Y" if dates.dt.year.nunique() > 1 else "%Y-%m"
    return sorted(_levels(dates.dt.strftime(form).to_numpy(dtype=object), there), key=lambda one: one[0])


def _levels(cells: NDArray[Any], there: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.intp]]]:
    """The most frequent levels."""
    import pandas as pd

    rows = np.flatnonzero(there)
    codes, levels = pd.factorize(cells[rows], sort=True)
    frequent = np.argsort(-np.bincount(codes, minlength=len(levels)), kind="stable")[:MOST_LEVELS]
    return [(str(levels[k]), rows[codes == k]) for k in frequent]


def _ranges(numbers: NDArray[np.float64]) -> list[tuple[str, NDArray[np.intp]]]:
    """Each value, if there are few of them, else about equally many rows in each range."""
    there = np.isfinite(numbers)
    values = np.unique(numbers[there])
    if not len(values):
        return []
    if len(values) <= BINS:
        return [(f"{value:.6g}", np.flatnonzero(numbers == value)) for value in values]
    bins = int(np.clip(there.sum() // FEWEST, 2, BINS))
    edges = np.unique(np.quantile(numbers[there], np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    place = np.searchsorted(edges, numbers, side="left")
    return [
        (_range(edges, k), np.flatnonzero(there & (place == k)))
        for k in range(len(edges) + 1)
        if (there & (place == k)).any()
    ]


def _range(edges: NDArray[np.float64], k: int) -> str:
    """Upper ends belong to a range, lower ends do not."""
    short = [f"{float(f'{edge:.4g}'):.10g}" for edge in edges]
    if k == 0:
        return f"≤ {short[0]}"
    return f"> {short[-1]}" if k == len(edges) else f"{short[k - 1]} to {short[k]}"


class _Moments(NamedTuple):
    """Of weighted losses: sum of weights, mean, variance, and how many equal rows would tell as much."""

    total: float
    mean: float
    variance: float
    rows: float


def _moments(loss: NDArray[np.float64], weight: NDArray[np.float64]) -> _Moments:
    total = float(weight.sum())
    mean = float(weight @ loss / total)
    return _Moments(
        total, mean, float(weight @ (loss - mean) ** 2 / total), total**2 / float(weight @ weight)
    )


def _slice(
    group: Group, loss: NDArray[np.float64], weight: NDArray[np.float64], whole: _Moments
) -> Slice | None:
    """None where the group's rows, or all others, have no weight."""
    if whole.total <= 0:
        return None
    inside = loss[group.rows]
    count = weight[group.rows]
    total = float(count.sum())
    rest = whole.rows * (1 - total / whole.total)
    if total <= 0 or rest < _LEAST:
        return None
    _, mean, variance, n = _moments(inside, count)
    if n < 2:  # one row has nearly all of the weight
        return None
    variance *= n / (n - 1)
    if np.isin(inside, (0.0, 1.0)).all():
        low, high = wilson(mean, n)
        variance = max(variance, (mean * (1 - mean) + 0.25 / n) * n / (n + 1))  # never 0
    else:
        reach = 1.96 * float(np.sqrt(variance / n))
        low, high = mean - reach, mean + reach
    others = (whole.mean * whole.total - mean * total) / (whole.total - total)
    z = (mean - others) / (np.sqrt(variance / n + whole.variance / rest) or 1e-300)
    ratio = mean / whole.mean if whole.mean > 0 else 1.0
    share = total / whole.total
    return Slice(group.column, group.label, len(inside), share, mean, low, high, ratio, _tail(float(z)))


def wilson(share: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson's (1927) interval of a share."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))) / (1 + z * z / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _tail(z: float) -> float:
    """P(Z > z) of a standard normal."""
    from math import erfc, sqrt

    return 0.5 * erfc(z / sqrt(2))


def _corrected(found: list[Slice]) -> list[Slice]:
    """With p-values of the false discovery rate (Benjamini and Hochberg 1995)."""
    import dataclasses

    order = np.argsort([s.p for s in found], kind="stable")
    m = len(found)
    least, out = 1.0, list(found)
    for rank in range(m, 0, -1):
        i = int(order[rank - 1])
        least = min(least, found[i].p * m / rank)
        out[i] = dataclasses.replace(found[i], p=least)
    return out


def _without_twins(found: Sequence[Slice]) -> list[Slice]:
    """Without groups that are the same rows under another column's name, as far as numbers can tell."""
    kept: list[Slice] = []
    seen: set[tuple[int, float]] = set()
    for one in found:
        key = (one.rows, round(one.loss, 12))
        if key not in seen:
            seen.add(key)
            kept.append(one)
    return kept
