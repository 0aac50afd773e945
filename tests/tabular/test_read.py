import bz2
import gzip
import importlib.util
import io
import json
import lzma
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.errors import DataError
from rung.tabular import read
from rung.tabular.columns import infer_columns, prepare
from rung.tabular.formats import is_table
from rung.tabular.read import read_table


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


BAD = [
    ("a.csv", b"", "is empty"),
    ("a.csv", b" \n\n", "is empty"),
    ("a.csv", b"a,b\n", "no row below"),
    ("a.csv", b"a,b\n\n\n", "no row below"),
    ("a.csv", b"a,b\n1,2\n3\n", "line 3: 1 cell where the line of names has 2"),
    ("a.csv", b'a,b\n"x\ny",2\n\n3,4,5\n', "line 5: 3 cells where the line of names has 2"),
    ("a.csv", bytes(range(256)), "binary file"),
    ("a.csv", b"PK\x03\x04rest", "Excel workbook"),
    ("a.csv", b"PAR1rest", "Parquet file: give it the ending .parquet"),
    ("a.csv", b"ARROW1rest", "Feather file: give it the ending .feather"),
    ("a.csv.zip", b"a,b\n1,2\n", "is not compressed with zip"),
    ("a.csv.xz", b"a,b\n1,2\n", "is not compressed with xz"),
    ("a.csv.bz2", bz2.compress(b"a,b\n" + b"1,2\n" * 1000)[:-12], "is cut off"),
    ("a.feather", b"ARROW1 and no more", "not a whole Feather file"),
    ("a.json", b"{", "no JSON that can be read"),
    ("a.json", b"[]", "has no rows"),
    ("a.jsonl", b"3\n", "holds no table"),
    ("a.xlsx", b"PK\x03\x04rest", "no workbook that can be read"),
    ("a.csv", b"a,b\n,\nNA,?\n", "all cells of its 2 rows are empty"),
    ("a.csv", b"a,b, a\n1,2,3\n", "columns 1 and 3 are both named 'a'"),
    ("a.csv", b"a,b\n1,2\n\n3,inf\n", "line 4: column 'b' holds an infinite number"),
    ("a.csv", b"a,b\n1,2\n3,-1e999\n", "line 3: column 'b' holds an infinite number"),
    ("a.csv", b"a,b\n1,caf\xe9\n", "line 2: a byte there is not UTF-8 text"),
    ("a.csv.gz", b"a,b\n1,2\n", "not compressed with gzip"),
    ("a.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 1000, mtime=0)[:-12], "is cut off"),
    ("a.parquet", b"PAR1 and no more", "not a whole Parquet file"),
    ("a.json", b"{}", "holds no table: rung reads an array of objects"),
    ("a.json", b'{"error": "not found"}', "holds no table"),
    ("a.json", b'{"a": [1, 2], "b": [1]}', "holds no table"),
    ("a.json", b'{"columns": ["a", "b"], "data": [[1]]}', "holds no table"),
    ("a.csv", b"<!DOCTYPE html><html>\n<body>a, b</body>\n", "is a web page, and no table"),
    ("a.csv", b"# of 2026\n# for a, b\na,b\n1,2\n", "if the lines before it that begin with # are remarks"),
    ("a.md", b"a,b\n1,2\n", "the ending .md names no format"),
    ("a", b"a,b\n1,2\n", "the ending (none) names no format"),
]


@pytest.mark.parametrize(("name", "content", "words"), BAD)
def test_a_bad_file_gets_one_sentence(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        read_table(path)
    message = str(caught.value)
    assert words in message
    assert message.startswith(str(path))
    assert "\n" not in message


def test_a_missing_file_is_answered_with_the_closest(tmp_path: Path) -> None:
    written(tmp_path, "census.csv", "a,b\n1,2\n")
    with pytest.raises(DataError, match=r"there is no file .*cencus.csv; did you mean .*census.csv\?"):
        read_table(tmp_path / "cencus.csv")
    with pytest.raises(DataError, match=r"check the path \(tables there: census.csv\)"):
        read_table(tmp_path / "z.parquet")
    with pytest.raises(DataError, match=r"the folder .*nowhere does not exist"):
        read_table(tmp_path / "nowhere" / "a.csv")
    with pytest.raises(DataError, match=r"is a folder; name the table in it \(tables there: census.csv\)"):
        read_table(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "a,b\n1,2\n")
    path.chmod(0)
    with pytest.raises(DataError, match="this user may not read it"):
        read_table(path)


def test_a_refused_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match="this user may not read it"):
        read_table(written(tmp_path, "a.csv", "a\n1\n"))


def test_cells_mean_what_they_say(tmp_path: Path) -> None:
    text = (
        "\ufeffwhole, gaps ,number,code,flag,word,mixed,hex,empty\r\n"
        "1,1, 1.5,00501,true, a b ,3,0x10,\r\n"
        "-2,,+2e3,10001,false,None,none,0x11,NA\r\n"
        "3,7,nan,90210,true,?,4.5,0x12,\r\n"
    )
    frame = read_table(written(tmp_path, "a.csv", text))
    assert frame["whole"].dtype == np.int64
    assert frame["gaps"].tolist() == [1, pd.NA, 7]
    assert frame["number"].tolist()[:2] == [1.5, 2000.0]
    assert np.isnan(frame["number"][2])
    assert frame["code"].tolist() == ["00501", "10001", "90210"]
    assert frame["flag"].tolist() == ["true", "false", "true"]
    assert frame["word"].tolist()[:2] == ["a b", "None"]
    assert frame["word"].isna().tolist() == [False, False, True]
    assert frame["mixed"].tolist()[::2] == [3.0, 4.5]
    assert frame["hex"].tolist() == ["0x10", "0x11", "0x12"]
    assert frame["empty"].isna().all()


def test_formats_agree(tmp_path: Path) -> None:
    rows = [("k", "n"), ("x, y", "1"), ("z\nz", "2")]
    comma = "".join(f'"{k}",{n}\n' for k, n in rows)
    frames = [
        read_table(written(tmp_path, "a.csv", comma)),
        read_table(written(tmp_path, "A.CSV.GZ", gzip.compress(comma.encode()))),
        read_table(written(tmp_path, "a.tsv", comma.replace('",', '"\t'))),
        read_table(written(tmp_path, "utf16.csv", comma.encode("utf-16"))),
    ]
    frames[0].to_parquet(tmp_path / "a.parquet")
    frames.append(read_table(tmp_path / "a.parquet"))
    for frame in frames:
        assert frame["k"].tolist() == ["x, y", "z\nz"]
        assert frame["n"].tolist() == [1, 2]


TEXT = "x,name,when\n1.5,a,2020-01-01\n-3,b,2021-02-03\n1000.25,c,2022-03-04\n"


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.bz2", "t.csv.xz", "t.csv.zip", "t.zip", "t.txt"])
def test_compressed_text_is_the_text(tmp_path: Path, name: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("t.csv", TEXT)
    pack = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zip": lambda _: file.getvalue(),
    }
    data = pack.get(Path(name).suffix, bytes)(TEXT.encode())
    assert read_table(written(tmp_path, name, data)).equals(read_table(written(tmp_path, "u.csv", TEXT)))


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt"])
def test_separators_are_found(tmp_path: Path, separator: str, ending: str) -> None:
    text = TEXT.replace(",", separator)
    if separator == ";":
        text = text.replace("1.5", "1,5").replace("1000.25", "1.000,25")
    found = read_table(written(tmp_path, f"t{ending}", text))
    assert found.equals(read_table(written(tmp_path, "u.csv", TEXT)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Preis, brutto;g;y\n1550,22;a;ja\n12,50;b;nein\n", ["Preis, brutto", "g", "y"]),
        ("Preis, brutto\tg\ty\n1550,22\ta\tja\n12,50\tb\tnein\n", ["Preis, brutto", "g", "y"]),
        ('n;"Ort, ""alt""";y\n1;K;ja\n2;L;nein\n', ["n", 'Ort, "alt"', "y"]),
        ('"a;b;c",y\n1,ja\n2,nein\n', ["a;b;c", "y"]),
        ("tags (a;b;c),y\nx;z,ja\nx,nein\n", ["tags (a;b;c)", "y"]),
        ("n,words\n1,a;b\n2,c;d\n", ["n", "words"]),
        ('\n\nn;"y\nz"\n1;ja\n', ["n", "y\nz"]),
        (f"n, m;y;z\n1,5;{'x' * 200_000};2\n", ["n, m", "y", "z"]),
    ],
)
def test_separators_in_names_are_none(tmp_path: Path, text: str, names: list[str]) -> None:
    found = read_table(written(tmp_path, "t.csv", text))
    assert list(found) == names
    if names[0] == "Preis, brutto" and ";" in text:
        assert found[names[0]].tolist() == [1550.22, 12.5]


def test_a_pipe_without_an_ending_is_text(tmp_path: Path) -> None:
    ends = os.pipe()
    os.write(ends[1], TEXT.encode())
    os.close(ends[1])
    try:
        found = read_table(f"/dev/fd/{ends[0]}")
    finally:
        os.close(ends[0])
    assert found.equals(read_table(written(tmp_path, "u.csv", TEXT)))


def test_feather_json_and_excel_agree(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path, "t.csv", TEXT))
    frame.to_feather(tmp_path / "t.feather")
    frame.to_json(tmp_path / "t.json", orient="records")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    endings = ["feather", "json", "jsonl"]
    if importlib.util.find_spec("openpyxl"):
        frame.to_excel(tmp_path / "t.xlsx", index=False)
        endings.append("xlsx")
    for ending in endings:
        pd.testing.assert_frame_equal(
            read_table(tmp_path / f"t.{ending}"), frame, check_dtype=ending != "json"
        )


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    text = 'p,m,k,w\n6.2%,"$1,234.50","1,234",5%\n10 %,-$3,7,much\n,$ 2,"12,000,000",x\n'
    found = read_table(written(tmp_path, "t.csv", text))
    assert found["p"].tolist()[:2] == [6.2, 10.0]
    assert found["m"].tolist() == [1234.5, -3.0, 2.0]
    assert found["k"].tolist() == [1234, 7, 12_000_000]
    assert found["w"].tolist() == ["5%", "much", "x"]


