"""Coverage is checked by simulation against a binomial bound; every draw has a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from rung.errors import DataError
from rung.tabular.columns import infer_columns
from rung.tabular.conformal import (
    conformal_quantile,
    cv_plus,
    fold_predictions,
    predict_interval,
    predict_set,
    rank_of,
    set_scores,
)
from rung.tabular.encode import encode
from rung.tabular.model import Evidence, Member, Model
from rung.tabular.model_file import load_model, save_model
from rung.tabular.pipeline import Constant
from rung.tabular.predict import predict_covered
from support.tables import fitted


def enough(held: np.ndarray, coverage: float) -> bool:
    """Not so few held that chance in the new rows alone would explain it once in 100,000 times."""
    return held.sum() >= binom.ppf(1e-5, held.size, coverage)


def with_evidence(kind: str, rows: int = 120, seed: int = 3) -> tuple[Model, pd.DataFrame]:
    """A model with evidence from rows of its own table that it is taken not to have seen."""
    model, frame = fitted(kind, seed=seed)
    y = model.task.encode(frame["y"])[:rows]
    model.evidence = Evidence(np.arange(rows), y, model.raw(frame.iloc[:rows]))
    return model, frame


@pytest.mark.parametrize(
    ("coverage", "rows", "rank"), [(0.9, 9, 9), (0.9, 10, 10), (0.9, 19, 18), (0.5, 3, 2), (0.1, 9, 1)]
)
def test_the_rank_is_exact(coverage: float, rows: int, rank: int) -> None:
    assert rank_of(coverage, rows) == rank


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("rows", [20, 99, 400])
def test_the_quantile_covers(coverage: float, rows: int) -> None:
    """Of exponential scores: 3,000 calibrations, each judged by one new score, which are independent."""
    rng = np.random.default_rng([rows, int(coverage * 100)])
    old, new = rng.exponential(size=(3000, rows)), rng.exponential(size=3000)
    held = np.array([b <= conformal_quantile(a, coverage) for a, b in zip(old, new, strict=True)])
    assert enough(held, coverage)
    assert held.mean() <= coverage + 1 / (rows + 1) + 0.04, "no wider than it must be"


def test_too_few_scores_give_infinity() -> None:
    assert conformal_quantile(np.arange(9.0), 0.9) == 8
    assert conformal_quantile(np.arange(8.0), 0.9) == np.inf


def test_weights_that_are_equal_change_little() -> None:
    scores = np.random.default_rng(0).normal(size=200)
    assert conformal_quantile(scores, 0.9, np.full(200, 3.0)) == conformal_quantile(scores, 0.9)
    heavy = np.where(scores > np.median(scores), 10.0, 1.0)
    assert conformal_quantile(scores, 0.5, heavy) > conformal_quantile(scores, 0.5)


def test_cv_plus_is_the_formula() -> None:
    rng = np.random.default_rng(1)
    folded, residuals, fold = rng.normal(size=(3, 7)), rng.exponential(size=25), rng.integers(0, 3, 25)
    low, high = cv_plus(folded, residuals, fold, 0.8)
    for j in range(7):
        ups = np.sort([folded[fold[i], j] + residuals[i] for i in range(25)])
        downs = np.sort([folded[fold[i], j] - residuals[i] for i in range(25)])
        assert high[j] == ups[int(np.ceil(0.8 * 26)) - 1]
        assert low[j] == downs[int(np.floor(0.2 * 26)) - 1]


def test_cv_plus_with_equal_folds_is_the_plain_interval() -> None:
    rng = np.random.default_rng(2)
    residuals = rng.exponential(size=50)
    low, high = cv_plus(np.zeros((5, 3)), residuals, np.arange(50) % 5, 0.9)
    assert (high == conformal_quantile(residuals, 0.9)).all()
    assert (low == -high).all()
    assert np.isinf(cv_plus(np.zeros((2, 3)), residuals[:4], np.arange(4) % 2, 0.9)[1]).all()


def test_cv_plus_covers() -> None:
    """Means of folds as models, 600 new worlds of 40 rows."""
    rng = np.random.default_rng(5)
    held = []
    for _ in range(600):
        y, fold = rng.standard_t(3, 40), np.arange(40) % 5
        folded = np.array([y[fold != k].mean() for k in range(5)])
        low, high = cv_plus(np.tile(folded[:, None], 20), np.abs(y - folded[fold]), fold, 0.8)
        new = rng.standard_t(3, 1)
        held.append(low[0] <= new[0] <= high[0])
    assert enough(np.array(held), 0.8)


def test_plain_intervals_cover_where_predictions_are_means_of_several_cross_validations() -> None:
    """Trees of four cross-validations of 60 rows, 30 worlds of 200 new rows."""
    from sklearn.tree import DecisionTreeRegressor

    held, rng = [], np.random.default_rng(6)
    for _ in range(30):
        x = rng.normal(size=(260, 5))
        y = x[:, 0] * x[:, 1] + rng.standard_t(4, size=260)
        known, new = np.zeros(60), np.zeros(200)
        for _ in range(4):
            fold = rng.permutation(60) % 5
            for k in range(5):
                model = DecisionTreeRegressor(random_state=k).fit(x[:60][fold != k], y[:60][fold != k])
                known[fold == k] += model.predict(x[:60][fold == k]) / 4
                new += model.predict(x[60:]) / 20
        held.append(np.abs(y[60:] - new) <= conformal_quantile(np.abs(y[:60] - known), 0.9))
    assert np.mean(held) > 0.9 - 4 * np.sqrt(0.9 * 0.1 * (1 / 60 + 1 / 200) / 30)


def _folded_model() -> tuple[Model, pd.DataFrame]:
    frame = pd.DataFrame({"x": np.arange(30.0) % 7, "y": np.linspace(0, 1, 30)})
    encoder, _ = encode(frame, infer_columns(frame, "y"))
    from rung.tabular.task import guess_task

    folds = np.arange(30) % 3
    pipelines = [Constant(np.asarray(frame["y"][folds != k].mean())) for k in range(3)]
    members = [
        Member(0.7, "linear", list(pipelines)),
        Member(0.3, "constant", [Constant(np.asarray(0.5))]),
    ]
    model = Model(guess_task(frame["y"]), encoder, members, "y", {"folds": 3})
    oof = np.array([0.7 * float(pipelines[k].prediction) + 0.15 for k in folds])
    model.evidence = Evidence(np.arange(30), frame["y"].to_numpy(), oof, fold=folds)
    return model, frame


def test_a_model_that_knows_its_folds_gets_cv_plus() -> None:
    model, frame = _folded_model()
    folded = fold_predictions(model, frame)
    assert folded is not None
    assert folded.shape == (3, 30)
    assert folded.mean(axis=0) == pytest.approx(model.raw(frame))
    found = predict_interval(model, frame, 0.8)
    assert model.evidence is not None
    residuals = np.abs(model.evidence.y - model.evidence.prediction)
    low, high = cv_plus(folded, residuals, model.evidence.fold, 0.8)
    assert (found.low == low).all()
    assert (found.high == high).all()
    model.evidence.fold = None
    plain = predict_interval(model, frame, 0.8)
    assert plain.high - plain.prediction == pytest.approx(conformal_quantile(residuals, 0.8))


def test_members_fitted_again_have_no_folds() -> None:
    model, frame = _folded_model()
    model.members[0].pipelines = model.members[0].pipelines[:1]
    assert fold_predictions(model, frame) is None
    model.notes["folds"] = 1
    assert fold_predictions(model, frame) is None


def test_folds_models_stand_for_a_model_of_all_rows_of_the_same_configuration() -> None:
    model, frame = _folded_model()
    expected = fold_predictions(model, frame)
    folded = model.members[0]
    config = {"learner": "linear"}
    whole = Member(0.4, "linear", [Constant(np.asarray(9.0))], config)
    model.members[0] = Member(0.3, "linear", folded.pipelines, config)
    model.members.append(whole)
    assert fold_predictions(model, frame) == pytest.approx(expected)
    twice = [replace(one, weight=one.weight / 2) for one in model.members for _ in range(2)]
    model.members = twice  # two trials of the same configuration: no weight counts twice
    assert fold_predictions(model, frame) == pytest.approx(expected)
    for one in twice:
        if len(one.pipelines) == 1 and one.name == "linear":
            one.config = {"learner": "another"}
    assert fold_predictions(model, frame) is None


def test_intervals_of_a_model_cover_new_rows() -> None:
    model, _ = fitted("regression")
    from support.tables import table

    new, more = table("regression", 800, seed=11), table("regression", 800, seed=12)
    model.evidence = Evidence(np.arange(800), model.task.encode(new["y"]), model.raw(new))
    for coverage in (0.5, 0.9):
        found = predict_interval(model, more, coverage)
        held = (found.low <= more["y"]) & (more["y"] <= found.high)
        assert abs(held.mean() - coverage) < 0.05
        assert ((found.low <= found.prediction) & (found.prediction <= found.high)).all()
        assert found.note == ""


@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_sets_of_a_model_cover_new_rows(kind: str, method: str) -> None:
    from support.tables import table

    model, _ = fitted(kind)
    new, more = table(kind, 800, seed=11), table(kind, 800, seed=12)
    model.evidence = Evidence(np.arange(800), model.task.encode(new["y"]), model.raw(new))
    truth = model.task.encode(more["y"])
    for coverage in (0.6, 0.9):
        sets = predict_set(model, more, coverage, method)
        held = sets.member[np.arange(800), truth]
        assert held.mean() > coverage - 0.05
        assert sets.member.any(axis=1).all()
        assert [len(x) for x in sets.labels()] == sets.member.sum(axis=1).tolist()


def _worlds(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True probabilities of four classes, and classes drawn from them."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet([0.6] * 4, rows)
    return proba, (proba.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_set_scores_cover_and_lac_is_smaller(method: str) -> None:
    old, y = _worlds(2000, 1)
    new, truth = _worlds(5000, 2)
    bound = conformal_quantile(set_scores(old, method)[np.arange(2000), y], 0.8)
    member = set_scores(new, method) <= bound
    held = member[np.arange(5000), truth]
    assert abs(held.mean() - 0.8) < 0.03
    lac = set_scores(new, "lac") <= conformal_quantile(set_scores(old, "lac")[np.arange(2000), y], 0.8)
    assert lac.sum() <= member.sum()


def test_aps_of_two_classes_neither_says_both_of_all_rows_nor_covers_too_few() -> None:
    rng = np.random.default_rng(4)
    p = rng.uniform(0.5, 1, 6000)  # sums are 1 up to the last digit of a float32, as in a model's file
    proba = np.column_stack([p, 1 - p]).astype(np.float32).astype(float)
    y = (rng.random(6000) > p).astype(int)  # wrong in one row of four
    bound = conformal_quantile(set_scores(proba[:3000], "aps")[np.arange(3000), y[:3000]], 0.9)
    member = set_scores(proba[3000:], "aps") <= bound
    assert abs(member[np.arange(3000), y[3000:]].mean() - 0.9) < 0.03
    assert member.sum(axis=1).mean() < 1.7


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_sets_from_predictions_out_of_fold_cover_new_rows_over_many_fits(method: str) -> None:
    """30 tables of 300 rows: evidence of three folds' models, which predict new rows by their mean."""
    from sklearn.linear_model import LogisticRegression

    held, rng = [], np.random.default_rng(7)
    for _ in range(30):
        x = rng.normal(size=(800, 4))
        y = (x @ rng.normal(size=(4, 3)) + rng.gumbel(size=(800, 3))).argmax(axis=1)
        fold, proba, new = np.arange(300) % 3, np.empty((300, 3)), np.zeros((500, 3))
        for k in range(3):
            model = LogisticRegression().fit(x[:300][fold != k], y[:300][fold != k])
            proba[fold == k] = model.predict_proba(x[:300][fold == k])
            new += model.predict_proba(x[300:]) / 3
        bound = conformal_quantile(set_scores(proba, method)[np.arange(300), y[:300]], 0.8)
        held.append((set_scores(new, method) <= bound)[np.arange(500), y[300:]].mean())
    assert abs(np.mean(held) - 0.8) < 4 * np.sqrt(0.8 * 0.2 * (1 / 300 + 1 / 500) / 30)


