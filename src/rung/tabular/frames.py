"""Tables as they are handed over from Python: pandas' frames, and what can be turned into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rung.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


class Convertible(Protocol):
    """A frame of polars, a table of pyarrow, and whatever else can say itself in pandas' terms."""

    def to_pandas(self) -> pd.DataFrame:
        """The same rows and columns."""


if TYPE_CHECKING:
    Frame = pd.DataFrame | Convertible


def as_pandas(table: Any) -> pd.DataFrame:
    """The table as pandas' frame: itself if it is one. Lengths of time are hours, as times in words are,
    decimal numbers (of Parquet and databases) plain ones, and columns are named by texts.

    Raises:
        DataError: it is none, and cannot be turned into one.
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
    if not all(isinstance(name, str) for name in frame.columns):
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    lengths = [i for i, kind in enumerate(frame.dtypes) if getattr(kind, "kind", "") == "m"]
    objects = [i for i, kind in enumerate(frame.dtypes) if getattr(kind, "kind", "") == "O"]
    decimals = [i for i in objects if _decimal(frame.iloc[:, i])]
    if not lengths and not decimals:
        return frame
    found = frame.copy(deep=False)
    for i in lengths:
        found.isetitem(i, frame.iloc[:, i].dt.total_seconds() / 3600)
    for i in decimals:
        found.isetitem(i, frame.iloc[:, i].to_numpy(dtype=float, na_value=np.nan))
    return found


def _decimal(cells: pd.Series) -> bool:
    import pandas as pd

    return pd.api.types.infer_dtype(cells, skipna=True) == "decimal"
