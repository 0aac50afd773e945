"""Words that mean numbers or dates: the model sees the numbers, however they are written."""

from __future__ import annotations

import importlib.util
import runpy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.deploy.rows import RowError
from rung.deploy.server import predictions
from rung.deploy.to_onnx import export_onnx
from rung.deploy.to_python import export_python
from rung.tabular.audit.check import findings
from rung.tabular.columns import Kind, as_they_stand, column_notes, infer_columns, prepare
from rung.tabular.dates import date_format, moments_of
from rung.tabular.fit import fit_table
from rung.tabular.forms import form_numbers, number_form
from rung.tabular.model_file import load_model, save_model
from rung.tabular.predict import lost_cells
from rung.tabular.read import read_table

UNITS = ("kg", "km/h", "m²", "°C", "years", "€", "$", "%", "Stück", "l/100km")
SWAP = str.maketrans(",.", ".,")


def written(value: float, unit: str, gap: str, comma: bool, thousands: bool) -> str:
    text = f"{value:,.2f}" if thousands else f"{value:.2f}"
    return (text.translate(SWAP) if comma else text) + gap + unit


@settings(max_examples=15, deadline=None)
@given(
    cents=st.lists(st.integers(-999_999, 9_999_999), min_size=25, max_size=30, unique=True),
    unit=st.sampled_from(UNITS),
    gap=st.sampled_from(("", " ", "\u00a0")),
    comma=st.booleans(),
    thousands=st.booleans(),
)
def test_numbers_with_any_unit_and_separator_are_the_numbers(cents, unit, gap, comma, thousands):
    numbers = np.array(cents) / 100
    words = [written(x, unit, gap, comma, thousands) for x in numbers]
    frame = pd.DataFrame({"x": words})
    columns = infer_columns(frame)
    assert columns[0].kind == Kind.NUMBER
    plain = pd.DataFrame({"x": numbers})
    expected = prepare(plain, infer_columns(plain, asked={"x": "number"}))
    pd.testing.assert_frame_equal(prepare(frame, columns), expected)


def series(make, n=60):
    return pd.Series([make(i) for i in range(n)], dtype=object)


@pytest.mark.parametrize(
    ("make", "form", "first"),
    [
        (lambda i: f"{i}.5k" if i % 3 else f"{i + 7}", "point*", [7.0, 1500.0]),
        (lambda i: f"€{i}.2M" if i % 2 else f"€{i}.2k", "point* €", [200.0, 1.2e6]),
        (lambda i: f"{i % 24:02d}:{i % 60:02d}", "clock", [0.0, 1 + 1 / 60]),
        (lambda i: f"{i % 12 + 1}:30 {'PM' if i % 2 else 'am'}", "clock", [1.5, 14.5]),
        (lambda i: f"{i}:{i % 60:02d}:30", "clock", [30 / 3600, 1 + 1.5 / 60]),
        (lambda i: f"{i} year{'s' if i != 1 else ''}", "point year", [0.0, 1.0]),
        (lambda i: f"{i},25", "comma", [0.25, 1.25]),
        (lambda i: f"{i}.25", "point", [0.25, 1.25]),
    ],
)
def test_forms(make, form, first):
    words = series(make)
    assert number_form(words) == form
    assert form_numbers(words, form)[:2].tolist() == pytest.approx(first)


@pytest.mark.parametrize(
    "make",
    [
        lambda i: f"{i} {'kg' if i % 2 else 'lb'}",
        lambda i: f"{i} {'m' if i % 2 else 'ms'}",
        lambda i: f"{'$' if i % 2 else '€'}{i}",
        lambda i: f"{i}.5 kg" if i % 2 else f"{i},5 kg",
        lambda i: f"{i}{'abcdef'[i % 6]}",
        lambda i: f"{i + 20}:10" if i % 2 else f"{i}:10:10",  # minutes and seconds beside hours?
        lambda i: f"{i % 28 + 1} Jan 2020",
        lambda i: f"10.0.{i}.1",
        lambda i: f"{i}-{i + 1}",
        lambda i: f"A{i}",
    ],
)
def test_what_is_not_numbers_of_one_unit_stays_words(make):
    assert number_form(series(make)) is None


def test_signs_and_blanks():
    words = series(lambda i: "" if i % 9 == 8 else f"\u2212{i} kg")
    assert number_form(words) == "point kg"
    assert form_numbers(words, "point kg")[1] == -1.0
    plain = series(lambda i: f"\u2212{i}")
    assert number_form(plain) == "point"
    assert form_numbers(plain, None)[1] == -1.0


def test_few_cells_do_not_prove_a_unit():
    assert number_form(series(lambda i: f"{i} kg", 19)) is None
    assert number_form(series(lambda i: f"{i} kg", 20)) == "point kg"