def test_aps_scores_are_sums_of_the_more_probable() -> None:
    scores = set_scores(np.array([[0.2, 0.5, 0.3]]), "aps")
    assert scores[0] == pytest.approx([0.9, 0.25, 0.65])
    assert set_scores(np.array([[0.2, 0.5, 0.3]]), "lac")[0] == pytest.approx([0.8, 0.5, 0.7])


def test_coverage_by_class_holds_in_the_rare_class() -> None:
    model, frame = with_evidence("binary")
    rng = np.random.default_rng(0)
    y = (rng.random(2000) < 0.1).astype(int)
    p = np.clip(0.1 + 0.25 * y + 0.1 * rng.normal(size=2000), 0.01, 0.99)
    model.evidence = Evidence(np.arange(2000), y, np.column_stack([1 - p, p]))
    both = predict_set(model, frame, 0.9)
    each = predict_set(model, frame, 0.9, by_class=True)
    scores = 1 - model.evidence.prediction[np.arange(2000), y]
    assert (scores[y == 1] <= conformal_quantile(scores, 0.9)).mean() < 0.5, "the rare class pays"
    assert each.member[:, 1].sum() >= both.member[:, 1].sum()


def test_few_rows_give_everything_and_a_sentence() -> None:
    model, frame = with_evidence("regression", rows=5)
    found = predict_interval(model, frame, 0.9)
    assert np.isinf(found.low).all()
    assert np.isinf(found.high).all()
    assert found.note == (
        "intervals are infinite, because 5 rows of evidence are too few for a coverage of 0.9: it takes 9, "
        "or ask for 0.83 or less"
    )
    assert np.isfinite(predict_interval(model, frame, 0.83).low).all()
    model, frame = with_evidence("binary", rows=5)
    sets = predict_set(model, frame, 0.9)
    assert sets.member.all()
    assert "sets hold all classes, because 5 rows" in sets.note


