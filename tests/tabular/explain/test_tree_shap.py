"""SHAP values of members made of trees: their sums, and the definition on a small tree."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular.columns import Column, Kind
from rung.tabular.deadline import Deadline
from rung.tabular.encode import encode
from rung.tabular.explain import tree_shap
from rung.tabular.explain.tree_shap import available, values_of
from rung.tabular.explain.trees import explain_row_by_trees, tree_contributions
from rung.tabular.learners.table import defaults, learners
from rung.tabular.model import Member, Model
from rung.tabular.pipeline import Order, fit_pipeline
from rung.tabular.task import guess_task
from support.tables import KINDS, fitted

# matplotlib, which shap imports, says of itself what it will be rid of one day
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@pytest.mark.parametrize("name", ["forest", "extra_trees", "hist_boosting"])
@pytest.mark.parametrize("kind", KINDS)
def test_shap_explains_scikit_learns_trees(kind: str, name: str) -> None:
    pytest.importorskip("shap")
    model, frame = fitted(kind, name, ways={"categories": "onehot"})
    found = tree_contributions(model, frame, most=30)
    assert found is not None
    assert found.columns[0] == "a"
    assert found.base + found.amounts.sum(axis=1) == pytest.approx(found.margin, abs=1e-6)
    raw = model.raw(frame.iloc[np.random.default_rng([0, 67]).permutation(120)[:30]])
    if kind == "regression":
        assert found.margin == pytest.approx(raw, abs=1e-6)
    elif kind == "binary" and name != "hist_boosting":
        pipeline = model.members[0].pipelines[0]
        votes = (raw[:, 1] - (1 - pipeline.trust) * pipeline.shares[1]) / pipeline.trust
        assert found.what == f"votes for yes of {name}"
        assert found.margin == pytest.approx(votes, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_catboost_explains_itself(kind: str) -> None:
    pytest.importorskip("catboost")
    model, frame = fitted(kind, "catboost")
    found = tree_contributions(model, frame, most=30)
    assert found is not None
    assert found.columns[0] == "a"
    assert found.base + found.amounts.sum(axis=1) == pytest.approx(found.margin, abs=1e-6)
    if kind == "regression":
        raw = model.raw(frame.iloc[np.random.default_rng([0, 67]).permutation(120)[:30]])
        assert found.margin == pytest.approx(raw, abs=1e-4)


def test_what_does_not_sum_is_not_told() -> None:
    pytest.importorskip("shap")
    from sklearn.ensemble import RandomForestRegressor

    X = np.random.default_rng(0).normal(size=(50, 3))
    forest = RandomForestRegressor(5, random_state=0).fit(X, X[:, 0])
    compute = values_of(forest)
    assert compute is not None
    assert compute(forest, X) is not None
    forest.predict = lambda rows: rows[:, 0] + 1
    assert compute(forest, X) is None


def test_a_row_is_explained_by_a_member() -> None:
    model, frame = fitted("binary", "linear", "lightgbm")
    found = explain_row_by_trees(model, frame, 7)
    assert found.what == "log-odds of yes of lightgbm"
    assert found.base + sum(part.amount for part in found.contributions) == pytest.approx(found.prediction)
    alone = model.members[1].predict(model.encoder.transform(frame.iloc[[7]]))[0, 1]
    pipeline = model.members[1].pipelines[0]
    share = (alone - (1 - pipeline.trust) * pipeline.shares[1]) / pipeline.trust
    assert found.prediction == pytest.approx(np.log(share / (1 - share)), abs=1e-3)
    with pytest.raises(DataError, match="there is no row 500"):
        explain_row_by_trees(model, frame, 499)


def test_without_trees_or_without_shap_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    model, frame = fitted("binary", "linear")
    with pytest.raises(DataError, match="no member of the model is made of trees"):
        explain_row_by_trees(model, frame, 0)
    monkeypatch.delitem(sys.modules, "shap", raising=False)
    monkeypatch.setattr(tree_shap, "find_spec", lambda name: None)
    forest, frame = fitted("binary", "forest")
    assert tree_contributions(forest, frame) is None
    with pytest.raises(DataError, match=r"need the package shap: pip install 'rung\[shap\]'"):
        explain_row_by_trees(forest, frame, 0)


def test_it_is_not_imported_where_time_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "shap", raising=False)
    monkeypatch.setattr(tree_shap, "find_spec", lambda name: True)
    assert available()
    assert not available(1.0)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost", "forest", "hist_boosting"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_rows_values_are_the_same_beside_any_other_rows(kind: str, name: str) -> None:
    pytest.importorskip({"forest": "shap", "hist_boosting": "shap"}.get(name, name))
    model, frame = fitted(kind, name, ways={} if name == "catboost" else {"categories": "onehot"})
    among = explain_row_by_trees(model, frame, 7)
    twice = explain_row_by_trees(model, frame.iloc[[7, 7]], 1)
    alone = explain_row_by_trees(model, frame.iloc[[7]], 0)
    assert any(part.amount for part in alone.contributions)
    for other in (twice, alone):
        assert other.base == pytest.approx(among.base, abs=1e-6)
        assert [part.column for part in other.contributions] == [part.column for part in among.contributions]
        amounts = [part.amount for part in other.contributions]
        assert amounts == pytest.approx([part.amount for part in among.contributions], abs=1e-6)


def test_rare_cells_of_a_wide_table_have_their_part() -> None:
    """Sixty columns of which each is 1 in few rows: the rows at hand do not show all of them as they vary."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame((rng.random((600, 60)) < 0.05).astype(float), columns=[f"k{i}" for i in range(60)])
    y = 3.0 * frame["k0"].to_numpy() + 0.1 * rng.normal(size=600)
    model = of_numbers(frame, y)
    row = int(np.flatnonzero(frame["k0"] == 1)[0])
    for rows in (frame, frame[frame["k0"] == 1]):
        found = explain_row_by_trees(model, rows, list(rows.index).index(row))
        amounts = {part.column: part.amount for part in found.contributions}
        assert amounts["k0"] == pytest.approx(2.7, abs=0.4)
        assert found.base == pytest.approx(y.mean(), abs=0.2)


def of_numbers(frame: pd.DataFrame, y: np.ndarray) -> Model:
    """LightGBM's defaults, fitted on a table of numbers."""
    columns = tuple(Column(str(name), Kind.NUMBER, 2, 0.0) for name in frame.columns)
    encoder, encoded = encode(frame, columns)
    config = defaults(learners()["lightgbm"], categories=False, missing=False)[0]
    order = Order(learners()["lightgbm"], config, encoder.sizes, 0, Deadline.after(60))
    pipeline = fit_pipeline(order, encoded, y, 0).pipeline
    return Model(guess_task(pd.Series(y)), encoder, [Member(1.0, "lightgbm", [pipeline], config)], "y")
