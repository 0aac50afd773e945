"""Tables as they are handed over from Python: pandas' frames, and what can be turned into one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from rung.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_LOOKED_AT: Final = "mMO"  # kinds of NumPy's types: of lengths of time, of dates, and of objects


class Convertible(Protocol):
    """A frame of polars, a table of pyarrow, and whatever else can say itself in pandas' terms."""

    def to_pandas(self) -> pd.DataFrame:
        """The same rows and columns."""


if TYPE_CHECKING:
    Frame = pd.DataFrame | Convertible


def as_pandas(table: Any) -> pd.DataFrame:
    """The table as pandas' frame: itself if it is one. Lengths of time are hours, as times in words are,
    numbers that are objects (decimal ones of Parquet and databases, say) are plain ones, sparse columns are
    dense, Arrow's dates and times of day are read as NumPy's and Python's, and columns are named by texts.

    Raises:
        DataError: it is none, and cannot be turned into one, or has a column of complex numbers.
    """
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return _plain(table)
    if not hasattr(table, "to_pandas"):
        name = type(table).__name__
        remedy = "call its collect() first" if hasattr(table, "collect") else "make a pandas.DataFrame of it"
        raise DataError(
            f"a table is a frame of pandas or polars, or a pyarrow.Table, and not a {name}: {remedy}"
        )
    found = table.to_pandas()
    if not isinstance(found, pd.DataFrame):
        raise DataError(f"a {type(table).__name__} is one column, and a table is needed: make a frame of it")
    return _plain(found)


def with_columns(frame: pd.DataFrame, cells: Mapping[Any, Any]) -> pd.DataFrame:
    """The frame with these columns, in the place of those of the same name; itself as it was.

    Unlike pandas' `assign` it takes any name: `self` is an argument's there, and `fold` may be a column's.
    """
    found = frame.copy(deep=False)
    for name, values in cells.items():
        found[name] = values
    return found


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    if not all(isinstance(name, str) for name in frame.columns):
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    found = None
    for i, kind in enumerate(frame.dtypes):
        if getattr(kind, "kind", "") == "c":
            raise DataError(
                f"column {frame.columns[i]!r} holds complex numbers: make two columns of it, of the real and "
                "the imaginary parts"
            )
        looked_at = isinstance(kind, pd.SparseDtype) or getattr(kind, "kind", "") in _LOOKED_AT
        cells = _plain_cells(frame.iloc[:, i]) if looked_at else None
        if cells is not None:
            found = frame.copy(deep=False) if found is None else found
            found.isetitem(i, cells.array)
    return frame if found is None else found


def _plain_cells(given: pd.Series) -> pd.Series | None:
    """The cells in types that all of rung reads; None if they stay as they are."""
    import pandas as pd

    cells = _numpys(given) if isinstance(given.dtype, pd.ArrowDtype) else given
    if isinstance(given.dtype, pd.SparseDtype):
        cells = pd.Series(given.array.to_dense(), index=given.index, name=given.name)
    if cells.dtype.kind == "m":
        hours: pd.Series = cells.dt.total_seconds() / 3600
        return hours
    numbers = as_numbers(cells) if cells.dtype == object else None
    return numbers if numbers is not None else None if cells is given else cells


def as_numbers(cells: pd.Series) -> pd.Series | None:
    """Objects that are all numbers, Python's or decimal ones, as numbers: whole ones stay whole, Int64 where
    some are missing, and too long ones become floats; None if one is none, or beyond a float.

    Args:
        cells: of objects.
    """
    import pandas as pd

    kind = pd.api.types.infer_dtype(cells, skipna=True)
    mixed = kind.startswith("mixed") and all(map(_is_number, cells.dropna()))
    if not mixed and kind not in ("integer", "floating", "decimal"):
        return None
    if kind == "integer":
        with suppress(OverflowError):
            return cells.astype("Int64" if cells.hasnans else "int64")
    try:
        numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    except OverflowError:
        return None
    return pd.Series(numbers, index=cells.index, name=cells.name)


def _is_number(cell: object) -> bool:
    return isinstance(cell, Real | Decimal) and not isinstance(cell, bool)


def _numpys(cells: pd.Series) -> pd.Series:
    """Arrow's dates, lengths of time, and what NumPy has no type for (times of day, decimals, lists), in
    NumPy's types, because pandas can do less with Arrow's; moments of a zone, numbers and words stay.
    """
    kind: Any = cells.dtype
    if kind.kind == "O":
        return cells.astype(object)
    zoned = getattr(kind.pyarrow_dtype, "tz", None) is not None
    return cells if zoned or kind.kind not in "mM" else cells.astype(kind.numpy_dtype)
