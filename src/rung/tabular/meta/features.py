"""Meta-features: a table in some thirty numbers, cheap ones first, from a sample of its rows.

- Simple: rows, columns, classes, and the shares of what columns hold.
- Statistical: shape of the columns' distributions and how far they depend on each other (Michie,
  Spiegelhalter and Taylor 1994, "Machine Learning, Neural and Statistical Classification", section 7.3).
- Information-theoretic (ibid.): entropies of target and columns, mutual information between them, in nats;
  numbers are cut into eight bins of equal frequency first.
- Landmarks: how well very simple learners do on a small sample (Pfahringer, Bensusan and Giraud-Carrier 2000,
  "Meta-learning by landmarking various learning algorithms").

Each part is left out (NaN) where the time is up: similarity takes it as what is usual.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.encode import Table
from rung.tabular.meta.landmarks import LANDMARKS, landmarks

Array = NDArray[Any]

ROWS: Final = 2_000  # of the sample
COLUMNS: Final = 40  # of the sample, where columns are looked at in pairs or one by one
SECONDS: Final = 0.5  # that all of it may take
_BINS: Final = 8
_SIMPLE: Final = (
    "log_rows",
    "log_columns",
    "log_rows_by_column",
    "log_classes",
    "share_categories",
    "share_missing",
    "share_columns_missing",
    "log_most_levels",
    "log_mean_levels",
    "texts",
)
_STATISTICAL: Final = (
    "median_skewness",
    "most_skewness",
    "median_kurtosis",
    "mean_correlation",
    "share_outliers",
    "share_distinct",
    "components",
    "target_skewness",
    "target_kurtosis",
    "target_distinct",
)
_INFORMATION: Final = (
    "class_entropy",
    "rarest_class",
    "commonest_class",
    "column_entropy",
    "mean_information",
    "most_information",
    "equivalent_columns",
    "noise_to_signal",
)
NAMES: Final = (*_SIMPLE, *_STATISTICAL, *_INFORMATION, *LANDMARKS)


@dataclass(frozen=True)
class Features:
    """What is known of a table before anything is fitted.

    Attributes:
        values: by name, all of `NAMES`; NaN for what was not computed.
        rows, columns, classes: as they are; `width` is the columns of a typical matrix, where categories
            count several times. `classes` is 0 for regression.
        categories, missing: whether the table has categories, and missing numbers.
    """

    values: Mapping[str, float]
    rows: int
    columns: int
    classes: int
    width: int
    categories: bool
    missing: bool

    @property
    def vector(self) -> NDArray[np.float64]:
        """(len(NAMES),) in the order of `NAMES`."""
        return np.array([self.values.get(name, math.nan) for name in NAMES])


class _Sample(NamedTuple):
    """Some rows of a table; `y` is codes, or values where `classes` is 0."""

    table: Table
    y: Array
    classes: int
    seed: int


def meta_features(
    table: Table, y: Array, classes: int, sizes: list[int], *, seconds: float = SECONDS, seed: int = 0
) -> Features:
    """The meta-features of a table.

    Args:
        y: (n,) class codes 0 ... k - 1, or values where `classes` is 0.
        sizes: levels of each category.
        seconds: that it may take, roughly: a part is begun while less than half of them are used up.
    """
    began = time.monotonic()
    chosen = _rows(len(y), seed)
    sample = _Sample(table.take(chosen), np.asarray(y)[chosen], classes, seed)
    values = dict.fromkeys(NAMES, math.nan) | _simple(table, sample, sizes)
    parts: tuple[Callable[[_Sample], dict[str, float]], ...] = (_statistical, _information, _landmarks)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for part in parts:
            if time.monotonic() - began > seconds / 2:
                break
            values |= part(sample)
    width = table.numbers.shape[1] + sum(min(x, 10) for x in sizes) + (0 if table.words is None else 20)
    return Features(
        {name: values[name] if math.isfinite(values[name]) else math.nan for name in NAMES},
        rows=len(y),
        columns=table.numbers.shape[1] + len(sizes),
        classes=classes,
        width=width,
        categories=bool(sizes),
        missing=bool(np.isnan(table.numbers).any()),
    )


def _rows(n: int, seed: int) -> NDArray[np.intp]:
    if n <= ROWS:
        return np.arange(n)
    return np.sort(np.random.default_rng([seed, 5]).choice(n, ROWS, replace=False))


def _simple(table: Table, sample: _Sample, sizes: list[int]) -> dict[str, float]:
    """Counts and shares; logarithms are natural, of one more where 0 is possible."""
    rows, numbers, columns = len(table), table.numbers.shape[1], table.numbers.shape[1] + len(sizes)
    gone = np.hstack([np.isnan(sample.table.numbers), sample.table.codes < 0])
    return {
        "log_rows": math.log(max(rows, 1)),
        "log_columns": math.log1p(columns),
        "log_rows_by_column": math.log(max(rows, 1) / max(columns, 1)),
        "log_classes": math.log1p(sample.classes),
        "share_categories": len(sizes) / max(numbers + len(sizes), 1),
        "share_missing": float(gone.mean()) if gone.size else 0.0,
        "share_columns_missing": float(gone.any(axis=0).mean()) if gone.size else 0.0,
        "log_most_levels": math.log1p(max(sizes, default=0)),
        "log_mean_levels": math.log1p(float(np.mean(sizes)) if sizes else 0.0),
        "texts": float(table.words is not None),
    }


def _statistical(sample: _Sample) -> dict[str, float]:
    """Moments of the columns of numbers, signs aside and on a logarithmic scale, for a few are huge."""
    X = _some_columns(sample.table.numbers, sample.seed)
    found = {} if sample.classes else _target(sample.y.astype(np.float64))
    if not X.shape[1]:
        return found
    center, spread = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    X = X[:, spread > 0]
    if not X.shape[1]:
        return found
    Z = (X - center[spread > 0]) / spread[spread > 0]
    skewness = np.log1p(np.abs(np.nanmean(Z**3, axis=0)))
    Z = np.nan_to_num(Z)
    correlation = np.abs(np.atleast_2d(np.corrcoef(Z, rowvar=False)))
    pairs = correlation[np.triu_indices(len(correlation), 1)]
    return found | {
        "median_skewness": float(np.median(skewness)),
        "most_skewness": float(skewness.max()),
        "median_kurtosis": float(np.median(np.log1p(np.nanmean(Z**4, axis=0)))),
        "mean_correlation": float(np.nanmean(pairs)) if len(pairs) else 0.0,
        "share_outliers": float((np.abs(Z) > 3).mean()),
        "share_distinct": float(np.mean([len(np.unique(x)) / len(x) for x in X.T])),
        "components": _components(correlation, Z),
    }


def _components(correlation: Array, Z: Array) -> float:
    """Share of the principal components that hold 95 % of the variance of the standardised columns."""
    values = np.linalg.eigvalsh(np.nan_to_num(np.atleast_2d(np.cov(Z, rowvar=False))))[::-1]
    held = np.cumsum(np.maximum(values, 0))
    return float((np.searchsorted(held, 0.95 * held[-1]) + 1) / len(correlation))


def _target(y: Array) -> dict[str, float]:
    z = (y - y.mean()) / max(float(y.std()), 1e-300)
    return {
        "target_skewness": math.log1p(abs(float(np.mean(z**3)))),
        "target_kurtosis": math.log1p(float(np.mean(z**4))),
        "target_distinct": len(np.unique(y)) / len(y),
    }


def _information(sample: _Sample) -> dict[str, float]:
    """Entropies H and mutual information I, all relative to the target's entropy H(y).

    equivalent_columns = log(1 + H(y) / mean I); noise_to_signal = log(1 + (mean H(x) - mean I) / mean I).
    """
    y = sample.y.astype(np.intp) if sample.classes else _binned(sample.y.astype(np.float64))
    shares = np.bincount(y) / len(y)
    own = _entropy(shares)
    kinds = max(int((shares > 0).sum()), 2)
    found = {
        "class_entropy": own / math.log(kinds),
        "rarest_class": float(shares[shares > 0].min()),
        "commonest_class": float(shares.max()),
    }
    numbers = _some_columns(sample.table.numbers, sample.seed)
    codes = _some_columns(sample.table.codes, sample.seed)
    columns = [_binned(x) for x in numbers.T] + [np.minimum(x + 1, 200) for x in codes.T]
    if not columns or own <= 0:
        return found
    pairs = [_information_of(x, y) for x in columns]
    entropy = float(np.mean([h for h, _ in pairs]))
    shared = max(float(np.mean([i for _, i in pairs])), 1e-6)
    return found | {
        "column_entropy": entropy,
        "mean_information": shared / own,
        "most_information": float(max(i for _, i in pairs) / own),
        "equivalent_columns": math.log1p(own / shared),
        "noise_to_signal": math.log1p(max(entropy - shared, 0.0) / shared),
    }


def _information_of(x: Array, y: Array) -> tuple[float, float]:
    """H(x) and I(x; y), the latter less its bias (a - 1)(b - 1) / 2n (Miller 1955), at least 0."""
    table = np.zeros((int(x.max()) + 1, int(y.max()) + 1))
    np.add.at(table, (x, y), 1.0)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    n = table.sum()
    raw = _entropy(rows / n) + _entropy(columns / n) - _entropy(table.ravel() / n)
    bias = (max((rows > 0).sum(), 1) - 1) * (max((columns > 0).sum(), 1) - 1) / (2 * n)
    return _entropy(rows / n), max(raw - bias, 0.0)


def _entropy(shares: Array) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


def _binned(x: Array) -> NDArray[np.intp]:
    """Bins of equal frequency, 1 ... 8; 0 where missing."""
    there = ~np.isnan(x)
    bins = np.zeros(len(x), dtype=np.intp)
    if there.any():
        edges = np.unique(np.quantile(x[there], np.linspace(0, 1, _BINS + 1)[1:-1]))
        bins[there] = 1 + np.searchsorted(edges, x[there], side="right")
    return bins


def _some_columns(X: Array, seed: int) -> Array:
    if X.shape[1] <= COLUMNS:
        return X
    return X[:, np.sort(np.random.default_rng([seed, 6]).choice(X.shape[1], COLUMNS, replace=False))]


def _landmarks(sample: _Sample) -> dict[str, float]:
    numbers = _some_columns(sample.table.numbers, sample.seed)
    codes = _some_columns(sample.table.codes, sample.seed)
    return landmarks(np.hstack([numbers, codes]), sample.y, sample.classes, sample.seed)
