"""From a frame to arrays: what a cell means, without looking at the target.

Numbers stay numbers (dates become several), categories become codes of a dictionary, texts hashed counts of
their words. Nothing here is learned but the dictionaries, so it is done once for all folds; what is estimated
from values (means, scales, encodings by the target) is the preparation's work, inside each fold.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Column, Kind, prepare
from rung.tabular.frames import as_pandas

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.frames import Frame

DATE_PARTS = ("days", "year", "month", "day", "weekday", "hour")
WORDS = 1024  # hashed counts a text column
_DAY = 86_400e9  # nanoseconds
_LONG = 200_000  # rows from which columns are prepared one by one
_LARGEST = 1e30  # numbers beyond are cut: learners compute squares, some of them in single precision


@dataclass(frozen=True)
class Table:
    """A frame as arrays. Missing is NaN in `numbers`, -1 in `codes` (where unseen levels are -1 too)."""

    numbers: NDArray[np.float64]  # (n, a)
    codes: NDArray[np.int32]  # (n, b)
    words: Any = None  # scipy CSR (n, texts * WORDS) or None

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.intp]) -> Table:
        """These rows."""
        words = None if self.words is None else self.words[rows]
        return Table(self.numbers[rows], self.codes[rows], words)


@dataclass
class Encoder:
    """Turns frames into tables.

    Attributes:
        schema: the columns as JSON text, for a model file holds one text more cheaply than many objects.
        levels: one array a category: its levels as text, the most frequent first.
        counted: whether texts are the counts of their words, as TF-IDF asks for. Models of earlier versions
            were trained on these counts scaled to length 1, and get them so.
    """

    schema: str
    levels: list[NDArray[np.str_]]
    counted: bool = field(default=False, kw_only=True)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of the training table; those that no model sees are skipped."""
        return _columns(self.schema)

    def names(self, kind: str) -> list[str]:
        """The columns of this kind."""
        return [column.name for column in self.columns if column.kind == kind]

    @property
    def sizes(self) -> list[int]:
        """Levels of each category."""
        return [len(x) for x in self.levels]

    def transform(self, frame: Frame) -> Table:
        """The frame as arrays; its columns may come in any order, others are ignored.

        Raises:
            DataError: a column is missing.
        """
        return self.arrays(_prepared(as_pandas(frame), self.columns))

    def arrays(self, cells: pd.DataFrame | Cells) -> Table:
        """The same, of a frame that is in the training table's shape already."""
        numbers = self.names(Kind.NUMBER)
        dates = self.names(Kind.DATE)
        matrix = np.empty((len(cells), len(numbers) + len(DATE_PARTS) * len(dates)))
        for j, name in enumerate(numbers):  # one by one: a large table is not there twice
            matrix[:, j] = cells[name]
        for j, name in enumerate(dates):
            start = len(numbers) + j * len(DATE_PARTS)
            matrix[:, start : start + len(DATE_PARTS)] = _date_parts(cells[name])
        np.clip(matrix, -_LARGEST, _LARGEST, out=matrix)
        codes = np.empty((len(cells), len(self.levels)), dtype=np.int32)
        for j, name in enumerate(self.names(Kind.CATEGORY)):
            codes[:, j] = _codes(cells[name], self.levels[j])
        return Table(matrix, codes, self._words(cells))

    def _words(self, cells: pd.DataFrame | Cells) -> Any:
        texts = self.names(Kind.TEXT)
        if not texts:
            return None
        from scipy import sparse

        return sparse.hstack([_hashed(cells[name], self.counted) for name in texts], format="csr")


class Cells:
    """What `prepare` makes of a frame, a column at a time: a large table is not there twice.

    Raises:
        DataError: a column is missing.
    """

    def __init__(self, frame: pd.DataFrame, columns: tuple[Column, ...]) -> None:
        prepare(frame.iloc[:0], columns)  # all that are missing are said together
        self._frame = frame
        self._columns = {column.name: column for column in columns}

    def __len__(self) -> int:
        return len(self._frame)

    def __getitem__(self, name: str) -> pd.Series[Any]:
        column: pd.Series[Any] = prepare(self._frame, [self._columns[name]])[name]
        return column


def _prepared(frame: pd.DataFrame, columns: tuple[Column, ...]) -> pd.DataFrame | Cells:
    """All columns at once, which is quicker, unless they are long."""
    return prepare(frame, columns) if len(frame) < _LONG else Cells(frame, columns)


def encode(frame: pd.DataFrame, columns: tuple[Column, ...]) -> tuple[Encoder, Table]:
    """The encoder for these columns, with the levels that `frame` has, and the frame's arrays."""
    cells = _prepared(frame, columns)
    levels = [_levels(cells[c.name]) for c in columns if c.kind == Kind.CATEGORY]
    encoder = Encoder(json.dumps([asdict(column) for column in columns]), levels, counted=True)
    return encoder, encoder.arrays(cells)


@lru_cache(maxsize=8)
def _columns(schema: str) -> tuple[Column, ...]:
    return tuple(Column(**settings) for settings in json.loads(schema))


def _levels(series: pd.Series[Any]) -> NDArray[np.str_]:
    import pandas as pd

    codes, found = pd.factorize(series.to_numpy(dtype=object))  # missing ones have code -1
    names, counts = np.asarray(found, dtype=str), np.bincount(codes[codes >= 0], minlength=len(found))
    return np.asarray(names[np.lexsort((names, -counts))])


def _codes(series: pd.Series[Any], levels: NDArray[np.str_]) -> NDArray[np.int32]:
    import pandas as pd

    cells = pd.Index(series.to_numpy(dtype=object), dtype=object)
    return np.asarray(pd.Index(levels.astype(object), dtype=object).get_indexer(cells), dtype=np.int32)


def _date_parts(moments: pd.Series[Any]) -> NDArray[np.float64]:
    """Days since 1970, year, month, day, weekday, hour: (n, 6)."""
    parts = moments.dt
    stamps = moments.to_numpy(dtype="datetime64[ns]").astype(np.int64) / _DAY
    rows = [stamps, parts.year, parts.month, parts.day, parts.day_of_week, parts.hour]
    table = np.column_stack([np.asarray(x, dtype=np.float64) for x in rows])
    table[moments.isna().to_numpy()] = np.nan
    return table


def _hashed(series: pd.Series[Any], counted: bool) -> Any:
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer

    norm = None if counted else "l2"  # the logarithm of a count below 1 would turn its sign
    words = HashingVectorizer(n_features=WORDS, alternate_sign=False, norm=norm, dtype=np.float64)
    if series.empty:  # which scikit-learn's does not take
        return sparse.csr_matrix((0, WORDS))
    return words.transform(["" if x is None else x for x in series.to_numpy(dtype=object)])
