"""From words to values: what a column of text cells means, decided by all of its cells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from rung.tabular.written import MISSING as MISSING
from rung.tabular.written import NO_NUMBER as NO_NUMBER
from rung.tabular.written import plain_numbers, signs_in

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

WRITTEN: Final = "written"
"""The frame's attribute that has columns of numbers that were written for people, with the sign (`$`, `%`,
"" for none) that they had.
"""
COMMA: Final = "comma"
"""The frame's attribute that says whether its numbers may have decimal commas."""
_LOOK: Final = 64  # cells that most columns of words are known by
_CODE: Final = r"^[+-]?0[0-9xX]"  # a number would lose the zero (or read a hexadecimal one)


def from_words(
    columns: Sequence[pa.ChunkedArray],
    names: Sequence[str],
    *,
    comma: bool = False,
    words: Collection[str] = (),
) -> pd.DataFrame:
    """The frame of columns of strings: whole numbers, numbers or words each.

    Args:
        comma: whether numbers may have decimal commas.
        words: columns that stay words.
    """
    import pandas as pd

    found = {
        name: (_present(cells), None) if name in words else convert(cells, comma=comma)
        for name, cells in zip(names, columns, strict=True)
    }
    frame = pd.DataFrame({name: to_pandas(cells) for name, (cells, _) in found.items()})
    frame.attrs[WRITTEN] = {name: sign for name, (_, sign) in found.items() if sign is not None}
    frame.attrs[COMMA] = comma
    return frame


def _present(words: Any) -> Any:
    """The cells without blanks around them, null where they say that nothing is there."""
    import pyarrow.compute as pc

    return without(pc.utf8_trim_whitespace(words), MISSING)


def convert(words: pa.ChunkedArray, *, comma: bool = False) -> tuple[pa.ChunkedArray, str | None]:
    """int64, float64 or string: the narrowest type that holds every cell as it stood, blanks around it
    aside; and the sign of numbers that were written for people ("$1,234.50", "12 %": `plain_numbers`), ""
    where they have none. Numbers with two signs stay words.
    """
    import pyarrow as pa

    present = _present(words)
    if present.null_count == len(present):
        return present, None
    for cells in (present, without(present, NO_NUMBER)):
        for written in (cells, _plain(cells, comma=comma)):
            numbers = None if written is None else cast(written, pa.float64())
            if numbers is None:
                continue
            if numbers.null_count == len(numbers):
                return present, None
            signs = signs_in(cells) if written is not cells else None
            if signs is not None and len(signs) > 1:
                return present, None
            return _narrowed(written, numbers, present), None if signs is None else "".join(signs)
    return present, None


def _plain(cells: pa.ChunkedArray, *, comma: bool) -> pa.ChunkedArray | None:
    """Numbers as a computer writes them, None where the first cells are none; most words are seen at once."""
    import pyarrow as pa

    some = plain_numbers(cells.slice(0, _LOOK), comma=comma)
    return plain_numbers(cells, comma=comma) if cast(some, pa.float64()) is not None else None


def without(cells: Any, gone: Sequence[str]) -> Any:
    """The words, null where they are one of these."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = pc.is_in(cells, value_set=pa.array(gone, pa.string()))
    if not pc.any(mask).as_py():
        return cells
    return pc.if_else(mask, pa.scalar(None, pa.string()), cells)


def cast(cells: Any, to: pa.DataType) -> Any:
    """The cells as that type, None if one of them is not; a look at the first ones spares most failing
    casts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.cast(cells.slice(0, _LOOK), to)
        return pc.cast(cells, to)
    except pa.ArrowInvalid:
        return None


def _narrowed(cells: pa.ChunkedArray, numbers: pa.ChunkedArray, words: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers if they all are, words if one of these looks like a code, else the numbers."""
    import pyarrow as pa

    whole = cast(cells, pa.int64())
    if whole is None:
        return numbers
    return words if looks_coded(cells) else whole


def looks_coded(cells: Any) -> bool:
    """Whether some cell is such as 00501."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(cells, _CODE)).as_py())


def to_pandas(column: pa.ChunkedArray) -> Any:
    """As a column of a frame: whole numbers with missing ones as Int64."""
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_int64(column.type) and column.null_count:
        return column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return column.to_pandas()


def infinite_row(frame: pd.DataFrame, used: Callable[[str], bool] | None = None) -> tuple[str, int] | None:
    """Name of the first column with an infinite number, and its first such row's position; None without
    any.

    Args:
        used: whether a column of this name is looked at; all are unless given.
    """
    import numpy as np

    for name in frame.columns:
        if frame[name].dtype.kind == "f" and (used is None or used(str(name))):
            infinite = np.isinf(frame[name].to_numpy(dtype=float, na_value=np.nan))
            if infinite.any():
                return str(name), int(infinite.argmax())
    return None
