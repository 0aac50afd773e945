"""What tables kept by hand have: each is found, and nothing like it in tidy ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular.audit.check import findings
from rung.tabular.task import check_classes, check_target, guess_task

N = 120


def _table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(18, 80, N), "kg": rng.integers(45, 110, N)})
    frame["town"] = rng.choice(["Graz", "Linz", "Wien"], N)
    return frame.assign(y=np.where(frame.age + rng.normal(0, 9, N) > 48, "yes", "no"))


def _found(frame, check):
    return [(one.subject, one.sentence) for one in findings(frame, "y") if one.check == check]


def test_a_tidy_table_has_nothing_of_it():
    frame = _table().assign(size=np.random.default_rng(1).choice(["1A", "2B", "3C", "4D", "5E", "12"], N))
    assert {"units", "stray-rows", "spelling", "mixed-types"} & {
        one.check for one in findings(frame, "y")
    } <= {"mixed-types"}
    codes = _table().assign(code=[f"{i}-{i % 7}-{i % 5}" for i in range(N)])
    assert not _found(codes, "mixed-types")


def test_numbers_with_units_are_found():
    frame = _table()
    frame["kg"] = frame.kg.astype(str) + np.where(frame.index % 9, " kg", "")
    assert _found(frame, "units") == [
        ("kg", f"numbers with a unit: kg in 106 rows, such as {_top(frame.kg)}")
    ]
    frame["kg"] = _table().kg.map("{}.5kg".format)
    assert _found(frame, "units") == [("kg", "words that mean numbers (kg)")]
    frame["kg"] = frame.kg.where(frame.index % 3 > 0, _table().kg.map("{} lb".format))
    assert "numbers with several units: kg in 80 rows and lb in 40 rows" in _found(frame, "units")[0][1]


def _top(values):
    words = [word for word in values.value_counts().index if " " in word]
    return f"'{words[0]}', '{words[1]}', …"


def test_dates_in_several_formats_are_found():
    days = pd.date_range("2020-01-01", periods=N, freq="9D")
    forms = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"]
    frame = _table().assign(day=[day.strftime(forms[i % 3]) for i, day in enumerate(days)])
    told = ("day", "words that mean dates (2026-01-31, %m/%d/%Y and %d.%m.%Y)")
    assert _found(frame, "mixed-types") == [told]
    unclear = ["%Y-%m-%d", "%m/05/%Y", "%d.%m.%Y"]
    frame = frame.assign(day=[day.strftime(unclear[i % 3]) for i, day in enumerate(days)])
    [(subject, sentence)] = _found(frame, "mixed-types")
    assert subject == "day"
    assert sentence.startswith("dates in 3 formats, such as ")
    assert not _found(_table().assign(day=days.strftime("%d.%m.%Y")), "mixed-types")


def test_names_that_stand_among_the_rows_are_found():
    frame = _table().astype(object)
    frame = pd.concat([frame[:40], pd.DataFrame([dict.fromkeys(frame, None)]), frame[40:]], ignore_index=True)
    frame.loc[40] = list(frame.columns)
    sentence = "1 row (0.8 %) holds the columns' names once more, first row 41"
    assert ("(table)", sentence) in _found(frame.astype(str), "stray-rows")


def test_a_last_row_of_totals_is_found():
    frame = _table()
    named = pd.concat(
        [frame, pd.DataFrame([[50, 70, "Summe", "no"]], columns=frame.columns)], ignore_index=True
    )
    assert "it holds 'Summe' in column town" in _found(named, "stray-rows")[0][1]
    last = pd.DataFrame([[frame.age.sum(), 70, "Wien", "no"]], columns=frame.columns)
    summed = pd.concat([frame, last], ignore_index=True)
    assert "it holds the sum of all others in age" in _found(summed, "stray-rows")[0][1]


def test_classes_in_two_spellings_are_found():
    frame = _table()
    frame["y"] = frame.y.where(frame.index % 5 > 0, frame.y.str.upper())
    assert _found(frame, "spelling") == [
        ("y", "classes that differ only in case, blanks or underscores: 'NO', 'no'; 'YES', 'yes'")
    ]


@pytest.mark.parametrize("door", [check_target, lambda frame, target: findings(frame, target)])
def test_a_line_of_title_above_the_names_is_told(door):
    frame = pd.DataFrame({"Customers": ["age", "31"], "Unnamed: 1": ["bought", "yes"]})
    with pytest.raises(
        DataError, match=r"no column 'bought' to predict, but row 1 below its first line holds"
    ):
        door(frame, "bought")


def test_words_among_a_targets_numbers_are_named():
    y = pd.Series([str(i / 7) for i in range(30)] + ["k.A.", "-"], name="price")
    with pytest.raises(DataError, match=r"'price' holds numbers, but for '-' and 'k.A.'; empty"):
        check_classes(y, guess_task(y))
