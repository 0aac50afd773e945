import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular import columns, encode
from rung.tabular.columns import Column, Kind, column_notes, infer_columns, prepare
from rung.tabular.grouping import rows_of
from rung.tabular.request import Request

N = 60


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(N),
            "number": rng.normal(size=N),
            "digits": [str(i) if i % 30 else "unknown?" for i in range(1, N + 1)],
            "code": [f"{i % 7:05d}" for i in range(N)],
            "flag": [bool(i % 2) for i in range(N)],
            "word": [("red", "green", None)[i % 3] for i in range(N)],
            "note": [f"the {i} th row says {i * i} or so" for i in range(N)],
            "day": [f"2024-01-{i % 28 + 1:02d}" for i in range(N)],
            "german": [f"{i % 28 + 1}.03.2024" for i in range(N)],
            "stamp": pd.date_range("2024", periods=N, freq="D", tz="Europe/Berlin"),
            "uuid": [f"k{i:08x}" for i in range(N)],
            "same": ["x"] * N,
            "none": [None] * N,
            "target": [i % 2 for i in range(N)],
        }
    )


def test_kinds() -> None:
    columns = {c.name: c for c in infer_columns(table(), "target")}
    assert {name: str(c.kind) for name, c in columns.items()} == {
        "id": "identifier",
        "number": "number",
        "digits": "number",
        "code": "category",
        "flag": "category",
        "word": "category",
        "note": "text",
        "day": "date",
        "german": "date",
        "stamp": "date",
        "uuid": "identifier",
        "same": "constant",
        "none": "empty",
    }
    assert columns["german"].format == "%d.%m.%Y"
    assert columns["word"].missing == pytest.approx(1 / 3)
    assert columns["word"].distinct == 2


def test_notes_name_what_is_left_out() -> None:
    notes = column_notes(infer_columns(table(), "target"))
    assert any("id and uuid" in note for note in notes)
    assert any("one value only: same" in note for note in notes)
    assert any("empty: none" in note for note in notes)


def test_day_and_month_are_told_apart_by_all_cells() -> None:
    frame = pd.DataFrame(
        {"us": ["01/02/2024"] * 9 + ["02/28/2024"], "uk": ["01/02/2024"] * 9 + ["28/02/2024"]}
    )
    formats = [c.format for c in infer_columns(frame)]
    assert formats == ["%m/%d/%Y", "%d/%m/%Y"]


def test_prepared_tables_have_one_shape() -> None:
    frame = table()
    columns = infer_columns(frame, "target")
    ready = prepare(frame, columns)
    assert list(ready) == ["number", "digits", "code", "flag", "word", "note", "day", "german", "stamp"]
    assert [str(t) for t in ready.dtypes] == ["float64"] * 2 + ["object"] * 4 + ["datetime64[ns]"] * 3
    assert np.isnan(ready["digits"][29])
    assert ready["german"][0] == pd.Timestamp("2024-03-01")
    assert ready["word"].tolist()[:3] == ["red", "green", None]
    pd.testing.assert_frame_equal(prepare(ready, columns), ready)


def test_one_row_is_prepared_as_in_the_whole() -> None:
    frame = table()
    columns = infer_columns(frame, "target")
    whole = prepare(frame, columns)
    for i in (0, 2, 29):
        row = prepare(frame.iloc[[i]], columns)
        pd.testing.assert_frame_equal(row, whole.iloc[[i]].reset_index(drop=True))


def test_later_tables_may_differ() -> None:
    frame = table()
    columns = infer_columns(frame, "target")
    later = frame[frame.columns[::-1]].drop(columns=["id", "target", "same", "none", "uuid"]).assign(extra=1)
    later["number"] = later["number"].astype(str)
    later.loc[0, "number"] = "much"
    later.loc[1, "number"] = "inf"
    later["code"] = 7.0
    later["word"] = "violet"
    later["day"] = None
    ready = prepare(later, columns)
    assert list(ready) == [c.name for c in columns if c.used]
    assert np.isnan(ready["number"][[0, 1]]).all()
    assert ready["number"][2] == pytest.approx(frame["number"][2])
    assert set(ready["code"]) == {"7"}
    assert ready["day"].isna().all()