def test_what_does_not_parse_is_missing_and_told():
    frame = pd.DataFrame({"w": series(lambda i: "heavy" if i == 3 else f"{i} kg")})
    columns = infer_columns(frame)
    assert columns[0].form == "point kg"
    assert lost_cells(columns, frame) == [
        "column 'w' holds no number that the model can read (kg) in 1 of 60 rows, such as 'heavy': these "
        "cells are taken as missing"
    ]
    later = pd.DataFrame({"w": ["12 kg", "12", "12 lb", "-", None]})
    assert prepare(later, columns)["w"].tolist()[:2] == [12.0, 12.0]
    assert prepare(later, columns)["w"].isna().tolist() == [False, False, True, True, True]
    assert "in 1 of 5 rows, such as '12 lb'" in lost_cells(columns, later)[0]


def test_another_word_of_the_user_counts():
    frame = pd.DataFrame(
        {"w": series(lambda i: f"{i % 7} kg"), "t": series(lambda i: f"{i} kg" if i % 2 else "x")}
    )
    kinds = {
        c.name: (str(c.kind), c.format) for c in infer_columns(frame, asked={"w": "category", "t": "number"})
    }
    assert kinds == {"w": ("category", None), "t": ("number", "point kg")}


def test_it_is_said():
    frame = pd.DataFrame({"w": series(lambda i: f"{i} kg"), "t": series(lambda i: f"{i % 24}:30")})
    assert column_notes(infer_columns(frame)) == (
        "read as numbers (--kinds NAME=category keeps words): w (kg) and t (times, in hours)",
    )


def test_a_later_file_is_read_in_the_same_form(tmp_path):
    place = tmp_path / "t.csv"
    pd.DataFrame({"x": series(lambda i: f"{i},25 €"), "n": range(60)}).to_csv(place, index=False)
    columns = infer_columns(read_table(place))
    assert as_they_stand(columns) == ("x",)
    later = tmp_path / "later.csv"
    later.write_text('x,n\n"1,234",1\n"2,5 €",2\n')  # by itself 1,234 would be a thousand
    found = prepare(read_table(later, as_they_stand(columns)), columns)
    assert found["x"].tolist() == [1.234, 2.5]


def test_a_file_of_another_currency_tells_nothing(tmp_path):
    place, later = tmp_path / "t.csv", tmp_path / "later.csv"
    pd.DataFrame({"x": series(lambda i: f"${i}.25")}).to_csv(place, index=False)
    columns = infer_columns(read_table(place))
    assert columns[0].format == "sign $"
    later.write_text("x\n$3\n4.5\n")
    assert prepare(read_table(later), columns)["x"].tolist() == [3.0, 4.5]
    later.write_text("x\n€3\n4.5\n")
    frame = read_table(later)
    assert prepare(frame, columns)["x"].isna().all()
    assert "in 2 of 2 rows, such as '3.0 €'" in lost_cells(columns, frame)[0]
    later.write_text("x;y\n$1.234,5;1\n")
    assert prepare(read_table(later), columns)["x"].tolist() == [1234.5]


@pytest.mark.parametrize(
    ("word", "moment"),
    [
        ("01/Jun/2025:00:00:11 +0200", "2025-05-31 22:00:11"),  # a web server's
        ("Sun, 01 Jun 2025 10:00:00 GMT", "2025-06-01 10:00"),
        ("Sun Jun  1 10:00:00 2025", "2025-06-01 10:00"),
        ("Jun-2025", "2025-06-01"),
        ("Jun-25", "2025-06-01"),
        ("June 2025", "2025-06-01"),
        ("06/2025", "2025-06-01"),
    ],
)
def test_dates_of_logs_and_months(word, moment):
    words = pd.Series([word] * 30, dtype=object)
    form = date_format(words)
    assert form is not None
    assert moments_of(words, form).iloc[0] == pd.Timestamp(moment, tz="UTC")


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y"])
def test_now_and_today_are_no_dates(form):
    """A table would mean something else on each day that it is read."""
    days = pd.date_range("2012-01-10", periods=60).strftime(form).astype(object)
    columns = infer_columns(pd.DataFrame({"d": days}))
    assert columns[0].kind == "date"
    later = pd.DataFrame({"d": ["now", "today", *days[:2]]})
    assert prepare(later, columns)["d"].isna().tolist() == [True, True, False, False]
    (said,) = lost_cells(columns, later)
    assert said == "column 'd' holds no date in 2 of 4 rows, such as 'now': these cells are taken as missing"
    (found,) = [one for one in findings(pd.DataFrame({"d": [*days, "now", "today"]})) if one.subject == "d"]
    assert found.sentence == "dates, but for 2 rows (3.2 %) with 'now', 'today'"


