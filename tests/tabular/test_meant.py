"""Targets of words that mean numbers: accounts' brackets are read, all else is refused in a sentence."""

from __future__ import annotations

import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular.columns import infer_columns, prepare, reading_notes
from rung.tabular.meant import meant
from rung.tabular.read import read_table
from rung.tabular.task import check_classes, guess_task
from rung.tabular.written import to_numbers


def _column(make, n=60):
    return pd.Series([make(i) for i in range(n)], name="y")


@pytest.mark.parametrize(
    ("make", "said", "cure"),
    [
        (lambda i: f"<{i % 2}" if i % 4 else f"{i}.5", "bounds such as '<0' and '<1' in 45", "or half of it"),
        (lambda i: "> 50" if i > 50 else f"{i}", "bounds such as '> 50' in 9 rows", "empty these cells"),
        (lambda i: f"{i}.5 kg", r"beside them \(kg\), such as '0.5 kg'", "into the column's name"),
        (lambda i: f"{i} kg" if i % 2 else f"{i}000 g", "units: g in 30 rows and kg in 30", "in one unit"),
        (lambda i: f"{i},25", "decimal commas, such as '0,25'", "by semicolons"),
        (lambda i: f"{i + 1} {i + 100}.5", "blanks in them, such as '1 100.5'", "leave the blanks out"),
        (lambda i: f"{i} - {i + 1}", "ranges, such as '0 - 1'", "the middle"),
        (lambda i: f"{i} +/- {i % 5 + 1}", "their precision, such as '0 [+]/- 1'", "the number alone"),
        (lambda i: f"{i % 24}:{i:02d}", "holds times", "hours"),
    ],
)  # fmt: skip
def test_numbers_that_are_no_plain_ones_are_refused_in_one_sentence(make, said, cure):
    y = _column(make)
    with pytest.raises(DataError, match=said) as refused:
        check_classes(y, guess_task(y))
    assert cure in str(refused.value)
    assert str(refused.value).count(";") == 1, "what is wrong; what to do"
    with pytest.raises(DataError, match=said):
        guess_task(y, "regression")


def test_who_asks_for_classes_gets_them():
    y = _column(lambda i: f"{i % 30} oz")
    with pytest.raises(DataError, match="ask for --task multiclass if they are names"):
        guess_task(y)
    assert len(guess_task(y, "multiclass").classes) == 30


@pytest.mark.parametrize(
    "make",
    [
        lambda i: f"site {i}",
        lambda i: f"A{i}",
        lambda i: "ab"[i % 2],
        lambda i: i,
        lambda i: ("<=50", ">50")[i % 2],
        lambda i: f"<{i}",
    ],
)
def test_what_means_no_numbers(make):
    assert meant(_column(make)) is None


def test_the_brackets_of_accounts(tmp_path):
    place = tmp_path / "t.csv"
    place.write_text('x,y,z\n(5),"(1,234.50)",($3.50)\n7,12,$(4)\n(0.5),(7),$1.25\n')
    frame = read_table(place)
    assert frame["x"].tolist() == [-5, 7, -0.5]
    assert frame["y"].tolist() == [-1234.5, 12, -7]
    assert frame["z"].tolist() == [-3.5, -4, 1.25]
    assert reading_notes(frame)[0].endswith("(5) as -5 (--kinds NAME=category keeps levels): x and y")


def test_brackets_among_other_cells_and_codes(tmp_path):
    words = pd.Series(["(5)", "(-5)", "5)", "(a 5)", "(2 %)", "f(5)", "()"])
    assert to_numbers(words).fillna(0).tolist() == [-5, 0, 0, 0, -2, 0, 0]
    (tmp_path / "t.csv").write_text("x\n(007)\n12\n")
    assert read_table(tmp_path / "t.csv")["x"].tolist() == ["(007)", "12"], "a zero in front is a code's"


def test_a_model_reads_later_brackets_as_it_read_its_own():
    frame = pd.DataFrame({"x": [f"({i} kg)" if i % 2 else f"{i} kg" for i in range(60)]})
    columns = infer_columns(frame)
    assert columns[0].format == "point kg"
    assert prepare(pd.DataFrame({"x": ["(4 kg)", "5 kg"]}), columns)["x"].tolist() == [-4, 5]


def test_check_names_bounds_in_a_column():
    from rung.tabular.audit.check import findings

    frame = pd.DataFrame({"x": ["< 5" if i % 3 else str(5 + i) for i in range(90)], "y": range(90)})
    found = [one for one in findings(frame, "y") if one.subject == "x" and one.check == "mixed-types"]
    assert found[0].sentence == "numbers, but for bounds in 60 rows, such as '< 5'"
    assert "the bound, or half of it" in found[0].remedy
