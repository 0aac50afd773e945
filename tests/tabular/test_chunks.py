"""Large text tables, read piece by piece, are what they are when read at once."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular import chunks, read
from rung.tabular.read import read_table

LATE = 3_000  # rows before the cell that decides


def _columns() -> dict[str, list[str]]:
    """Columns whose kind is decided late, or by a mixture of pieces."""
    numbers = [str(i % 97) for i in range(LATE)]
    return {
        "whole": [*numbers, "5"],
        "late fraction": [*numbers, "5.5"],
        "late word": [*numbers, "five"],
        "late code": [*numbers, "007"],
        "code among fractions": [*numbers[:-1], "0.5", "007"],
        "unknown first": ["unknown", *numbers],
        "unknown last": [*numbers, "unknown"],
        "only unknown": ["unknown"] * (LATE + 1),
        "gaps": ["", "NA", *numbers[2:], "?"],
        "late gap": [*numbers, ""],
        "empty": [""] * (LATE + 1),
        "no number but": ["none"] * LATE + ["3"],
        "blanks": [f"  {x} " for x in numbers] + [" 4"],
        "large": [*numbers, "9" * 25],
        "quoted": ['"a, ""b"""'] * LATE + ['"two\nlines"'],
        "booleans": ["True"] * LATE + ["False"],
    }


@pytest.fixture
def text() -> str:
    rows = zip(*_columns().values(), strict=True)
    return ",".join(_columns()) + "\n" + "\n".join(map(",".join, rows)) + "\n"


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every file is large; the rows of the pieces that were read."""
    found: list[int] = []
    plain = chunks._pieces

    def counted(place: Path, form: chunks.Form):  # type: ignore[no-untyped-def]
        for piece in plain(place, form):
            found.append(len(piece))
            yield piece

    monkeypatch.setattr(read, "LARGE", 0)
    monkeypatch.setattr(chunks, "PIECE", 20_000)
    monkeypatch.setattr(chunks, "_pieces", counted)
    return found


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv"])
def test_a_table_in_pieces_is_the_table(
    text: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: list[int]
) -> None:
    place = tmp_path / f"t{ending}"
    data = (text.replace(",", "\t") if ending == ".tsv" else text).encode("utf-8-sig")
    place.write_bytes(gzip.compress(data) if ending == ".csv.gz" else data)
    found = read_table(place)
    assert len(pieces) > 10
    assert sum(pieces) == 2 * (LATE + 1), "each row twice"
    monkeypatch.setattr(read, "LARGE", 1 << 40)
    pd.testing.assert_frame_equal(found, read_table(place), check_exact=True)
    assert found.attrs["folder"] == str(tmp_path)
    dtypes = {name: str(found[name].dtype) for name in found}
    assert dtypes["whole"] == "int64"
    assert dtypes["late gap"] == "Int64"
    assert found["late code"].iloc[0] == "0", "words, if only for the last cell"


def test_random_columns_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: list[int]
) -> None:
    rng = np.random.default_rng(0)
    words = ["1", "2.5", "-3", "007", "x", "", "NA", "unknown", " 4 ", "1e5", "-", "1,234", "5%"]
    cells = np.array(words, dtype=object)
    frame = {}
    for j in range(24):
        chosen = rng.choice(cells, rng.integers(1, 5), replace=False)
        column = np.full(2_000, chosen[0])
        column[rng.integers(0, 2_000, 4)] = rng.choice(chosen, 4)
        frame[f"c{j}"] = column
    place = tmp_path / "t.csv"
    pd.DataFrame(frame).to_csv(place, index=False)
    found = read_table(place)
    assert pieces
    monkeypatch.setattr(read, "LARGE", 1 << 40)
    pd.testing.assert_frame_equal(found, read_table(place), check_exact=True)


@pytest.mark.parametrize(
    ("tail", "sentence"),
    [
        ("1,2,3\n", "line 502: 3 cells where the line of names has 2;"),
        ("1,inf\n", "line 502: column 'b' holds an infinite number"),
        ("1,\udcff\n", "line 502: a byte there is not UTF-8 text"),
    ],
)
@pytest.mark.usefixtures("pieces")
def test_what_is_wrong_is_said_as_of_small_tables(tail: str, sentence: str, tmp_path: Path) -> None:
    place = tmp_path / "t.csv"
    text = "a,b\n" + "1,2\n" * 500 + tail
    place.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    with pytest.raises(DataError, match=sentence):
        read_table(place)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"a,b\n", "no row below"),
        (b"a,b\n,\n,\n", "all cells of its 2 rows are empty"),
        (b"PK\x03\x04xx", "an Excel workbook"),
    ],
)
@pytest.mark.usefixtures("pieces")
def test_what_is_no_table_is_said_too(content: bytes, sentence: str, tmp_path: Path) -> None:
    place = tmp_path / "t.csv"
    place.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_table(place)
    (tmp_path / "t.csv.gz").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="not compressed with gzip"):
        read_table(tmp_path / "t.csv.gz")
