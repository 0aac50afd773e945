"""Any table that a person may bring gives a model, or one sentence that says what is wrong."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from rung.errors import UserError
from rung.tabular.fit import fit_table
from rung.tabular.model_file import load_model, save_model
from rung.tabular.predict import predict_table
from rung.tabular.report import write_report
from rung.tabular.task import check_classes, check_target, guess_task
from support.strange import COUNT, ODDITIES, strange_table

REFUSED = ("one row of a class", "constant target", "two rows", "three rows", "nothing to learn from")
IN_CI = range(0, COUNT, 3)


def _fit_or_sentence(number: int, budget: float, folder) -> str | None:
    """The sentence, or None where there is a model, which is then saved, loaded and used."""
    _, frame, target = strange_table(number)
    try:
        rows, _ = check_target(frame, target)
        check_classes(rows[target], guess_task(rows[target]))
        result = fit_table(rows, target, budget=budget, workers=1)
    except UserError as error:
        return str(error)
    page = write_report(folder / "r.html", result, rows, None, time.monotonic() + 0.6).read_text()
    assert "</html>" in page
    model = load_model(save_model(result.model, folder / "m.rung"))
    new = frame.drop(columns=target)
    found = predict_table(model, new)
    assert len(found) == len(frame)
    assert not found["prediction"].isna().any()
    if not model.task.is_classification:
        assert np.isfinite(found["prediction"].astype(float)).all()
    single = predict_table(model, new.iloc[[0]])
    if model.task.is_classification:
        assert single.iloc[0, 1:].tolist() == pytest.approx(found.iloc[0, 1:].tolist(), abs=1e-5)
    return None


def _check(number: int, budget: float, folder) -> None:
    name = strange_table(number).name
    sentence = _fit_or_sentence(number, budget, folder)
    if sentence is not None:
        assert name.rpartition(",")[0] in REFUSED, f"{name}: {sentence}"
        assert "\n" not in sentence
        assert len(sentence) < 400


@pytest.mark.parametrize("number", IN_CI, ids=lambda n: strange_table(n).name)
def test_a_strange_table_gives_a_model_or_a_sentence(number, tmp_path):
    _check(number, 0.5, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("number", range(COUNT), ids=lambda n: f"{n}: {strange_table(n).name}")
def test_every_strange_table(number, tmp_path):
    _check(number, 5.0, tmp_path)


def test_the_tables_are_always_the_same():
    for number in (0, 41, 99):
        pd.testing.assert_frame_equal(strange_table(number).frame, strange_table(number).frame)
    assert len({strange_table(n).name for n in range(COUNT)}) == COUNT
    assert len(ODDITIES) == 34