def test_nullable_types_are_normalised() -> None:
    frame = pd.DataFrame(
        {
            "int": pd.array([1, None, 3], dtype="Int64"),
            "bool": pd.array([True, None, False], dtype="boolean"),
            "cat": pd.Categorical(["a", None, "b"]),
            "string": pd.array(["a", None, "b"], dtype="string"),
            "list": [[1], None, [2]],
        }
    )
    ready = prepare(frame, infer_columns(frame))
    assert ready["int"].isna().tolist() == [False, True, False]
    assert ready["bool"].tolist() == ["True", None, "False"]
    assert ready["cat"].tolist() == ready["string"].tolist() == ["a", None, "b"]
    assert ready["list"].tolist() == ["[1]", None, "[2]"]


@pytest.mark.parametrize("trained", [["True", "False"], ["TRUE", "FALSE"], [True, False], [True, None]])
@pytest.mark.parametrize(
    "later",
    [["true", "false"], ["TRUE", "FALSE"], ["t", "f"], [1, 0], [1.0, 0.0], ["1", "0"], [True, False]],
)
def test_truth_values_are_the_same_however_they_are_written(trained, later) -> None:
    columns = infer_columns(pd.DataFrame({"flag": [*trained * 20, None]}))
    known = [None if x is None else str(x) for x in trained]
    ready = prepare(pd.DataFrame({"flag": pd.Series([*later, None])}), columns)["flag"].tolist()
    assert ready[0] == known[0]
    assert known[1] is None or ready[1] == known[1]
    assert ready[2] is None
    words = prepare(pd.DataFrame({"flag": ["maybe", known[0]]}), columns)["flag"].tolist()
    assert words == ["maybe", known[0]]


def test_words_that_are_no_truth_values_are_matched_as_they_stand() -> None:
    for trained in (["True", "False", "maybe"], ["true", "TRUE"], ["yes", "no"]):
        columns = infer_columns(pd.DataFrame({"flag": trained * 20}))
        assert columns[0].format is None
        assert prepare(pd.DataFrame({"flag": ["tRUE", "1"]}), columns)["flag"].tolist() == ["tRUE", "1"]


def test_a_missing_column_is_named_with_the_closest() -> None:
    column = Column("age", Kind.NUMBER, 9, 0.0)
    with pytest.raises(DataError, match=r"column 'age' is missing .*is it 'Age'\?"):
        prepare(pd.DataFrame({"Age": [1], "b": [2]}), (column,))
    assert prepare(pd.DataFrame({"b": [2]}), (Column("age", Kind.EMPTY, 0, 1.0),)).shape == (1, 0)


def test_long_columns_are_seen_for_what_they_are(monkeypatch):
    """Of many numbers some are looked at; what one of two levels is, and a constant, all of them say."""
    monkeypatch.setattr(columns, "_LONG", 5_000)
    monkeypatch.setattr(columns, "_LOOKED_AT", 2_000)
    n = 20_000
    frame = pd.DataFrame(
        {
            "number": np.random.default_rng(0).normal(size=n),
            "nearly constant": np.r_[np.zeros(n - 1), 1.0],
            "constant": 1,
            "id": np.arange(n),
            "name": [f"user-{i}" for i in range(n)],
            "level": np.resize(["a", "b"], n),
            "day": np.resize(["2024-01-02", "2024-03-01"], n),
        }
    )
    found = {column.name: column for column in infer_columns(frame)}
    kinds = {name: column.kind for name, column in found.items()}
    assert kinds == {
        "number": "number",
        "nearly constant": "number",
        "constant": "constant",
        "id": "identifier",
        "name": "identifier",
        "level": "category",
        "day": "date",
    }
    assert 1_000 < found["number"].distinct < n
    assert found["nearly constant"].distinct == 2


