"""A table's profile: what its columns looked like, small enough for a model file, to tell drift from later.

A number (a date as days, a text as its length) is kept as the ends of at most 64 bins of equally many cells,
and how many cells lay in each, so that its distribution function is known exactly at each end; a category as
its most frequent levels and their counts. Some rows are kept too, drawn at random, each cell as the number of
its bin or level in one byte: a model that tells these from later rows sees drift in combinations of columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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
KEPT: Final = 10_000  # rows that are kept at most
CELLS: Final = 160_000  # of one byte each, so that a model file grows by no more than that
_MISSING: Final = 255
_OTHER: Final = 254  # a level that is none of the most frequent ones
_DAY: Final = 86_400e9  # nanoseconds


class Numbers(NamedTuple):
    """A distribution of numbers.

    Attributes:
        ends: (b,) ascending: bin i holds what is over ends[i - 1] and at most ends[i].
        counts: (b + 1,) of the training cells; the first bin, under the least of them, and the last, over the
            greatest, have none. Files of earlier versions have no such first bin.
    """

    ends: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def first(self) -> int:
        """The place of the first bin that has training cells."""
        return int(len(self.ends) > 1 and self.counts[0] == 0)

    def tally(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """(b + 1,) how many of other values lie in each bin."""
        places = np.searchsorted(self.ends, values, side="left")
        return np.bincount(places, minlength=len(self.ends) + 1).astype(np.int64)

    def codes(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """(n,) the bins of other values, at most 65."""
        return np.searchsorted(self.ends, values, side="left").astype(np.uint8)


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
        return np.bincount(self._places(words), minlength=len(self.names) + 1).astype(np.int64)

    def beside(self, words: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, int]]:
        """Counts then and of other cells, of each level and of each that is unseen; those of all others."""
        counts, last = self.tally(words), int(self.counts[-1])
        if not self.whole:
            return self.counts[:-1], counts[:-1], (last, int(counts[-1]))
        import pandas as pd

        fresh = np.bincount(pd.factorize(words[self._places(words) == len(self.names)])[0])
        then = np.append(self.counts[:-1], np.zeros(len(fresh), dtype=np.int64))
        return then, np.append(counts[:-1], fresh).astype(np.int64), (0, 0)

    def codes(self, words: NDArray[Any]) -> NDArray[np.uint8]:
        """(n,) the ranks of other cells' levels; 254 of all that are none of the most frequent."""
        return np.minimum(self._places(words), _OTHER).astype(np.uint8)

    def _places(self, words: NDArray[Any]) -> NDArray[np.intp]:
        import pandas as pd

        places = pd.Index(self.names, dtype=object).get_indexer(pd.Index(words, dtype=object))
        return np.where(places < 0, len(self.names), places)


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
        sample: (n, c) codes of rows drawn at random, in the c columns of `sampled`; None where no rows may be
            kept, and in files of earlier versions.
    """

    rows: int
    seen: int
    schema: str
    missing: NDArray[np.float64]
    ends: NDArray[np.float64]
    counts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    sample: NDArray[np.uint8] | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The used columns."""
        return tuple(Column(**one["column"]) for one in json.loads(self.schema))

    @property
    def sampled(self) -> tuple[Column, ...]:
        """The columns of the sample: not dates, by which a later table gives itself away."""
        return tuple(column for column in self.columns if column.kind != Kind.DATE)

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
    profile = Profile(
        rows=len(frame),
        seen=len(sample),
        schema=json.dumps(schema, ensure_ascii=False),
        missing=np.array(missing, dtype=np.float64),
        ends=np.concatenate(ends),
        counts=np.concatenate(counts),
        sizes=np.array([len(one) for one in counts[1:]], dtype=np.int64),
    )
    count = min(KEPT, CELLS // max(1, len(profile.sampled)), len(cells))
    profile.sample = coded(cells.sample(count, random_state=1), profile.sampled, profile.distributions())
    return profile


def coded(
    cells: pd.DataFrame, columns: Sequence[Column], kept: Mapping[str, Numbers | Levels]
) -> NDArray[np.uint8]:
    """(n, c) bins of numbers and texts' lengths, ranks of levels, 255 where a cell is missing.

    Args:
        cells: as `prepared` makes them.
    """
    codes = np.full((len(cells), len(columns)), _MISSING, dtype=np.uint8)
    for place, column in enumerate(columns):
        there = cells[column.name].notna().to_numpy()
        present, _ = present_cells(cells[column.name], column)
        codes[there, place] = kept[column.name].codes(present)
    return codes


def uncoded(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """As a model takes them: NaN where a cell is missing."""
    return np.where(codes == _MISSING, np.nan, codes.astype(np.float64))


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
    """At most 64 bins of equally many cells; the values themselves are the ends where they are few.

    One bin more lies on either side of them, empty here, for later cells beyond the least and the greatest.
    """
    if not len(values):
        return Numbers(np.empty(0), np.zeros(1, dtype=np.int64))
    ordered = np.sort(values)
    distinct = ordered[np.r_[True, ordered[1:] != ordered[:-1]]]
    if len(distinct) > BINS:
        places = np.ceil(np.arange(1, BINS + 1) * len(ordered) / BINS).astype(int) - 1
        distinct = np.unique(ordered[places])
    ends = np.r_[np.nextafter(ordered[0], -np.inf), distinct]
    return Numbers(ends, Numbers(ends, np.empty(0, dtype=np.int64)).tally(ordered))


def summarise_words(words: NDArray[Any]) -> Levels:
    """The most frequent levels; of equally frequent ones the first in the alphabet."""
    import pandas as pd

    # as objects: in NumPy's arrays of texts each takes as much memory as the longest
    codes, names = pd.factorize(words, sort=True)
    counts = np.bincount(codes, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    kept = order[:LEVELS]
    rest = int(counts[order[LEVELS:]].sum())
    return Levels([str(name) for name in names[kept]], np.r_[counts[kept], rest].astype(np.int64))