def test_decimal_commas_beside_a_word(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 10};a\n" for i in range(99))
    found = read_table(written(tmp_path, "t.csv", f"x;y\n{rows}k.A.;b\n"))
    assert prepare(found, infer_columns(found))["x"].tolist()[:3] == [0.0, 1.1, 2.2]
    assert found["x"].iloc[-1] == "k.A."


def test_a_table_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    read._stream.cache_clear()
    assert len(read_table("-")) == len(read_table("-")) == 3
    read._stream.cache_clear()


def test_a_pipe_of_the_shell_is_read_once_and_given_twice() -> None:
    end, other = os.pipe()
    with os.fdopen(other, "wb") as pipe:
        pipe.write(TEXT.encode())
    path = f"/dev/fd/{end}"
    assert is_table(path)
    assert len(read_table(path)) == len(read_table(path)) == 3
    read._stream.cache_clear()
    os.close(end)


def test_names_are_stripped_in_parquet_as_in_text(tmp_path: Path) -> None:
    pd.DataFrame({" x ": [1.0], "y": [2.0]}).to_parquet(tmp_path / "a.parquet")
    assert list(read_table(tmp_path / "a.parquet")) == ["x", "y"]


def test_parquet_is_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"x": [1.0, np.inf], "y": [True, False]}).to_parquet(path)
    with pytest.raises(DataError, match="row 2: column 'x' holds an infinite number"):
        read_table(path)
    assert len(read_table(path, used=lambda name: name != "x")) == 2
    pd.DataFrame({"x": []}).to_parquet(path)
    with pytest.raises(DataError, match="has no rows"):
        read_table(path)
    pd.DataFrame({"x": [None, None]}).to_parquet(path)
    with pytest.raises(DataError, match="all cells"):
        read_table(path)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8).map("w{}".format)


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