def test_firsts_of_months_have_the_day_first():
    months = pd.date_range("2012-01-01", periods=60, freq="MS")
    assert date_format(months.strftime("%d/%m/%Y").to_series()) == "%d/%m/%Y"
    assert date_format(months.strftime("%m/%d/%Y").to_series()) == "%m/%d/%Y"
    assert date_format(pd.Series(["03/04/2026", "05/06/2026", "07/07/2026"])) == "%m/%d/%Y"
    assert date_format(pd.date_range("2012", periods=60).strftime("%d/%m/%Y").to_series()) == "%d/%m/%Y"


def test_which_of_day_and_month_stands_first_is_said():
    days = pd.date_range("2012-01-10", periods=60)
    frame = pd.DataFrame(
        {"a": days.strftime("%m/%d/%Y"), "b": days.strftime("%d/%m/%Y"), "c": days.astype(str)}
    )
    notes = column_notes(infer_columns(frame))
    assert "read as dates with the month first (write days as 2026-01-31 if it is not): a" in notes
    assert "read as dates with the day first (write days as 2026-01-31 if it is not): b" in notes
    assert not any(" c" in note for note in notes)


def test_dates_in_several_formats():
    def day(i):
        return f"2024-01-{i % 28 + 1:02d}" if i % 3 else f"{i % 28 + 1:02d}.01.2024"

    words = series(day)
    assert date_format(words) == "ISO8601|%d.%m.%Y"
    expected = [pd.Timestamp(2024, 1, i % 28 + 1, tz="UTC") for i in range(60)]
    assert moments_of(words, "ISO8601|%d.%m.%Y").tolist() == expected
    assert column_notes(infer_columns(words.to_frame("d"))) == (
        "read as dates of several formats (--kinds NAME=category keeps words): d (2026-01-31 and %d.%m.%Y)",
    )


def test_days_that_may_be_months_stay_words():
    def day(i, other):
        return f"2024-01-{i % 28 + 1:02d}" if i % 3 else other(i)

    assert date_format(series(lambda i: day(i, lambda i: f"{i % 12 + 1:02d}/01/2024"))) is None
    clear = date_format(series(lambda i: day(i, lambda i: f"01/{i % 28 + 1:02d}/2024")))
    assert clear == "ISO8601|%m/%d/%Y"
    both = series(lambda i: day(i, lambda i: f"01/{20 + i % 8}/2024" if i % 2 else f"{20 + i % 8}/01/2024"))
    assert date_format(both) is None


def units_table(n=200):
    rng = np.random.default_rng(0)
    kilos, minutes = rng.uniform(50, 100, n), rng.integers(0, 1440, n)
    frame = pd.DataFrame(
        {
            "weight": [f"{x:.1f} kg" for x in kilos],
            "price": [f"{x * 40:,.2f} €".translate(SWAP) for x in kilos[::-1]],
            "sales": [f"{x / 60:.2f}k" if x > 60 else f"{x:.0f}" for x in kilos],
            "start": [f"{m // 60}:{m % 60:02d}" for m in minutes],
            "day": [f"2024-01-{m % 28 + 1:02d}" if m % 3 else f"{m % 28 + 1:02d}.01.2024" for m in minutes],
        }
    )
    return frame.assign(y=kilos + minutes / 60)


def test_a_model_keeps_the_forms_wherever_it_goes(tmp_path):
    frame = units_table()
    model = fit_table(frame, "y", trials=1, include=["linear"]).model
    place = save_model(model, tmp_path / "m.rung")
    assert [c.form for c in load_model(place).columns[:4]] == ["point kg", "comma €", "point*", "clock"]
    plain = prepare(frame, model.columns)
    np.testing.assert_allclose(load_model(place).predict(frame), model.predict(plain))

    rows = frame.head(3).drop(columns="y").to_dict("records")
    served = [one["prediction"] for one in predictions(model, rows)]
    np.testing.assert_allclose(served, model.predict(frame.head(3)))
    with pytest.raises(
        RowError, match=r"'weight' takes a number, a string as in the .* \(kg\), or null, not"
    ):
        predictions(model, [{**rows[0], "weight": "7 lb"}])

    if importlib.util.find_spec("onnxruntime"):
        assert export_onnx(model, tmp_path / "m.onnx", frame).difference < 1e-4

    export_python(model, tmp_path / "m.py")
    frame.to_csv(tmp_path / "t.csv", index=False)
    script = runpy.run_path(str(tmp_path / "m.py"))
    read = script["meant"](script["read"](tmp_path / "t.csv")[0])
    for name in ("weight", "price", "sales", "start"):
        np.testing.assert_allclose(read[name], plain[name])
