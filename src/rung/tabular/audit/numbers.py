"""What may be wrong with a column of numbers: infinities, sentinels, outliers, skew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.cells import Cells
from rung.tabular.audit.finding import Finding, quoted, rows, share
from rung.tabular.columns import Kind

SENTINELS: Final = (-999.0, -9999.0, -99999.0, -99.0, 999.0, 9999.0, 99999.0, 999999.0, -1e30, 1e30)
_FENCE: Final = 10.0  # half-spreads beyond a quartile; 7.4 standard deviations of a normal distribution
_FEW: Final = 0.01  # share beyond the fence that is a heavy tail rather than outliers
_SKEWED: Final = 3.0
_FAR: Final = 1_000.0  # half-spreads: a slip of the pen or a wrong unit rather than a large value


def number_findings(cells: Cells) -> Iterator[Finding]:
    """All findings about one column of numbers; none about another kind."""
    if cells.column.kind != Kind.NUMBER:
        return
    yield from _infinite(cells)
    yield from _words(cells)
    marks = sentinels(cells.finite)
    yield from _sentinels(cells, marks)
    plain = cells.finite[~np.isin(cells.finite, list(marks))]
    yield from _outliers(cells, plain)
    yield from _skewed(cells, plain)


def _infinite(cells: Cells) -> Iterator[Finding]:
    count = len(cells.numbers) - len(cells.finite)
    if count:
        yield Finding(
            "warning",
            cells.name,
            f"infinite in {rows(count)}",
            "rung takes these cells as missing in a frame, and refuses a file with them: empty them, or put "
            "a finite number there",
            "infinite",
        )


def _words(cells: Cells) -> Iterator[Finding]:
    """Words in a column of numbers."""
    if cells.typed or cells.agree == 1:
        return
    words, counts = cells.levels
    bad, count = words[~cells.numeric], int(counts[~cells.numeric].sum())
    yield Finding(
        "warning",
        cells.name,
        f"numbers, but for {rows(count)} ({share(1 - cells.agree)}) with {quoted(bad)}",
        "rung takes these cells as missing; correct them, if they are numbers with a unit or slips",
        "mixed-types",
    )


def sentinels(values: NDArray[np.float64]) -> dict[float, int]:
    """Values that stand for "missing", and how often: -999 and the like far from all others, and a -1 that is
    the only negative one among many.

    Args:
        values: (n,) ascending, finite.
    """
    found = {}
    for mark in SENTINELS:
        low, high = (
            np.searchsorted(values, [mark, mark], side="left")[0],
            np.searchsorted(values, mark, "right"),
        )
        count, others = int(high - low), np.concatenate([values[:low], values[high:]])
        if count and len(others) and _isolated(mark, others):
            found[mark] = count
    count = int((values == -1).sum())
    others = values[values != -1]
    others = others[~np.isin(others, list(found))]
    if count > 0.01 * len(values) and len(others) and others[0] >= 0 and others[-1] >= 20:
        found[-1.0] = count
    return found


def _isolated(mark: float, others: NDArray[np.float64]) -> bool:
    """Whether the mark lies further outside the others than their own width (97.5 % of them, for there may
    be several marks).
    """
    low, high = np.quantile(others, [0.0125, 0.9875])
    inner = others[(others >= low) & (others <= high)]
    width = float(inner[-1] - inner[0]) or max(abs(float(inner[0])), 1.0)
    gap = float(inner[0] - mark) if mark < inner[0] else float(mark - inner[-1])
    nearest = float(np.abs(others - mark).min())
    return gap > width and nearest > 0.2 * gap


def _sentinels(cells: Cells, marks: dict[float, int]) -> Iterator[Finding]:
    for mark, count in marks.items():
        yield Finding(
            "warning",
            cells.name,
            f"{mark:g} in {rows(count)} ({share(count / len(cells.finite))}), far from all other values: it "
            "looks like a mark for missing cells" if mark != -1 else
            f"-1 in {rows(count)} ({share(count / len(cells.finite))}) is the only negative value: it looks "
            "like a mark for missing cells",
            "rung takes it as a number: trees cope, scales do not; empty the cells if it means missing",
            "sentinel",
        )  # fmt: skip


def _outliers(cells: Cells, values: NDArray[np.float64]) -> Iterator[Finding]:
    """Far out by fences that follow the skew: each side's own half-spread (Tukey, 1977, widened)."""
    if len(values) < 20 or cells.column.distinct < 10:
        return
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    rest = float(np.quantile(values, 0.95) - np.quantile(values, 0.05)) / 4
    down, up = float(middle - low) or rest, float(high - middle) or rest
    if not (down and up):
        return
    beyond = np.concatenate([values[values < low - _FENCE * down], values[values > high + _FENCE * up]])
    if not 0 < len(beyond) <= max(_FEW * len(values), 1):
        return
    far = max((low - values[0]) / down, (values[-1] - high) / up)
    extremes = beyond[np.argsort(-np.abs(beyond - middle), kind="stable")]
    yield Finding(
        "warning" if far > _FAR else "note",
        cells.name,
        f"{rows(len(beyond))} far outside the others: {_numbers(extremes)}; half of the column lies between "
        f"{low:.6g} and {high:.6g}",
        "rung keeps them, and cuts scaled values at 20; correct them if they are errors or of another unit",
        "outliers",
    )


def _numbers(values: NDArray[np.float64]) -> str:
    unique = list(dict.fromkeys(values.tolist()))
    return ", ".join(f"{value:.6g}" for value in unique[:3]) + (", …" if len(unique) > 3 else "")


def _skewed(cells: Cells, values: NDArray[np.float64]) -> Iterator[Finding]:
    skew = skewness(values)
    if cells.column.distinct >= 20 and abs(skew) > _SKEWED:
        side = "large" if skew > 0 else "small"
        yield Finding(
            "note",
            cells.name,
            f"skewed ({skew:.1f}): few rows have very {side} values",
            "trees are not hurt; for other learners rung tries scaling by ranks",
            "skewed",
        )


def skewness(values: NDArray[np.float64]) -> float:
    """The third standardised moment; 0 of fewer than 20 values and where all are equal."""
    if len(values) < 20 or not np.ptp(values):
        return 0.0
    unit = float(np.abs(values).max())  # so that no square is too large
    scaled = values / unit
    centred = scaled - scaled.mean()
    spread = float(np.sqrt((centred**2).mean()))
    return float(((centred / spread) ** 3).mean()) if spread > 0 else 0.0