@given(st.lists(st.tuples(words, words), min_size=1, max_size=30))
def test_words_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    lines = ["first,second", *(",".join(map(quoted, row)) for row in rows), ""]
    frame = read_table(written(tmp_path_factory.mktemp("t"), "a.csv", "\n".join(lines)))
    assert list(frame.itertuples(index=False, name=None)) == [tuple(c.strip() for c in row) for row in rows]


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=30, max_size=30),
)
def test_numbers_come_back(
    tmp_path_factory: pytest.TempPathFactory, whole: list[int], numbers: list[float]
) -> None:
    lines = ["whole,number", *(f"{a},{b!r}" for a, b in zip(whole, numbers, strict=False)), ""]
    frame = read_table(written(tmp_path_factory.mktemp("t"), "a.csv", "\n".join(lines)))
    assert frame["whole"].tolist() == whole
    assert frame["number"].tolist() == numbers[: len(whole)]


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    for year, parts in ((2023, ["b", "a"]), (2024, ["c"])):
        (tmp_path / "sales" / f"year={year}").mkdir(parents=True)
        for part in parts:
            frame = pd.DataFrame({"x": [1, 2] if part != "c" else [1.5, None], "part": part})
            frame.to_parquet(tmp_path / "sales" / f"year={year}" / f"{part}.parquet", index=False)
    (tmp_path / "sales" / "_SUCCESS").write_text("")
    frame = read_table(tmp_path / "sales")
    assert frame["part"].tolist() == ["a", "a", "b", "b", "c", "c"]
    assert frame["x"].tolist()[:5] == [1, 2, 1, 2, 1.5]
    assert frame["year"].tolist() == [2023] * 4 + [2024] * 2


