"""Which format a table's file has, by its ending, and what is in a compressed one."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rung.errors import DataError
from rung.tabular.names import listed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

STDIN: Final = "-"
DELIMITERS: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}
PARQUET: Final = (".parquet", ".pq")
ARROW: Final = (".feather", ".arrow")
JSON: Final = (".json", ".jsonl", ".ndjson")
EXCEL: Final = (".xlsx", ".xlsm", ".xls", ".ods")
PACKINGS: Final = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip"}
READABLE: Final = (".csv", ".tsv", ".txt", ".parquet", ".feather", ".json", ".jsonl", ".xlsx")
"""Endings that are named where one is none of these."""
_SEPARATORS: Final = ",;\t|"
_RECORDS: Final = 20  # by which a separator is judged


class Form(NamedTuple):
    """The format of a file.

    Attributes:
        ending: lower case, such as `.csv`, without a compression's.
        packing: what it is compressed with, a key of `PACKINGS`, or "".
    """

    ending: str
    packing: str = ""


def form_of(place: Path) -> Form:
    """The format that the ending of `place` names; standard input is text, and so is a pipe without one.

    Raises:
        DataError: it names none, and the file is there.
    """
    form = _parsed(place)
    if not _known(form) and place.is_fifo():
        return Form(".csv")  # `<(head -51 test.csv)` is /dev/fd/63
    if not _known(form) and place.is_file():
        raise DataError(
            f"{place}: the ending {place.suffix or '(none)'} names no format that rung reads; "
            f"save the table as one of {listed(READABLE)}"
        )
    return form


def is_table(path: str) -> bool:
    """Whether the ending of `path`, which need not be there, is a table's; standard input and pipes are."""
    place = Path(path)
    return _known(_parsed(place)) or place.is_fifo()


def _parsed(place: Path) -> Form:
    if str(place) == STDIN:
        return Form(".csv")
    parts = [suffix.lower() for suffix in place.suffixes[-2:]]
    packing = parts.pop() if parts and parts[-1] in PACKINGS else ""
    form = Form(parts[-1] if parts else "", packing)
    if packing == ".zip" and form.ending not in (*DELIMITERS, *JSON):
        return Form(".csv", packing)  # a table most often, and what is no text is refused
    return form


def _known(form: Form) -> bool:
    if form.packing:
        return form.ending in (*DELIMITERS, *JSON)
    return form.ending in (*DELIMITERS, *JSON, *PARQUET, *ARROW, *EXCEL)


def unpacked(data: bytes, packing: str, place: Path) -> bytes:
    """What is compressed in `data`.

    Raises:
        DataError: it is not compressed so, is cut off, or is a zip file with several files.
    """
    try:
        if packing == ".zip":
            return _only_file(data, place)
        return {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}[packing](data)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, zipfile.BadZipFile) as error:
        cut = isinstance(error, EOFError) or "ended before" in str(error)
        what = (
            "is cut off" if cut else f"is not compressed with {PACKINGS[packing]}, whatever its ending says"
        )
        raise DataError(f"{place} {what}; write it again, or take the ending {packing} away") from error


