"""Why a text table could not be parsed: a slow second look that finds the line."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from rung.errors import DataError


def explain_text(data: bytes, delimiter: str, place: Path, reason: str) -> DataError:
    """The error that says which line of `data` cannot be used, and what to do; `reason` is the parser's own
    word.
    """
    line = _undecodable(data)
    if line is not None:
        return DataError(
            f"{place}, line {line}: a byte there is not UTF-8 text; save the table as UTF-8 "
            f"(iconv -f WINDOWS-1252 -t UTF-8 {place.name} > utf8{''.join(place.suffixes[:1])})"
        )
    try:
        fault = _ragged(data, delimiter)
    except csv.Error as error:
        return DataError(f"{place}: {error}; save the table again")
    if fault is None:
        return DataError(f"{place} cannot be parsed ({reason.splitlines()[0]}); save the table again")
    at, cells, expected = fault
    remedy = "quote cells that hold the separator" if cells > expected else "fill the row up"
    remedy = f"{remedy} or remove the line"
    if cells > expected and data.lstrip().startswith(b"#"):
        remedy = "if the lines before it that begin with # are remarks, remove them"
    return DataError(f"{place}, line {at}: {_count(cells)} where the line of names has {expected}; {remedy}")


def line_of_row(data: bytes, delimiter: str, row: int) -> int:
    """The line (from 1) on which the table's row number `row` (from 0) ends."""
    for number, (line, _) in enumerate(_records(data, delimiter)):
        if number == row + 1:
            return line
    raise ValueError(f"the table has no row {row}")


def _undecodable(data: bytes) -> int | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return None


def _ragged(data: bytes, delimiter: str) -> tuple[int, int, int] | None:
    """Line, number of cells, expected number of the first row that is not as long as the line of names."""
    records = _records(data, delimiter)
    expected = len(next(records)[1])
    return next(((line, len(row), expected) for line, row in records if len(row) != expected), None)


def _records(data: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line on which it ends, cells) of each record that is not an empty line."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(
        io.StringIO(data.decode("utf-8-sig", errors="replace"), newline=""), delimiter=delimiter
    )
    for row in reader:
        if row:
            yield reader.line_num, row


def _count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"