def test_what_cannot_be_is_one_sentence() -> None:
    numbers, frame = with_evidence("regression")
    classes, other = with_evidence("binary")
    with pytest.raises(DataError, match="predicts numbers, which have no sets"):
        predict_set(numbers, frame)
    with pytest.raises(DataError, match="predicts classes, which have no intervals"):
        predict_interval(classes, other)
    with pytest.raises(DataError, match=r"coverage of 1\.5 is not between 0 and 1"):
        predict_interval(numbers, frame, 1.5)
    with pytest.raises(DataError, match="no way 'raps'"):
        predict_set(classes, other, method="raps")
    with pytest.raises(DataError, match="for lac only"):
        predict_set(classes, other, method="aps", by_class=True)
    numbers.evidence = None
    with pytest.raises(DataError, match="keeps no predictions for rows that it had not seen"):
        predict_interval(numbers, frame)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_table_of_predictions_has_them(kind: str, tmp_path) -> None:
    model, frame = with_evidence(kind)
    predictions, note = predict_covered(model, frame, 0.9)
    assert note == ""
    names = ["prediction", "low", "high"] if kind == "regression" else ["prediction", "set", "p_no", "p_yes"]
    assert list(predictions.columns) == names
    if kind == "binary":
        assert set(predictions["set"]) <= {"no", "yes", "no|yes"}
    save_model(model, tmp_path / "m.rung")
    again, _ = predict_covered(load_model(tmp_path / "m.rung"), frame, 0.9)
    pd.testing.assert_frame_equal(again, predictions)


