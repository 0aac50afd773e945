"""The graph of every learner and preparation predicts what the model predicts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from rung.deploy import onnx_catboost, onnx_estimators, to_onnx
from rung.deploy.onnx_graph import Graph
from rung.deploy.onnx_preparation import normal_quantile
from rung.deploy.onnx_trees import codes_in, tree_sums, zone_tree
from rung.deploy.to_onnx import export_onnx, feeds, without
from rung.errors import DataError, UserError
from rung.tabular.fit import fit_table
from rung.tabular.learners.table import BUILT_IN
from rung.tabular.model import Member
from rung.tabular.pipeline import Constant
from rung.tabular.stacking import Stacked, _columns
from support.tables import fitted

EXACT = 1e-9
_FLOATS = ("xgboost", "real_mlp")  # these compute in single precision themselves
_WEB = ("tabpfn", "tabicl")

CASES = [
    (kind, learner.name, encoding)
    for learner in BUILT_IN
    for kind in ("binary", "multiclass", "regression")
    for encoding in ("onehot", "ordinal", "target", "native", "hash")
    if kind in learner.tasks and encoding in learner.encodings and learner.name not in _WEB
]


def _run(path: Path, model: Any, frame: pd.DataFrame) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(path).run(None, feeds(model.columns, frame))


@pytest.mark.parametrize(("kind", "learner", "encoding"), CASES)
def test_every_learner_predicts_the_same_on_made_up_rows(
    fit: Any, tmp_path: Path, kind: str, learner: str, encoding: str
) -> None:
    model, _ = fit(kind, learner, categories=encoding)
    done = export_onnx(model, tmp_path / "model.onnx")
    assert done.rows == 500
    assert done.difference < (1e-5 if learner in _FLOATS else EXACT)


@pytest.mark.parametrize(
    ("kind", "learner", "extra"),
    [
        ("binary", "linear", {"scale": "quantile"}),
        ("binary", "linear", {"scale": "robust"}),
        ("binary", "real_mlp", {"scale": "quantile"}),
        ("multiclass", "lightgbm", {"expand": "pairs"}),
        ("regression", "linear", {"expand": "pairs"}),
        ("binary", "linear", {"expand": "squares"}),
        ("regression", "svm", {"reduce": "pca"}),
        ("regression", "linear", {"reduce": "select"}),
        ("regression", "linear", {"impute": "iterative"}),
        ("regression", "linear", {"impute": "mean"}),
        ("regression", "lightgbm", {"target": "log"}),
        ("regression", "neighbors", {"p": 1, "weights": "uniform"}),
        ("multiclass", "bayes", {"balance": "over"}),
        ("binary", "linear", {"balance": "under"}),
    ],
)
def test_every_preparation_predicts_the_same_on_the_table_itself(
    fit: Any, tmp_path: Path, kind: str, learner: str, extra: dict[str, Any]
) -> None:
    model, frame = fit(kind, learner, **extra)
    done = export_onnx(model, tmp_path / "model.onnx", frame)
    assert done.rows == len(frame)
    assert done.difference < (1e-5 if learner in _FLOATS else EXACT)


def test_labels_follow_temperature_and_factors(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("multiclass", "linear", "forest", "bayes")
    model.temperature, model.factors = 1.7, np.array([0.3, 1.0, 2.5])
    model.members[0].temperature = 0.6
    export_onnx(model, tmp_path / "model.onnx")
    labels, probabilities = _run(tmp_path / "model.onnx", model, frame)
    assert np.array_equal(labels, model.predict(frame))
    assert not np.array_equal(labels, model.task.decode(probabilities.argmax(axis=1)))
    assert np.abs(probabilities - model.predict_proba(frame)).max() < EXACT


def test_probabilities_follow_intercepts(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("multiclass", "linear", "forest")
    plain = model.predict_proba(frame)
    model.intercepts = np.array([0.4, -0.1, -0.3])
    export_onnx(model, tmp_path / "model.onnx")
    _, probabilities = _run(tmp_path / "model.onnx", model, frame)
    assert np.abs(probabilities - model.predict_proba(frame)).max() < EXACT
    assert np.abs(probabilities - plain).max() > 0.01


def test_labels_of_words_and_a_single_row(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("binary", "lightgbm", "hist_boosting")
    export_onnx(model, tmp_path / "model.onnx")
    labels, probabilities = _run(tmp_path / "model.onnx", model, frame.iloc[:1])
    assert labels.tolist() == model.predict(frame.iloc[:1]).tolist()
    assert probabilities.shape == (1, 2)


def test_missing_infinite_and_unseen_cells(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("regression", "lightgbm", "linear", "extra_trees")
    odd = frame.head(6).copy()
    odd["a"] = [np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0]
    odd["b"] = [None, "", "never seen", "red", "RED", "blue"]
    odd["day"] = [None, "29.02.2024", "31.12.1969", "01.01.1600", "28.02.2100", "no date"]
    assert export_onnx(model, tmp_path / "model.onnx", odd).difference < EXACT


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_a_number_of_one_value_that_is_there_or_not(fit: Any, tmp_path: Path, learner: str) -> None:
    there = np.arange(100) % 3 == 0
    frame = pd.DataFrame({"a": np.where(there, 7.0, np.nan), "y": np.where(there, "yes", "no")})
    model, _ = fit("binary", learner, frame=frame)
    assert export_onnx(model, tmp_path / "model.onnx", frame).difference < EXACT
    assert model.predict(frame).tolist() == frame["y"].tolist()


def test_a_shift_of_all_values(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("regression", "linear")
    moved = replace(model, shift=2.5)
    assert moved.predict(frame) == pytest.approx(model.predict(frame) + 2.5)
    assert export_onnx(moved, tmp_path / "model.onnx", frame).difference < EXACT


def test_dates_of_four_centuries(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("regression", "linear")
    days = pd.date_range("1700-01-01", "2250-12-31", freq="37D")
    long = pd.DataFrame({"a": 0.0, "b": "red", "noise": 0.0, "city": "city 1", "day": days})
    assert export_onnx(model, tmp_path / "model.onnx", long).difference < EXACT
    assert len(frame.columns) == 7


def test_lengths_of_time_are_fed_in_hours(tmp_path: Path) -> None:
    hours = np.arange(90.0) % 11
    frame = pd.DataFrame({"wait": pd.to_timedelta(hours, unit="h"), "y": 2 * hours})
    model = fit_table(frame, "y", trials=1, include=["linear"]).model
    assert export_onnx(model, tmp_path / "model.onnx", frame).difference < EXACT


def test_classes_that_a_member_never_saw_and_a_constant_member(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("multiclass", "linear")
    pipeline = model.members[0].pipelines[0]
    pipeline.seen = np.array([0, 2])
    pipeline.estimator.coef_, pipeline.estimator.intercept_ = (
        pipeline.estimator.coef_[:1],
        pipeline.estimator.intercept_[:1],
    )
    pipeline.estimator.classes_ = np.array([0.0, 1.0])
    model.members.append(Member(0.5, "constant", [Constant(np.array([0.2, 0.3, 0.5]))]))
    model.members[0].weight = 0.5
    assert export_onnx(model, tmp_path / "model.onnx", frame).difference < EXACT


def test_folds_of_a_member_count_equally(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("binary", "linear", "bayes")
    first, second = model.members
    model.members = [Member(1.0, "linear", [*first.pipelines, *second.pipelines])]
    assert export_onnx(model, tmp_path / "model.onnx", frame).difference < EXACT


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_stack_of_members(fit: Any, tmp_path: Path, kind: str) -> None:
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model, frame = fit(kind, "linear", "lightgbm", "extra_trees")
    table, y = model.encoder.transform(frame), model.task.encode(frame["y"])
    X = _columns([base.predict(table) for base in model.members])
    regression = kind == "regression"
    head = (
        LinearRegression(positive=True)
        if regression
        else make_pipeline(StandardScaler(), LogisticRegression())
    )
    limits = (float(y.min()), float(y.max())) if regression else (-np.inf, np.inf)
    stack = Stacked(model.members, head.fit(X, y), len(model.task.classes), *limits)
    model.members = [Member(0.7, "stack", [stack]), replace(model.members[0], weight=0.3)]
    assert export_onnx(model, tmp_path / "model.onnx", frame).difference < EXACT


def test_columns_with_the_names_of_outputs(fit: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"prediction": np.arange(80.0), "rung/1": np.arange(80) % 7 * 1.0})
    frame["y"] = np.where(frame["prediction"] > 40, "u", "v")
    from rung.tabular.fit import fit_table

    model = fit_table(frame, "y", budget=1.0, workers=1).model
    done = export_onnx(model, tmp_path / "model.onnx", frame)
    assert done.outputs == ["prediction_", "probabilities"]


def test_what_differs_is_refused_by_name_and_nothing_is_written(
    fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, frame = fit("binary", "linear", "lightgbm")
    text = model.members[1].pipelines[0].estimator
    whole = to_onnx.emitter

    def wrong(estimator: Any, sizes: list[int]) -> Any:
        if estimator is text:
            return lambda graph, one, matrix: graph.op(
                "Mul", whole(one, sizes)(graph, one, matrix), np.array([0.9, 1.1])
            )
        return whole(estimator, sizes)

    monkeypatch.setattr(to_onnx, "emitter", wrong)
    with pytest.raises(UserError, match=r"predicts otherwise .* that of lightgbm.*--drop-member lightgbm"):
        export_onnx(model, tmp_path / "model.onnx", frame)
    assert list(tmp_path.iterdir()) == []
    assert export_onnx(model, tmp_path / "model.onnx", frame, ["lightgbm"]).difference < EXACT


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_catboosts_statistics_of_categories(fit: Any, tmp_path: Path, kind: str) -> None:
    """On rows with levels that the model has not seen, and with missing ones where it knows none."""
    model, frame = fit(kind, "catboost", rows=400)
    odd = frame.copy()
    odd["city"] = frame["city"].where(np.arange(400) % 3 > 0, "elsewhere")
    odd["b"] = frame["b"].where(np.arange(400) % 4 > 0, None)
    odd["a"] = frame["a"].where(np.arange(400) % 5 > 0, np.nan)
    assert export_onnx(model, tmp_path / "model.onnx", odd).difference < EXACT
    assert np.abs(model.raw(odd) - model.raw(frame)).max() > 1e-3, "the cells count"


def test_too_many_combinations_are_refused_by_name(
    fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = fit("binary", "catboost", "gaussian_process", "linear")
    monkeypatch.setattr(onnx_catboost, "MOST_CELLS", 10)
    monkeypatch.delitem(onnx_estimators._EMITTERS, "GaussianProcessClassifier")
    said = r"'catboost' \(CatBoost's .* and 'gaussian_process'.* --drop-member catboost --drop-member"
    with pytest.raises(UserError, match=said):
        export_onnx(model, tmp_path / "model.onnx")


def test_text_and_unknown_members_are_refused_by_name(
    fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(onnx_estimators._EMITTERS, "GaussianProcessClassifier")
    texts, _ = fitted("binary", "linear")
    with pytest.raises(UserError, match=r"column 'note' is text.*without it"):
        export_onnx(texts, tmp_path / "model.onnx")
    model, _ = fit("binary", "gaussian_process", "linear")
    with pytest.raises(UserError, match=r"'gaussian_process' \(Gauss.*--drop-member gaussian_process,"):
        export_onnx(model, tmp_path / "model.onnx")
    with pytest.raises(UserError, match="no member of the model can be written as ONNX: 'gaussian_process'"):
        export_onnx(without(model, ["linear"]), tmp_path / "model.onnx")


def test_a_table_that_lacks_a_column_is_refused(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("binary", "linear")
    with pytest.raises(DataError, match="'city' is missing"):
        export_onnx(model, tmp_path / "model.onnx", frame.drop(columns="city"))


def test_members_that_are_dropped(fit: Any) -> None:
    model, frame = fit("binary", "linear", "bayes", "discriminant")
    left = without(model, ["bayes"])
    assert [(m.name, round(m.weight, 9)) for m in left.members] == [("linear", 0.5), ("discriminant", 0.5)]
    assert len(model.members) == 3
    with pytest.raises(UserError, match=r"no member 'forest'.*bayes, discriminant and linear"):
        without(model, ["forest"])
    with pytest.raises(UserError, match="leaves no member"):
        without(model, ["linear", "bayes", "discriminant"])
    assert len(frame) == 160


# -- the parts ----------------------------------------------------------------------------------------------


def _evaluate(graph: Graph, output: str, name: str, values: np.ndarray) -> np.ndarray:
    from onnx import TensorProto, helper

    told = [helper.make_tensor_value_info(output, TensorProto.DOUBLE, None)]
    given = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, list(values.shape))]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "part", given, told, graph.constants),
        opset_imports=opsets,
        ir_version=9,
    )
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {name: values})[0]


def test_the_normal_quantile_is_scipys() -> None:
    from scipy.stats import norm

    shares = np.concatenate(
        [10.0 ** np.linspace(-10, -0.4, 200), 1 - 10.0 ** np.linspace(-9, -0.4, 200), [0.5]]
    )
    graph = Graph()
    found = _evaluate(graph, normal_quantile(graph, "p"), "p", shares)
    assert np.abs(found - norm.ppf(shares)).max() < 1e-12


def test_a_search_tree_finds_the_zone() -> None:
    knots = np.array([-1.0, 0.0, 0.1, 7.0])
    x = np.array([-5.0, -1.0, -0.5, 0.0, 0.05, 0.1, np.nextafter(0.1, 1), 7.0, 8.0])
    graph = Graph()
    found = _evaluate(graph, tree_sums(graph, "x", [(0, zone_tree(knots))], 1), "x", x[:, None])
    assert found.ravel().tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]


def test_bits_are_positions() -> None:
    assert codes_in(np.array([0b101, 1 << 31], dtype=np.uint32)).tolist() == [0, 2, 63]


def test_empty_words_beside_missing_cells_are_refused_by_name(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("binary", "linear")
    name = model.encoder.names("category")[0]
    model.encoder.levels[0] = np.append(model.encoder.levels[0][:-1], "")
    with pytest.raises(UserError, match=f"column {name!r} has empty words as a level"):
        export_onnx(model, tmp_path / "m.onnx", frame)
