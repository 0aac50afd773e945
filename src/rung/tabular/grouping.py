"""Which rows belong together when rows are held out, and when they were made: from columns of the table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.columns import infer_columns, prepare
from rung.tabular.dates import far_years
from rung.tabular.encode import Table
from rung.tabular.plan import Scheme
from rung.tabular.request import Request
from rung.tabular.splits import Split, given_split, make_split, time_split

if TYPE_CHECKING:
    import pandas as pd

MOST_FOLDS = 20  # that a column may name
OFTEN = 10  # times that a row is there from which it is no copy, but what new rows will be like


class Rows(NamedTuple):
    """What is known of the rows beside their cells: (n,) each, None where it plays no part."""

    groups: NDArray[np.intp] | None = None
    moments: NDArray[np.float64] | None = None
    folds: NDArray[np.intp] | None = None

    @property
    def plain(self) -> bool:
        """Whether nothing is known of them."""
        return all(x is None for x in self)

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """These rows."""
        found: list[Any] = [None if x is None else x[rows] for x in self]
        return Rows(*found)

    def split(self, y: NDArray[np.float64], classes: int, scheme: Scheme, seed: int) -> Split:
        """The folds that these rows ask for; one group or moment alone, left by a holdout, asks for none."""
        if self.folds is not None:
            return given_split(y, classes, np.unique(self.folds, return_inverse=True)[1], seed)
        folds = min(scheme.folds, max(1, len(y) // 2))
        if self.moments is not None and len(np.unique(self.moments)) > 1:
            return time_split(y, classes, self.moments, folds, scheme.share, seed)
        groups = None if self.groups is None or len(np.unique(self.groups)) < 2 else self.groups
        if groups is not None:
            folds = min(folds, len(np.unique(groups)))
        return make_split(y, classes, folds, scheme.share, seed, groups)


def rows_of(frame: pd.DataFrame, request: Request) -> Rows:
    """What the request's split says of the rows.

    Raises:
        DataError: its column cannot say it.
    """
    import pandas as pd

    way, column = request.splitting()
    if column is None:
        return Rows()
    values = frame[column]
    if values.isna().any():
        row = int(np.flatnonzero(values.isna().to_numpy())[0]) + 1
        raise DataError(f"column {column!r} is empty in row {row}; the split needs a value in every row")
    if way == "time":
        return Rows(moments=_moments(frame[[column]], column))
    words = np.array([str(cell) for cell in values.to_numpy(dtype=object)], dtype=object)
    codes = pd.factorize(words, sort=True)[0].astype(np.intp)
    number = int(codes.max()) + 1
    if number < 2:
        raise DataError(f"column {column!r} has one value only; the split needs two at least")
    if way == "folds" and number > MOST_FOLDS:
        raise DataError(
            f"column {column!r} names {number} folds, more than {MOST_FOLDS}; is it a group:COLUMN?"
        )
    return Rows(folds=codes) if way == "folds" else Rows(groups=codes)


def _moments(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    if frame[column].nunique() < 2:
        raise DataError(f"column {column!r} has one value only, which orders nothing: choose another split")
    found = infer_columns(frame)[0]
    if found.kind not in ("date", "number", "identifier") or not len(frame):
        raise DataError(
            f"column {column!r} holds neither dates nor numbers, so that it cannot order the rows"
        )
    shown = replace(found, kind="number") if found.kind == "identifier" else found
    moments = prepare(frame, [shown])[column].to_numpy()
    if found.kind == "date":
        moments = _instants(moments)
        years = far_years(frame[column], found.format).astype(np.float64)
        moments = np.where(years == 0, moments, np.copysign(np.inf, years - 2000))  # such as 9999-12-31
    unread = np.flatnonzero(np.isnan(moments))
    if len(unread):
        cell = str(frame[column].iloc[unread[0]])
        raise DataError(
            f"column {column!r} holds {cell!r} in row {unread[0] + 1}, which is no {found.kind} as others "
            "are: the split needs one in every row"
        )
    return np.asarray(moments, dtype=np.float64)


def _instants(moments: NDArray[Any]) -> NDArray[np.float64]:
    """Nanoseconds since 1970 of datetimes, NaN where there is none."""
    found = moments.astype("datetime64[ns]").astype(np.int64).astype(np.float64)
    found[np.isnat(moments)] = np.nan
    return found


def duplicates(table: Table, texts: pd.DataFrame | None = None) -> NDArray[np.intp] | None:
    """Numbers of groups of rows that are the same in every cell, (n,); None where no two are kept together.

    A row that is held out while its double is trained on says nothing about new rows. New ones are such
    doubles, too, of a row that is there `OFTEN` times: what they mean on the mean is what there is to learn.

    Args:
        table: of numbers and categories; its words are not looked at, and it has no embeddings, whose last
            digits differ.
        texts: (n, t) the cells of texts, and of what is embedded.
    """
    import pandas as pd

    parts = [pd.DataFrame(np.ascontiguousarray(table.numbers)), pd.DataFrame(table.codes)]
    cells = pd.concat(parts if texts is None else [*parts, texts], axis=1)
    if not cells.shape[1]:
        return None
    hashes = pd.util.hash_pandas_object(cells, index=False).to_numpy()
    groups = rarely_alike(np.unique(hashes, return_inverse=True)[1])
    return groups if len(np.unique(groups)) < len(groups) else None


def rarely_alike(alike: NDArray[np.intp]) -> NDArray[np.intp]:
    """Groups of rows that are alike, (n,), where each row of a group of `OFTEN` or more is a group by itself.

    Args:
        alike: (n,) numbers of groups from 0 on.
    """
    sizes = np.bincount(alike)
    often = sizes[alike] >= OFTEN
    found = alike.astype(np.intp)
    found[often] = len(sizes) + np.arange(often.sum())
    return found