def test_long_tables_are_encoded_a_column_at_a_time(monkeypatch):
    frame = table()
    kinds = infer_columns(frame)
    encoder, at_once = encode.encode(frame, kinds)
    monkeypatch.setattr(encode, "_LONG", 10)
    other, one_by_one = encode.encode(frame, kinds)
    assert [x.tolist() for x in other.levels] == [x.tolist() for x in encoder.levels]
    for found in (one_by_one, encoder.transform(frame)):
        np.testing.assert_array_equal(found.numbers, at_once.numbers)
        np.testing.assert_array_equal(found.codes, at_once.codes)
    with pytest.raises(DataError, match="'number' is missing"):
        encoder.transform(frame.drop(columns="number"))


def test_a_long_column_that_counts_the_rows_has_as_many_values_as_rows():
    (column,) = infer_columns(pd.DataFrame({"id": np.arange(600_000)}))
    assert (column.kind, column.distinct) == (Kind.IDENTIFIER, 600_000)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (lambda i: f"https://shop.example.com/product/{i % 40}?page={i % 3}", Kind.TEXT),
        (lambda i: ("/cart", "/", f"/item/{i % 40}/reviews", f"/search?q=shoes+{i}")[i % 4], Kind.TEXT),
        (lambda i: f"I50.{i % 9}|E11.{i % 7}" if i % 3 else "J44.1", Kind.TEXT),
        (lambda i: f"Action; Comedy; Nr{i % 30}", Kind.TEXT),
        (lambda i: f"A/{i % 40}", Kind.CATEGORY),
        (lambda i: f"ward {i % 40}", Kind.CATEGORY),
        (lambda i: ("a|b", "b|c", "c")[i % 3], Kind.CATEGORY),
        (lambda i: f"user{i}@mail.com", Kind.IDENTIFIER),
    ],
)
def test_addresses_and_lists_are_texts(cell, kind) -> None:
    frame = pd.DataFrame({"x": [cell(i) for i in range(400)]})
    assert infer_columns(frame)[0].kind == kind


def test_numbers_that_pandas_is_told_are_levels():
    numbers = np.resize([3, 1, 2], 30)
    frame = pd.DataFrame({"level": pd.Categorical(numbers), "number": numbers, "z": np.arange(30.0)})
    encoder, table = encode.encode(frame, infer_columns(frame))
    assert [column.kind for column in encoder.columns] == ["category", "number", "number"]
    later = frame.assign(level=numbers.astype(float), number=pd.Categorical([None, *numbers[1:]]))
    found = encoder.transform(later)
    assert found.codes.tolist() == table.codes.tolist()
    assert np.isnan(found.numbers[0, 0])
    assert found.numbers[1:].tolist() == table.numbers[1:].tolist()


def test_a_number_that_is_no_date_is_missing():
    frame = pd.DataFrame({"day": [20260101 + i % 28 for i in range(60)]})
    columns = infer_columns(frame, asked={"day": "date"})
    later = pd.DataFrame({"day": [20260131.0, 20260131.5, 1e300, np.nan]})
    assert prepare(later, columns)["day"].tolist()[:1] == [pd.Timestamp("2026-01-31")]
    assert prepare(later, columns)["day"].isna().tolist() == [False, True, True, True]


@pytest.mark.parametrize(("length", "kind"), [("D", "date"), ("M", "date"), ("h", "date"), ("Y", "number")])
def test_periods_are_read_as_their_words(length, kind) -> None:
    days = pd.Series(pd.date_range("2020-01-01", periods=120, freq="30D"))
    periods = days.dt.to_period(length).where(days.index != 7)
    frame = pd.DataFrame({"when": periods})
    words = pd.DataFrame({"when": periods.astype(str).astype(object).where(periods.notna(), None)})
    columns = infer_columns(frame)
    assert columns == infer_columns(words)
    assert columns[0].kind == kind
    found = prepare(frame, columns)
    assert found["when"].isna().tolist() == periods.isna().tolist()
    pd.testing.assert_frame_equal(found, prepare(words, columns))
    rows = rows_of(frame.drop(index=7), Request(split="time:when"))
    assert (np.diff(rows.moments) >= 0).all()
    assert rows.moments[0] < rows.moments[-1]
