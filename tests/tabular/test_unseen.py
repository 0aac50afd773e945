"""The validation rows, predicted by what had not seen them."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rung.tabular import unseen
from rung.tabular.fit import fit_table
from rung.tabular.model import Member, Model
from rung.tabular.report import Findings, Subject, explain, render_report
from rung.tabular.stacking import Stacked
from rung.tabular.unseen import Folds
from support.tables import fitted


@pytest.mark.parametrize("names", [["a", "noise", "more"], ["self", "fold", "index"]], ids=str)
def test_importance_is_of_new_rows(tmp_path: Path, names: list[str]) -> None:
    """Two columns say nothing, but the model has memorised the target by them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 3)), columns=names)
    frame["y"] = frame[names[0]] + rng.normal(size=120)
    result = fit_table(frame, "y", trials=1, include=["extra_trees"], storage=f"{tmp_path}/study.db")
    folds = result.unseen
    assert folds is not None
    before = folds.load(result.model)
    assert before.raw(folds.beside(frame.iloc[result.valid])) == pytest.approx(result.prediction, abs=1e-5)
    found = explain(result, frame)
    assert found.columns[0].name == names[0]
    assert max(column.mean for column in found.columns[1:]) < 0.02
    page = render_report(result, Subject("t"), Findings(found))
    assert "predicted by the models of the search that had not seen it" in page
    shutil.rmtree(folds.folder)
    found = explain(result, frame)
    assert max(column.mean for column in found.columns[1:]) > 0.08
    page = render_report(result, Subject("t"), Findings(found))
    assert "the final model has learned from these rows too" in page


class _Says:
    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, table: object) -> np.ndarray:
        return np.full(len(table), self.value)


def test_each_row_goes_to_its_fold_in_members_and_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, frame = fitted("regression")
    pipelines = {7: [_Says(10.0), _Says(20.0)], 8: [_Says(1.0)]}
    monkeypatch.setattr(unseen, "load_pipelines", lambda folder, trial: (pipelines[trial], {}))
    a, b = (Member(1.0, name, [_Says(np.nan)], {"learner": name}) for name in "ab")
    head = SimpleNamespace(predict=lambda x: x.sum(axis=1))
    members = [
        Member(0.5, "a", [_Says(np.nan)] * 4, {"learner": "a"}),
        Member(0.25, "constant", [_Says(100.0)]),
        Member(0.25, "stack", [Stacked([a, b], head, 0)], {"learner": "stack"}),
    ]
    whole = Model(model.task, model.encoder, members, "y")
    folds = Folds(Path(), np.array([1, 0, 0, 1]), [({"learner": "a"}, 7), ({"learner": "b"}, 8)])
    rows = frame.iloc[[5, 4, 3, 9]]
    each = {0: 0.5 * 10 + 25 + 0.25 * (10 + 1), 1: 0.5 * 20 + 25 + 0.25 * (20 + 1)}
    found = folds.load(whole).raw(folds.beside(rows).iloc[[0, 1, 3]])
    assert found.tolist() == [each[1], each[0], each[1]]