def test_places_of_parquet_files_are_read_as_spark_writes_them(tmp_path: Path) -> None:
    for place in ("city=New%20York", "city=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "sales" / place).mkdir(parents=True)
        pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "sales" / place / "a.parquet")
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "sales" / "b.parquet")
    with pytest.raises(DataError, match=r"has city besides, unlike b\.parquet"):
        read_table(tmp_path / "sales")
    (tmp_path / "sales" / "b.parquet").unlink()
    frame = read_table(tmp_path / "sales")
    assert frame["city"].isna().sum() == 1
    assert frame["city"].dropna().tolist() == ["New York"]
    for path in (tmp_path / "sales").rglob("*.parquet"):
        pd.DataFrame({"x": [1], "city": ["in the file"]}).to_parquet(path)
    assert read_table(tmp_path / "sales")["city"].tolist() == ["in the file"] * 2


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (pd.DataFrame({"y": [1]}), "b.parquet lacks x, unlike a.parquet"),
        (pd.DataFrame({"x": [1], "z": [1]}), "b.parquet has z besides"),
        (pd.DataFrame({"x": ["word"]}), "hold a column in several types"),
    ],
)
def test_parquet_files_that_are_no_one_table(tmp_path: Path, other: pd.DataFrame, words: str) -> None:
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "a.parquet", index=False)
    other.to_parquet(tmp_path / "b.parquet", index=False)
    with pytest.raises(DataError, match=words):
        read_table(tmp_path)
    (tmp_path / "c.csv").write_text("x\n1\n")
    with pytest.raises(DataError, match="is a folder; name the table in it"):
        read_table(tmp_path)


@pytest.mark.parametrize("orient", ["records", "columns", "index", "split", "list"])
def test_what_pandas_writes_as_json_is_read(tmp_path: Path, orient: str) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.5, 1.5, 2.5]})
    place = tmp_path / "t.json"
    if orient == "list":
        place.write_text(json.dumps(frame.to_dict(orient="list")))
    else:
        (frame.T if orient == "index" else frame).to_json(place, orient=orient)
    pd.testing.assert_frame_equal(read_table(place), frame, check_dtype=False)
