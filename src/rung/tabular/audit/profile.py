"""A table's profile: what its columns looked like, small enough for a model file, to tell drift from later.

A number (a date as days, a text as its length) is kept as the ends of at most 64 bins of equally many cells,
and how many cells lay in each, so that its distribution function is known exactly at each end; a category as
its most frequent levels and their counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.cells import prepared
from rung.tabular.columns import Column, Kind

if TYPE_CHECKING:
    import pandas as pd

BINS: Final = 64
LEVELS: Final = 1_000  # of a category that are kept
SAMPLE: Final = 200_000  # rows that are looked at
_DAY: Final = 86_400e9  # nanoseconds


class Numbers(NamedTuple):
    """A distribution of numbers.

    Attributes:
        ends: (b,) ascending: bin i holds what is over ends[i - 1] and at most ends[i].
        counts: (b + 1,) of the training cells; the last bin, over the greatest of them, has none.
    """

    ends: NDArray[np.float64]
    counts: NDArray[np.int64]

    def tally(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """(b + 1,) how many of other values lie in each bin."""
        places = np.searchsorted(self.ends, values, side="left")
        return np.bincount(places, minlength=len(self.ends) + 1).astype(np.int64)


class Levels(NamedTuple):
    """A distribution of categories.

    Attributes:
        names: (l,) levels, the most frequent first.
        counts: (l + 1,) cells of each, and of all other levels.
    """

    names: list[str]
    counts: NDArray[np.int64]

    @property
    def whole(self) -> bool:
        """Whether no level was left out, so that one that is not here is unseen."""
        return int(self.counts[-1]) == 0

    def tally(self, words: NDArray[Any]) -> NDArray[np.int64]:
        """(l + 1,) how many of other cells are each level, or none of them."""
        import pandas as pd

        places = pd.Index(self.names, dtype=object).get_indexer(pd.Index(words, dtype=object))
        places[places < 0] = len(self.names)
        return np.bincount(places, minlength=len(self.names) + 1).astype(np.int64)


@dataclass
class Profile:
    """What a table's columns looked like; plain texts and arrays, for a model file holds them cheaply.

    Attributes:
        rows: of the table.
        seen: rows that were looked at, drawn at random; the counts are of these.
        schema: JSON: for each used column its name, kind and format, and of a category the levels.
        missing: (d,) share of missing cells of each used column.
        ends: the ends of all columns of numbers, one after the other.
        counts: the counts of all columns, one after the other.
        sizes: (d,) counts of each column.
    """

    rows: int
    seen: int
    schema: str
    missing: NDArray[np.float64]
    ends: NDArray[np.float64]
    counts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The used columns."""
        return tuple(Column(**one["column"]) for one in json.loads(self.schema))

    def distributions(self) -> dict[str, Numbers | Levels]:
        """The used columns' distributions, by name."""
        found: dict[str, Numbers | Levels] = {}
        end, start = 0, 0
        for one, size in zip(json.loads(self.schema), self.sizes.tolist(), strict=True):
            counts = self.counts[start : start + size]
            start += size
            if one["levels"] is None:
                found[one["column"]["name"]] = Numbers(self.ends[end : end + size - 1], counts)
                end += size - 1
            else:
                found[one["column"]["name"]] = Levels(one["levels"], counts)
        return found


def make_profile(frame: pd.DataFrame, columns: Iterable[Column]) -> Profile:
    """The profile of a table.

    Args:
        frame: the training table; of more than 200,000 rows as many are looked at, drawn at random.
        columns: as `infer_columns` found them; those that models do not see are left out.

    Raises:
        DataError: a used column is missing.
    """
    used = [column for column in columns if column.used]
    sample = frame if len(frame) <= SAMPLE else frame.sample(SAMPLE, random_state=0)
    cells = prepared(sample, used)
    ends: list[NDArray[np.float64]] = [np.empty(0)]
    counts: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    schema, missing = [], []
    for column in used:
        present, gone = present_cells(cells[column.name], column)
        levels = None
        if column.kind == Kind.CATEGORY:
            kept = summarise_words(present)
            levels = kept.names
            counts.append(kept.counts)
        else:
            spread = summarise_numbers(present)
            ends.append(spread.ends)
            counts.append(spread.counts)
        schema.append({"column": _plain(column), "levels": levels})
        missing.append(gone)
    return Profile(
        rows=len(frame),
        seen=len(sample),
        schema=json.dumps(schema, ensure_ascii=False),
        missing=np.array(missing, dtype=np.float64),
        ends=np.concatenate(ends),
        counts=np.concatenate(counts),
        sizes=np.array([len(one) for one in counts[1:]], dtype=np.int64),
    )


def _plain(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "kind": str(column.kind),
        "distinct": int(column.distinct),
        "missing": float(column.missing),
        "format": column.format,
    }


def present_cells(cells: pd.Series, column: Column) -> tuple[NDArray[Any], float]:
    """The cells that are not missing, as words or numbers (days of a date, letters of a text), and the share
    that is.

    Args:
        cells: as `prepare` makes them.
    """
    gone = cells.isna().to_numpy()
    values = cells.to_numpy()[~gone]
    part = float(gone.mean()) if len(gone) else 0.0
    if column.kind == Kind.CATEGORY:
        return values.astype(object), part
    if column.kind == Kind.TEXT:
        return np.array([float(len(str(text))) for text in values], dtype=np.float64), part
    if column.kind == Kind.DATE:
        return values.astype("datetime64[ns]").astype(np.int64) / _DAY, part
    return values.astype(np.float64), part


def summarise_numbers(values: NDArray[np.float64]) -> Numbers:
    """At most 64 bins of equally many cells; the values themselves are the ends where they are few."""
    if not len(values):
        return Numbers(np.empty(0), np.zeros(1, dtype=np.int64))
    ordered = np.sort(values)
    distinct = ordered[np.r_[True, ordered[1:] != ordered[:-1]]]
    if len(distinct) > BINS:
        places = np.ceil(np.arange(1, BINS + 1) * len(ordered) / BINS).astype(int) - 1
        distinct = np.unique(ordered[places])
    return Numbers(distinct, Numbers(distinct, np.empty(0, dtype=np.int64)).tally(ordered))


def summarise_words(words: NDArray[Any]) -> Levels:
    """The most frequent levels; of equally frequent ones the first in the alphabet."""
    names, counts = np.unique(words.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = order[:LEVELS]
    rest = int(counts[order[LEVELS:]].sum())
    return Levels([str(name) for name in names[kept]], np.r_[counts[kept], rest].astype(np.int64))
