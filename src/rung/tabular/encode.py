"""From a frame to arrays: what a cell means, without looking at the target.

Numbers stay numbers (dates become several), categories become codes of a dictionary, texts hashed counts of
their words. Nothing here is learned but the dictionaries, so it is done once for all folds; what is estimated
from values (means, scales, encodings by the target) is the preparation's work, inside each fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Column, Kind, prepare

if TYPE_CHECKING:
    import pandas as pd

DATE_PARTS = ("days", "year", "month", "day", "weekday", "hour")
WORDS = 1024  # hashed counts a text column
_DAY = 86_400e9  # nanoseconds


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
        columns: all of the training table; those that no model sees are skipped.
        levels: one array a category: its levels as text, the most frequent first.
    """

    columns: tuple[Column, ...]
    levels: list[NDArray[Any]]

    def names(self, kind: str) -> list[str]:
        """The columns of this kind."""
        return [column.name for column in self.columns if column.kind == kind]

    @property
    def sizes(self) -> list[int]:
        """Levels of each category."""
        return [len(x) for x in self.levels]

    def transform(self, frame: pd.DataFrame) -> Table:
        """The frame as arrays; its columns may come in any order, others are ignored.

        Raises:
            DataError: a column is missing.
        """
        cells = prepare(frame, self.columns)
        blocks = [cells[name].to_numpy(dtype=np.float64)[:, None] for name in self.names(Kind.NUMBER)]
        blocks += [_date_parts(cells[name]) for name in self.names(Kind.DATE)]
        numbers = np.hstack(blocks) if blocks else np.empty((len(frame), 0))
        codes = np.empty((len(frame), len(self.levels)), dtype=np.int32)
        for j, name in enumerate(self.names(Kind.CATEGORY)):
            codes[:, j] = _codes(cells[name], self.levels[j])
        return Table(numbers, codes, self._words(cells))

    def _words(self, cells: pd.DataFrame) -> Any:
        texts = self.names(Kind.TEXT)
        if not texts:
            return None
        from scipy import sparse

        return sparse.hstack([_hashed(cells[name]) for name in texts], format="csr")


def fit_encoder(frame: pd.DataFrame, columns: tuple[Column, ...]) -> Encoder:
    """The encoder for these columns, with the levels that `frame` has."""
    cells = prepare(frame, columns)
    return Encoder(columns, [_levels(cells[c.name]) for c in columns if c.kind == Kind.CATEGORY])


def _levels(series: pd.Series[Any]) -> NDArray[Any]:
    present = series.dropna().to_numpy(dtype=object).astype(str)
    unique, counts = np.unique(present, return_counts=True)
    return np.asarray(unique[np.argsort(-counts, kind="stable")].astype(object))


def _codes(series: pd.Series[Any], levels: NDArray[Any]) -> NDArray[np.int32]:
    import pandas as pd

    cells = pd.Index(series.to_numpy(dtype=object), dtype=object)
    return np.asarray(pd.Index(levels, dtype=object).get_indexer(cells), dtype=np.int32)


def _date_parts(moments: pd.Series[Any]) -> NDArray[np.float64]:
    """Days since 1970, year, month, day, weekday, hour: (n, 6)."""
    parts = moments.dt
    stamps = moments.to_numpy(dtype="datetime64[ns]").astype(np.int64) / _DAY
    rows = [stamps, parts.year, parts.month, parts.day, parts.day_of_week, parts.hour]
    table = np.column_stack([np.asarray(x, dtype=np.float64) for x in rows])
    table[moments.isna().to_numpy()] = np.nan
    return table


def _hashed(series: pd.Series[Any]) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    words = HashingVectorizer(n_features=WORDS, alternate_sign=False, dtype=np.float64)
    return words.transform(["" if x is None else x for x in series.to_numpy(dtype=object)])
