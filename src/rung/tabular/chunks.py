"""Large text tables, read piece by piece: at no time is more of the text in memory than a few pieces.

What a column is depends on all of its cells, so the file is read twice: once to see what each column's cells
are, once to keep them as that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from rung.tabular.cells import COMMA, MISSING, NO_NUMBER, WRITTEN, cast, looks_coded, to_pandas, without
from rung.tabular.written import plain_numbers, signs_in

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

LARGE: Final = 128 << 20  # bytes of a file from which it is read so
PIECE: Final = 16 << 20  # bytes of text

Kind = Literal["words", "numbers", "whole"]


class Layout(NamedTuple):
    """How a text table is written.

    Attributes:
        comma: whether numbers may have decimal commas.
        words: columns that stay words.
    """

    delimiter: str
    names: list[str]
    packed: bool
    comma: bool = False
    words: tuple[str, ...] = ()


@dataclass
class Seen:
    """What the cells of a column are, as far as they have been read.

    Attributes:
        words: some are no numbers, whatever is left out.
        loose: some are numbers only if words such as "unknown" are missing cells.
        numbers: there is a number.
        whole: all numbers are whole.
        coded: some look like codes, such as 00501.
        written: some are numbers only as people write them, such as 1,234.
        comma: whether those may have decimal commas.
        signs: the currencies and percent signs that those have; with two of them they are words.
    """

    words: bool = False
    loose: bool = False
    numbers: bool = False
    whole: bool = True
    coded: bool = False
    written: bool = False
    comma: bool = False
    signs: set[str] = field(default_factory=set)

    def look(self, words: pa.Array) -> None:
        """Take further cells into account."""
        import pyarrow as pa

        if self.words:
            return
        cells, numbers = words, _plain(words)
        if numbers is None:
            cells = _present(words, loose=self.loose)
            numbers = cast(cells, pa.float64())
        if numbers is None and not self.loose:
            self.loose = True
            cells = _present(words, loose=True)
            numbers = cast(cells, pa.float64())
        if numbers is None:
            self.written = True
            as_written, cells = cells, plain_numbers(cells, comma=self.comma)
            numbers = cast(cells, pa.float64())
            self.signs.update(() if numbers is None else signs_in(as_written))
        if numbers is None or len(self.signs) > 1:
            self.words = True
            return
        self.numbers = self.numbers or numbers.null_count < len(numbers)
        self.whole = self.whole and cast(cells, pa.int64()) is not None
        self.coded = self.coded or (self.whole and looks_coded(cells))

    @property
    def kind(self) -> Kind:
        """What the column is."""
        if self.words or not self.numbers or (self.whole and self.coded):
            return "words"
        return "whole" if self.whole else "numbers"


def read_in_chunks(place: Path, form: Layout) -> pd.DataFrame | None:
    """The table, its columns as `rung.tabular.cells.convert` has them; None where it has no rows.

    Raises:
        pyarrow.ArrowInvalid, OSError: the text cannot be parsed, or read.
    """
    import pandas as pd
    import pyarrow as pa

    seen = [Seen(words=name in form.words, comma=form.comma) for name in form.names]
    rows = 0
    for piece in _pieces(place, form):
        rows += len(piece)
        for column, words in zip(seen, piece.columns, strict=True):
            column.look(words)
    if not rows:
        return None
    kept: list[list[pa.Array]] = [[] for _ in form.names]
    for piece in _pieces(place, form):
        for cells, column, words in zip(kept, seen, piece.columns, strict=True):
            cells.append(_kept(words, column))
    columns = {}
    for name, cells in zip(form.names, kept, strict=True):
        columns[name] = to_pandas(pa.chunked_array(cells))
        cells.clear()  # one column at a time is there twice
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs[COMMA] = form.comma
    frame.attrs[WRITTEN] = {
        name: "".join(column.signs)
        for name, column in zip(form.names, seen, strict=True)
        if column.written and column.kind != "words"
    }
    return frame


def _pieces(place: Path, form: Layout) -> Iterator[pa.RecordBatch]:
    """All cells as strings, the line of names left out."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [str(i) for i in range(len(form.names))]
    with pa.input_stream(str(place), compression="gzip" if form.packed else None) as source:
        reader = arrow_csv.open_csv(
            source,
            read_options=arrow_csv.ReadOptions(column_names=names, block_size=PIECE),
            parse_options=arrow_csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in names}, strings_can_be_null=False
            ),
        )
        with reader:
            first = True
            for piece in reader:
                yield piece.slice(1) if first and len(piece) else piece
                first = first and not len(piece)


def _present(words: pa.Array, *, loose: bool) -> pa.Array:
    """The cells without blanks around them; those that say that nothing is there are null."""
    import pyarrow.compute as pc

    cells = without(pc.utf8_trim_whitespace(words), MISSING)
    return without(cells, NO_NUMBER) if loose else cells


def _kept(words: pa.Array, seen: Seen) -> pa.Array:
    """The cells as what the column is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = seen.kind
    if kind == "words":
        return _present(words, loose=False)
    plain = _plain(words) if kind == "numbers" else None
    if plain is not None:
        return plain
    cells = _present(words, loose=seen.loose)
    cells = plain_numbers(cells, comma=seen.comma) if seen.written else cells
    return pc.cast(cells, pa.int64() if kind == "whole" else pa.float64())


def _plain(words: pa.Array) -> pa.Array | None:
    """The numbers where every cell is one as it stands: what most columns are, and quick to see."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = cast(words, pa.float64())
    if numbers is None or pc.any(pc.is_nan(numbers)).as_py():
        return None
    return numbers
