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
from rung.tabular.model import Evidence, Member, Model
from rung.tabular.report import Findings, Subject, explain, render_report
from rung.tabular.stacking import Stacked
from rung.tabular.unseen import Folds, predict_as_unseen
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


def _of_models(counts: dict[str, int], notes: dict[str, int]) -> tuple[Model, pd.DataFrame]:
    """A model of so many pipelines of each name, which say 1, 2, 4 and so on;."""
    model, frame = fitted("regression")
    members = [
        Member(1 / len(counts), name, [_Says(2.0**i) for i in range(count)], {"learner": name[0]})
        for name, count in counts.items()
    ]
    return Model(model.task, model.encoder, members, "y", notes), frame.drop(columns="y").iloc[:10]


@pytest.mark.parametrize(
    ("counts", "repeats", "sums"),
    [
        ({"a": 3}, 1, [1, 2, 4]),
        ({"a whole": 1, "a": 3}, 1, [1, 2, 4]),
        ({"a": 2}, 1, [1, 1, 2]),
        ({"a": 1, "b": 3}, 1, [1, 1.5, 2.5]),
        ({"a": 6}, 2, [4.5, 9, 18]),
        ({"a": 2}, 2, [1.5, 1.5, 1.5]),
        ({"a": 6}, 0, [4.5, 9, 18]),
    ],
    ids=str,
)
def test_new_rows_are_predicted_by_as_few_models(
    counts: dict[str, int], repeats: int, sums: list[float]
) -> None:
    model, frame = _of_models(counts, {"folds": 3, "repeats": repeats})
    found = predict_as_unseen(model, frame)
    assert len(found) == 10
    assert set(found) == set(sums)
    assert predict_as_unseen(model, frame) == pytest.approx(found)
    assert predict_as_unseen(model, frame.iloc[:1]).shape == (1,)


def test_after_a_holdout_new_rows_are_predicted_by_the_first_model_which_had_not_seen_it() -> None:
    model, frame = _of_models({"a": 2}, {"folds": 1})
    assert set(predict_as_unseen(model, frame)) == {1.0}


def test_where_each_row_has_its_fold_there_was_one_cross_validation() -> None:
    model, frame = _of_models({"a": 6}, {"folds": 3})
    rows = np.arange(4)
    model.evidence = Evidence(rows, np.zeros(4), np.zeros(4), fold=rows % 3)
    assert set(predict_as_unseen(model, frame)) <= {1.0, 2.0, 4.0, 8.0, 16.0, 32.0}


def test_a_fit_says_how_often_its_members_were_cross_validated() -> None:
    frame = pd.DataFrame({"a": np.arange(60.0) % 7, "y": np.arange(60.0) % 7 + np.arange(60.0) % 3})
    result = fit_table(frame, "y", trials=1, include=["linear"])
    said = [note for note in result.notes if note.startswith("members were cross-validated ")]
    assert result.model.notes["repeats"] == (int(said[0].split()[3]) if said else 1)
    assert len(predict_as_unseen(result.model, frame)) == 60
