"""Tables from files, as pandas frames whose cells mean what they said.

Text is parsed into strings (Arrow's parser, in parallel; a large file twice, piece by piece), and each column
is converted by what all of its cells are, so that nothing is guessed from the first rows: see
`rung.tabular.cells`. Every file that cannot be used raises DataError with one sentence: what is wrong, where,
and what to do.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from rung.errors import DataError
from rung.tabular.cells import from_words, infinite_row
from rung.tabular.chunks import LARGE, Layout, read_in_chunks
from rung.tabular.faults import explain_text, line_of_row
from rung.tabular.formats import (
    DELIMITERS,
    READABLE,
    STDIN,
    Form,
    delimiter_of,
    form_of,
    is_table,
    read_frame,
    unpacked,
)
from rung.tabular.frames import as_pandas
from rung.tabular.names import closest, listed
from rung.tabular.parts import parts_in, read_parts

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_STREAMS: Final = ("/dev/fd/", "/dev/stdin")  # can be read but once
PACKED: Final = 4  # a table with gzip is about so many times smaller
_MAGIC: Final = {
    b"PK\x03\x04": "an Excel workbook or another zip file: give it the ending .xlsx or .zip",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save its sheet as CSV",
    b"ARROW1": "a Feather file: give it the ending .feather",
    b"PAR1": "a Parquet file: give it the ending .parquet",
    b"\x1f\x8b": "compressed with gzip: give it the ending .gz",
    b"%PDF": "a PDF document: export the table as CSV",
    b"SQLite format 3": "an SQLite database: export the table as CSV",
}
_PAGE: Final = (b"<!doctype html", b"<html")


def read_table(
    path: str | Path, words: Collection[str] = (), used: Callable[[str], bool] | None = None
) -> pd.DataFrame:
    """The table in the file at `path` ("-" is standard input), rows in the file's order.

    The ending decides on the format: .csv, .tsv, .tab and .txt, and .json and .jsonl, each also with .gz,
    .bz2, .xz or .zip; .parquet, .feather; .xlsx where openpyxl is installed. A folder of Parquet files is one
    table. Cells of text are separated by what the ending says, or else by what the first lines have (commas,
    semicolons, tabs, bars); after semicolons numbers may have decimal commas. Text is UTF-8 (or UTF-16 with
    its mark); names and cells are stripped of blanks around them. A column is whole numbers (Int64 where
    cells are missing), numbers, or words; digits with a leading zero stay words ("00501"), and so do
    booleans. Cells that are empty, NA, NaN, null or ? are missing.

    Args:
        words: columns of a text file that stay words, for a model knows what they mean (`as_they_stand`).
        used: whether a column of this name is looked at; an infinite number in another is no error.

    Raises:
        DataError: the file is missing, cannot be read, or holds no rectangular table with finite numbers.
    """
    place = Path(path)
    if parts := parts_in(place):
        joined = _settled(read_parts(place, parts), place, used)
        joined.attrs["folder"] = str(place.absolute())
        return joined
    form = form_of(place)
    found = _large(place, form, words, used)
    if found is None:  # also where something is wrong with a large one: then all of it is looked through
        once = str(path) == STDIN or str(path).startswith(_STREAMS)
        data = _stream(str(path)) if once else _bytes(place)
        data = unpacked(data, form.packing, place) if form.packing else data
        text = form.ending in DELIMITERS
        if text:
            found = _text(data, form.ending, place, (words, used))
        else:
            found = _settled(read_frame(data, form.ending, place), place, used)
    found.attrs["folder"] = str(place.absolute().parent)  # where paths in its cells begin
    return found


@cache
def _stream(path: str) -> bytes:
    """All of standard input, or of a shell's `<(...)`: a command that reads its table twice gets it twice."""
    data = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
    if not data.strip():
        name = "standard input" if path == STDIN else path
        raise DataError(f"{name} is empty; a table needs a line of column names and at least one row")
    return data


