"""SHAP values of members made of trees: their sums, and the definition on a small tree."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular.columns import Column, Kind
from rung.tabular.encode import encode
from rung.tabular.explain import tree_shap
from rung.tabular.explain.tree_shap import available, values_of
from rung.tabular.explain.trees import _owners, explain_row_by_trees, tree_contributions
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


def test_a_cell_that_one_row_has_alone_is_its_columns() -> None:
    """A shuffle leaves it where it was once in as many times as there are rows."""
    names = [f"c{i}" for i in range(60)]
    cells = pd.DataFrame(np.eye(12)[:, :1].repeat(60, axis=1), columns=names)
    encoder, _ = encode(cells, tuple(Column(name, Kind.NUMBER, 2, 0.0) for name in names))
    preparation = SimpleNamespace(transform=lambda table: table.numbers)
    assert _owners(encoder, preparation, cells, 60, seed=0).tolist() == list(range(60))