def _only_file(data: bytes, place: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        names = [name for name in names if not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise DataError(
                f"{place} holds {len(names)} files, and a table is one; unpack it and name the table"
            )
        if archive.getinfo(names[0]).flag_bits & 1:
            raise DataError(f"{place} is encrypted; unpack it and name the table")
        return archive.read(names[0])


def delimiter_of(text: str, ending: str) -> str:
    """What separates the cells: that by which most of the first records have as many cells as the record of
    names, then that which makes most cells, then what the ending says.
    """
    usual = DELIMITERS[ending]
    candidates: list[str] = [usual, *_SEPARATORS]
    return max(candidates, key=lambda one: _agreement(text, one))  # the first among equals


def _agreement(text: str, delimiter: str) -> tuple[int, int]:
    """How many of the first records have as many cells as the record of names; how many that has."""
    records = (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
    cells: list[int] = []
    with suppress(csv.Error):  # a cell of very many letters ends the look
        cells.extend(len(row) for row in islice(records, _RECORDS))
    return (cells[1:].count(cells[0]), cells[0]) if cells and cells[0] > 1 else (0, 0)


def read_frame(data: bytes, ending: str, place: Path) -> pd.DataFrame:
    """The table in a file that is no delimited text: Parquet, Feather, JSON or Excel.

    Raises:
        DataError: it is none, or a package for it is not installed.
    """
    if ending in JSON:
        return _json(data, lines=ending != ".json", place=place)
    if ending in EXCEL:
        return _excel(data, ending, place)
    return _arrow(data, ending, place)


def _arrow(data: bytes, ending: str, place: Path) -> pd.DataFrame:
    return arrow_frame(arrow_table(data, ending, place))


def arrow_table(data: bytes, ending: str, place: Path) -> pa.Table:
    """The table in a Parquet or Feather file.

    Raises:
        DataError: it is none, or not whole.
    """
    import pyarrow as pa
    from pyarrow import feather, parquet

    what = "Parquet" if ending in PARQUET else "Feather"
    reader = parquet.read_table if ending in PARQUET else feather.read_table
    try:
        return reader(pa.BufferReader(data))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError(
            f"{place} is not a whole {what} file ({str(error).split('.')[0]}); write it again"
        ) from error


def arrow_frame(table: pa.Table) -> pd.DataFrame:
    """The frame of an Arrow table, whose columns may have one name twice."""
    names = [str(name) for name in table.column_names]
    plain = table.rename_columns([str(i) for i in range(len(names))])  # two of one name are refused later
    frame: pd.DataFrame = plain.to_pandas(integer_object_nulls=False, ignore_metadata=True)
    return frame.set_axis(names, axis=1)


def _json(data: bytes, *, lines: bool, place: Path) -> pd.DataFrame:
    """An array of objects, one object a line, or what pandas' `to_json` writes; cells that are objects or
    arrays are their text.
    """
    import json

    import pandas as pd

    try:
        text = data.decode("utf-8-sig")
        each = [line for line in text.splitlines() if line.strip()] if lines else [text]
        read = [json.loads(one) for one in each]
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{place} is no JSON that can be read ({error}); write it again") from error
    rows = _rows(read if lines else read[0])
    if rows is None:
        raise DataError(
            f"{place} holds no table: rung reads an array of objects, one a row, an object of columns, or "
            "(.jsonl) an object a line"
        )
    plain = [{k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()} for row in rows]
    return pd.DataFrame.from_records(plain)


def _rows(found: Any) -> list[dict[str, Any]] | None:
    """The rows of a table in JSON: as they are, or of columns (lists, or objects of cells by the row's
    label), or of names and cells apart; None where it is none.
    """
    if isinstance(found, list):
        return found if all(isinstance(row, dict) for row in found) else None
    if not isinstance(found, dict) or not found:
        return None
    names, cells = found.get("columns"), found.get("data")
    if isinstance(names, list) and isinstance(cells, list):
        known = dict.fromkeys(map(str, names))
        if all(isinstance(row, list) and len(row) == len(names) == len(known) for row in cells):
            return [dict(zip(known, row, strict=True)) for row in cells]
    columns = list(found.values())
    if all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        return [dict(zip(found, row, strict=True)) for row in zip(*columns, strict=True)]
    if all(isinstance(column, dict) for column in columns):
        labels = dict.fromkeys(label for column in columns for label in column)
        return [{name: column.get(label) for name, column in found.items()} for label in labels]
    return None


def _excel(data: bytes, ending: str, place: Path) -> pd.DataFrame:
    """The first sheet."""
    import pandas as pd

    try:
        book = pd.ExcelFile(io.BytesIO(data))
    except ImportError as error:
        package = {".xls": "xlrd", ".ods": "odfpy"}.get(ending, "openpyxl")
        raise DataError(
            f"{place} is an Excel workbook, and the package {package} that reads it is not installed: "
            f"pip install {package}, or save the sheet as CSV"
        ) from error
    except (ValueError, KeyError, zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"{place} is no workbook that can be read ({error}); save its sheet as CSV"
        ) from error
    with book:
        if len(book.sheet_names) > 1:
            names = listed(map(str, book.sheet_names), "and", 4)
            raise DataError(
                f"{place} has {len(book.sheet_names)} sheets ({names}); save the one that is meant as CSV"
            )
        return pd.read_excel(book)
