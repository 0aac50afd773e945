"""Cells that a model can make nothing of are told, not silently taken as missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from rung.cli.app import app
from rung.deploy.rows import frame_of
from rung.tabular.columns import infer_columns
from rung.tabular.encode import encode
from rung.tabular.fit import fit_table
from rung.tabular.model_file import save_model
from rung.tabular.predict import lost_cells, strange_levels


def _table(n=60):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"age": rng.integers(18, 80, n), "day": pd.date_range("2026", periods=n).strftime("%Y-%m-%d")}
    )
    return frame.assign(town=rng.choice(["Graz", "Linz"], n), y=np.where(frame.age > 48, "old", "young"))


def test_words_among_numbers_and_odd_dates_are_told():
    columns = infer_columns(_table(), "y")
    assert lost_cells(columns, _table()) == []
    later = _table(4).assign(age=["31", "old", None, "1,234"], day=["2026-01-01", "1.2.2026", "soon", None])
    assert lost_cells(columns, later) == [
        "column 'age' holds no number in 1 of 4 rows, such as 'old': these cells are taken as missing",
        "column 'day' holds no date in 2 of 4 rows, such as '1.2.2026': these cells are taken as missing",
    ]


def test_dates_that_stand_for_none_are_missing_and_said_so():
    columns = infer_columns(_table(), "y")
    later = _table(4).assign(day=["9999-12-31", "soon", "2026-01-01", "0001-01-01"])
    assert lost_cells(columns, later) == [
        "column 'day' holds no date in 1 of 4 rows, such as 'soon': these cells are taken as missing",
        "column 'day' holds dates out of range in 2 of 4 rows, such as '9999-12-31': these cells are taken "
        "as missing",
    ]
    typed = _table(2).assign(day=np.array(["9999-12-31", "2026-01-01"], dtype="datetime64[s]"))
    assert ["out of range in 1 of 2" in note for note in lost_cells(columns, typed)] == [True]
    encoder, _ = encode(_table(), columns)
    served = encoder.transform(frame_of([{"age": 31, "day": "9999-12-31", "town": "Graz"}], encoder))
    assert np.isnan(served.numbers[0, 1:]).all()


def test_an_empty_word_of_a_request_is_the_level_where_the_model_knows_it_as_one():
    rows = [{"age": 31, "day": "2026-01-01", "town": town} for town in ("", None, "Graz")]
    for town in (["Graz", ""], ["Graz", None]):
        table = _table().assign(town=town * 30)
        encoder, _ = encode(table, infer_columns(table, "y"))
        served = encoder.transform(frame_of(rows, encoder))
        told = encoder.transform(pd.DataFrame(rows))
        assert served.codes.tolist() == told.codes.tolist()
        assert (served.codes[0, 0] == served.codes[1, 0]) == (None in town)


def test_a_category_of_levels_never_seen_is_told():
    encoder = fit_table(_table(), "y", budget=0.3, include=["linear"]).model.encoder
    assert strange_levels(encoder, _table()) == []
    few = _table(8).assign(town=["Wien", "Wien", *["Graz"] * 6])
    assert strange_levels(encoder, few) == []
    most = _table(8).assign(town=["Graz", None, *["Wien"] * 6])
    assert strange_levels(encoder, most) == [
        "column 'town' holds levels that the model has not seen in 6 of 8 rows, such as 'Wien': "
        "they tell it nothing"
    ]


@pytest.mark.parametrize(
    ("command", "rows"),
    [(["predict"], 60), (["evaluate"], 60), (["explain", "--row", "2"], 1), (["monitor"], 60)],
)
def test_the_commands_say_so(command, rows, tmp_path):
    model = save_model(fit_table(_table(), "y", budget=0.3, include=["linear"]).model, tmp_path / "m.rung")
    table = tmp_path / "later.csv"
    _table().assign(age="n/k").to_csv(table, index=False)
    answer = CliRunner().invoke(app, [command[0], str(model), str(table), *command[1:]])
    assert answer.exit_code == 0, answer.output
    told = f"column 'age' holds no number in {rows} of {rows} rows, such as 'n/k'"
    assert told in " ".join(answer.stderr.split())
