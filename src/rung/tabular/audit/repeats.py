"""What stands twice: rows, rows with another target, columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.cells import prepared
from rung.tabular.audit.columns import grouped
from rung.tabular.audit.finding import TABLE, Finding, rows, share
from rung.tabular.columns import Column, Kind
from rung.tabular.grouping import OFTEN
from rung.tabular.names import listed

if TYPE_CHECKING:
    import pandas as pd

_MANY: Final = 0.01  # share of the rows
_ALIKE: Final = 0.9999  # absolute correlation
_MOST: Final = 300  # number columns that are correlated


def row_findings(
    frame: pd.DataFrame, columns: tuple[Column, ...], y: NDArray[Any] | None
) -> Iterator[Finding]:
    """Rows that stand twice, and rows that are alike but for the target.

    Args:
        columns: those that models see are compared, so that a number of the row hides nothing.
        y: (n,) class codes or values, NaN or -1 where missing; None without a target.
    """
    used = [column.name for column in columns if column.used]
    if not used or len(frame) < 2:
        return
    inputs = _hashes(frame, used)
    whole = inputs if y is None else _mixed(inputs, _hash_numbers(y.astype(np.float64)))
    _, counts = np.unique(whole, return_counts=True)
    twice = int(len(frame) - len(counts))
    if twice:
        part = twice / len(frame)
        yield Finding(
            "warning" if part >= _MANY else "note",
            TABLE,
            f"{rows(twice)} ({share(part)}) {'repeats' if twice == 1 else 'repeat'} an earlier one",
            f"rung keeps them, {_held(inputs)}; remove them unless they are different cases that happen to "
            "be alike",
            "duplicated-rows",
        )
    if y is not None:
        yield from _conflicts(inputs, y)


def _held(inputs: NDArray[np.uint64]) -> str:
    times = np.unique(inputs, return_counts=True)[1]
    if times.max() < OFTEN:
        return "and holds copies out together, so that no row is judged by its double"
    if ((times == 1) | (times >= OFTEN)).all():
        return f"and holds them out like others, for they are there {OFTEN} times or more"
    return (
        f"and holds copies out together, but those of a row that is there {OFTEN} times or more like others"
    )


def _conflicts(inputs: NDArray[np.uint64], y: NDArray[Any]) -> Iterator[Finding]:
    """Alike in every column that models see, and yet with another target."""
    known = ~np.isnan(y) if y.dtype.kind == "f" else y >= 0
    _, group, sizes = np.unique(inputs[known], return_inverse=True, return_counts=True)
    order = np.lexsort((y[known], group))
    sorted_y, starts = y[known][order], np.r_[0, np.cumsum(sizes)[:-1]]
    differs = np.r_[sorted_y[1:] != sorted_y[:-1], False]
    differs[np.cumsum(sizes) - 1] = False  # the next one is of another group
    bad = np.add.reduceat(differs, starts) > 0
    count = int(sizes[bad].sum())
    if not count:
        return
    more = ""
    if y.dtype.kind != "f":
        best = _best_share(sorted_y, group[order])
        more = f": no model can be right in more than {share(best)} of all rows" if best < 0.999 else ""
    part = count / len(sorted_y)
    yield Finding(
        "warning" if part >= _MANY else "note",
        TABLE,
        f"{rows(count)} ({share(part)}) are alike in every column and differ in the target" + more,
        "rung keeps them; a column that tells them apart would help, and if they are errors, correct them",
        "conflicting-rows",
    )


def _best_share(y: NDArray[Any], group: NDArray[np.intp]) -> float:
    """The accuracy of predicting each group's most frequent class."""
    pairs = group.astype(np.int64) * (int(y.max()) + 1) + y.astype(np.int64)
    keys, counts = np.unique(pairs, return_counts=True)
    owners = keys // (int(y.max()) + 1)
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    return float(np.maximum.reduceat(counts, starts).sum() / len(y))


def _hashes(frame: pd.DataFrame, names: list[str]) -> NDArray[np.uint64]:
    """(n,) one number a row that is the same for rows that are alike."""
    total = np.zeros(len(frame), dtype=np.uint64)
    for name in names:
        total = _mixed(total, _hash_column(frame[name]))
    return total