def _large(
    place: Path, form: Form, words: Collection[str], used: Callable[[str], bool] | None
) -> pd.DataFrame | None:
    """The table in a large text file; None for any other file, and where something is wrong with it."""
    if form.ending not in DELIMITERS or form.packing not in ("", ".gz") or not place.is_file():
        return None
    packed = bool(form.packing)
    try:
        if place.stat().st_size < (LARGE // PACKED if packed else LARGE):
            return None
        with gzip.open(place) if packed else place.open("rb") as file:
            start = file.read(1 << 20)
    except (OSError, EOFError, zlib.error):
        return None
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or not start.strip():
        return None
    import pyarrow as pa

    _refuse_binary(start, place)
    names, delimiter = _names(start, form.ending, place)
    try:
        frame = read_in_chunks(place, Layout(delimiter, names, packed, delimiter == ";", tuple(words)))
    except (pa.ArrowInvalid, OSError):
        return None
    if frame is None or infinite_row(frame, used) is not None:
        return None
    _refuse_empty(frame, place)
    return frame


def _bytes(place: Path) -> bytes:
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        _missing(place)
    except IsADirectoryError:
        raise DataError(f"{place} is a folder; name the table in it{_tables_in(place)}") from None
    except PermissionError:
        raise DataError(
            f"{place} cannot be opened: this user may not read it; change its permissions"
        ) from None
    except OSError as error:
        raise DataError(f"{place} cannot be read ({error.strerror or error}); check the path") from error
    if not data.strip():
        raise DataError(f"{place} is empty; a table needs a line of column names and at least one row")
    return data


def _missing(place: Path) -> NoReturn:
    folder = place.parent
    if not folder.is_dir():
        raise DataError(f"there is no file {place}: the folder {folder} does not exist; check the path")
    near = closest(place.name, (p.name for p in folder.iterdir() if p.is_file()), count=1)
    hint = f"did you mean {folder / near[0]}?" if near else f"check the path{_tables_in(folder)}"
    raise DataError(f"there is no file {place}; {hint}")


def _tables_in(folder: Path) -> str:
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and is_table(p.name))
    return f" (tables there: {listed(names, 'and', 5)})" if names else ""


def _text(
    data: bytes, ending: str, place: Path, columns: tuple[Collection[str], Callable[[str], bool] | None]
) -> pd.DataFrame:
    """The table in delimited text; `columns` as in `read_table`: which stay words, and which are used."""
    import pyarrow as pa

    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", errors="replace").encode()
    _refuse_binary(data, place)
    names, delimiter = _names(data, ending, place)
    try:
        words = _words(data, delimiter, len(names))
    except pa.ArrowInvalid as error:
        raise explain_text(data, delimiter, place, str(error)) from error
    if len(words) == 0:
        raise DataError(f"{place} has column names and no row below them; a table needs at least one row")
    frame = from_words(words.columns, names, comma=delimiter == ";", words=columns[0])
    if (hit := infinite_row(frame, columns[1])) is not None:
        line = line_of_row(data, delimiter, hit[1])
        raise DataError(
            f"{place}, line {line}: column {hit[0]!r} holds an infinite number; empty the cell or put "
            "a finite number there, or leave the column out"
        )
    _refuse_empty(frame, place)
    return frame


def _refuse_binary(data: bytes, place: Path) -> None:
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise DataError(f"{place} is no text but {what}")
    if data[:200].lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(_PAGE):
        raise DataError(
            f"{place} is a web page, and no table; open it in a browser: it may say why there is none"
        )
    if b"\0" in data[: 1 << 20]:
        raise DataError(
            f"{place} is a binary file (a zero byte at position {data.index(0)}), not text; "
            f"save the table as one of {listed(READABLE)}"
        )


def _names(data: bytes, ending: str, place: Path) -> tuple[list[str], str]:
    """The column names of the first line that is not empty, and what separates them."""
    text = data[: 1 << 20].decode("utf-8-sig", errors="replace")
    delimiter = delimiter_of(text, ending)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        first = next(row for row in rows if row)
    except (csv.Error, StopIteration) as error:
        raise DataError(
            f"{place}, line 1: no line of column names can be read there; save the table again"
        ) from error
    return unique_names([name.strip() for name in first], str(place)), delimiter


def unique_names(names: list[str], where: str) -> list[str]:
    """The names with `Unnamed: i` for empty ones.

    Raises:
        DataError: two columns have one name.
    """
    full = [name or f"Unnamed: {i}" for i, name in enumerate(names)]
    twice = [name for name, count in Counter(full).items() if count > 1]
    if twice:
        places = [str(i + 1) for i, name in enumerate(full) if name == twice[0]]
        raise DataError(
            f"{where}: columns {listed(places, 'and')} are both named {twice[0]!r}; rename one of them"
        )
    return full


def _words(data: bytes, delimiter: str, columns: int) -> pa.Table:
    """All cells as strings, the line of names left out."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [str(i) for i in range(columns)]
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(column_names=names, block_size=1 << 22),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: pa.string() for name in names}, strings_can_be_null=False
        ),
    )
    return table.slice(1)


def _refuse_empty(frame: pd.DataFrame, place: Path) -> None:
    if all(frame[name].isna().all() for name in frame.columns):
        raise DataError(
            f"{place}: all cells of its {len(frame)} rows are empty; check how the table was saved"
        )


def _settled(frame: pd.DataFrame, place: Path, used: Callable[[str], bool] | None) -> pd.DataFrame:
    """With names that differ, refused if it holds nothing or an infinite number."""
    names = unique_names([str(name).strip() for name in frame.columns], str(place))
    if len(frame) == 0 or not names:
        raise DataError(f"{place} has no rows; a table needs at least one")
    frame = as_pandas(frame.set_axis(names, axis=1))
    if (hit := infinite_row(frame, used)) is not None:
        raise DataError(
            f"{place}, row {hit[1] + 1}: column {hit[0]!r} holds an infinite number; empty the cell or put "
            "a finite number there, or leave the column out"
        )
    _refuse_empty(frame, place)
    return frame