def test_a_label_with_a_bar_is_refused() -> None:
    model, frame = with_evidence("binary")
    object.__setattr__(model.task, "classes", ("no", "a|b"))
    with pytest.raises(DataError, match=r"so has class 'a\|b'"):
        predict_covered(model, frame, 0.9)


def test_rows_without_weight_are_no_evidence() -> None:
    model, frame = with_evidence("regression", rows=100)
    assert model.evidence is not None
    model.evidence.weight = np.where(np.arange(100) < 5, 20.0, 0.0)
    found = predict_interval(model, frame, 0.9)
    assert np.isinf(found.high).all(), "five rows say no more where 95 without weight lie beside them"
    assert "5 rows of evidence are too few" in found.note
    model, frame = with_evidence("binary", rows=100)
    assert model.evidence is not None
    model.evidence.weight = np.where(model.evidence.y == 1, 0.0, 1.0)
    each = predict_set(model, frame, 0.9, by_class=True)
    assert each.member[:, 1].all(), "a class of which no row counts is in every set"


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_evidence_in_32_bits_leaves_no_class_out_of_equal_rows(method: str) -> None:
    model, frame = with_evidence("binary")
    model.members = [Member(1.0, "constant", [Constant(np.array([0.7, 0.3]))])]
    proba = model.raw(frame.iloc[:100]).astype(np.float32).astype(float)  # as trials keep theirs
    model.evidence = Evidence(np.arange(100), (np.arange(100) >= 70).astype(int), proba)
    assert predict_set(model, frame, 0.9, method).member.all(), "three rows in ten are of the rarer class"


def test_members_predict_once_where_plain_intervals_are_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    model, frame = _folded_model()
    assert model.evidence is not None
    asked = []
    monkeypatch.setattr(Constant, "predict", lambda self, table: asked.append(self) or np.zeros(len(table)))
    for fold, weight in ((None, None), (model.evidence.fold, np.ones(30))):
        asked.clear()
        model.evidence.fold, model.evidence.weight = fold, weight
        predict_interval(model, frame, 0.8)
        assert len(asked) == 4, "three folds' models and a constant"