def _hash_column(values: pd.Series) -> NDArray[np.uint64]:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values.dtype):
        return _hash_numbers(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return _spread(codes_of(values).astype(np.uint64))


def codes_of(values: pd.Series) -> NDArray[np.intp]:
    """(n,) numbers of the distinct values in order of appearance, -1 where missing."""
    import pandas as pd

    try:
        return np.asarray(pd.factorize(values)[0])
    except TypeError:  # lists and the like
        return np.asarray(pd.factorize(values.map(str, na_action="ignore"))[0])


def _hash_numbers(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    plain = values + 0.0  # -0.0 is 0.0
    plain[np.isnan(plain)] = np.nan  # and every NaN the same
    return _spread(plain.view(np.uint64))


def _spread(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014)."""
    x = bits + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _mixed(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return _spread(a * np.uint64(0x100000001B3) ^ b)


def repeated_columns(frame: pd.DataFrame, columns: tuple[Column, ...]) -> Iterator[Finding]:
    """Columns that hold the same, or the same under other names (a code and its text).

    Args:
        frame: a sample of the rows.
    """
    groups: dict[bytes, list[str]] = defaultdict(list)
    for column in columns:
        if column.used and column.distinct > 1 and column.kind != Kind.TEXT:
            groups[_digest(frame[column.name], column)].append(column.name)
    for names in groups.values():
        if len(names) > 1:
            yield Finding(
                "note",
                TABLE,
                f"{listed(names, 'and', 6)} say the same in every row",
                "rung keeps them; drop all but one, which saves time and makes importances mean something",
                "duplicated-columns",
            )
    yield from _collinear(frame, [names[0] for names in groups.values()], columns)


def _digest(values: pd.Series, column: Column) -> bytes:
    """Of the values; where they repeat, of which rows are alike, so that a code and its text are the same.

    Values that hardly repeat are alike in no rows, whatever they say, and fractions mean how large they are.
    """
    import hashlib

    codes = codes_of(values)
    few = int(codes.max(initial=-1)) + 1 <= 0.5 * int((codes >= 0).sum()) and not _measured(values, column)
    array = codes if few else _hash_values(values, column)
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest() + (b"few" if few else b"many")


def _measured(values: pd.Series, column: Column) -> bool:
    """Whether the cells are moments, or numbers not all of which are whole."""
    if column.kind != Kind.NUMBER:
        return column.kind == Kind.DATE
    numbers = _read(values, column).to_numpy(dtype=np.float64)
    return bool((numbers % 1 > 0).any())


def _read(values: pd.Series, column: Column) -> pd.Series:
    return prepared(values.to_frame(column.name), [column])[column.name]


def _hash_values(values: pd.Series, column: Column) -> NDArray[np.uint64]:
    """(n,) of the numbers, moments or words that the cells are read as."""
    import pandas as pd

    cells = _read(values, column)
    if column.kind == Kind.NUMBER:
        return _hash_numbers(cells.to_numpy(dtype=np.float64))
    return np.asarray(pd.util.hash_array(cells.to_numpy(), categorize=False))


def _collinear(frame: pd.DataFrame, kept: list[str], columns: tuple[Column, ...]) -> Iterator[Finding]:
    """Numbers that are one another's multiples, up to a constant."""
    import pandas as pd

    names = [c.name for c in columns if c.kind == Kind.NUMBER and c.name in set(kept) and c.distinct > 2]
    names = [name for name in names if pd.api.types.is_numeric_dtype(frame[name].dtype)][:_MOST]
    if len(names) < 2 or len(frame) < 20:
        return
    values = frame[names].astype(float).to_numpy(dtype=np.float64, na_value=np.nan)
    correlation = _correlation(values)
    for group in grouped(np.abs(correlation) >= _ALIKE):
        inside = [names[i] for i in group]
        yield Finding(
            "note",
            TABLE,
            f"{listed(inside, 'and', 6)} are the same but for scale and shift (correlation over {_ALIKE})",
            "rung keeps them; drop all but one, which saves time and makes importances mean something",
            "collinear",
        )


def _correlation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of columns whose missing cells are the mean; 0 with itself and with a constant."""
    finite = np.where(np.isfinite(values), values, np.nan)
    unit = np.nanmax(np.abs(finite), axis=0, initial=1e-300)
    scaled = finite / unit
    centred = np.nan_to_num(scaled - np.nanmean(scaled, axis=0))
    spread = np.sqrt((centred**2).sum(axis=0))
    centred = centred / np.where(spread > 0, spread, np.inf)
    matrix = centred.T @ centred
    np.fill_diagonal(matrix, 0.0)
    return np.asarray(matrix)
