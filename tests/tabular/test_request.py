from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.errors import DataError
from rung.tabular.encode import Table
from rung.tabular.fit import fit_table
from rung.tabular.grouping import duplicates, rows_of
from rung.tabular.learners.table import Wanted, fitting
from rung.tabular.plan import Scheme
from rung.tabular.request import Request
from rung.tabular.task import guess_task


def _frame(n=120):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "zip": rng.choice([10115, 20095, 50667], n),
            "patient": np.repeat(np.arange(n // 10), 10),
            "day": pd.date_range("2024-01-01", periods=n).strftime("%Y-%m-%d"),
            "w": rng.uniform(0.5, 2, n),
            "part": np.arange(n) % 4,
        }
    )
    frame["y"] = np.where(frame.a + (frame.zip == 10115) > 0.3, "sick", "well")
    return frame


def test_columns_of_one_name_are_refused():
    frame = _frame()
    with pytest.raises(DataError, match="2 columns are named 'a': rename all but one"):
        fit_table(pd.concat([frame, frame[["a"]]], axis=1), "y", budget=1.0)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(drop=("agee",)), "no column 'agee'"),
        (Request(kinds={"a": "colour"}), "cannot be of kind 'colour'; it is one of number"),
        (Request(weights="ww"), r"no column 'ww'; did you mean w"),
        (Request(split="groups:patient"), "no split 'groups:patient'; it is one of random"),
        (Request(split="group:"), "no split 'group:'"),
        (Request(split="group:y"), "cannot be used otherwise too"),
        (
            Request(drop=("a", "zip", "patient", "day", "w", "part")),
            "every column besides the target is left out",
        ),
    ],
)
def test_what_does_not_fit_the_table_is_refused_in_a_sentence(request_, message):
    with pytest.raises(DataError, match=message):
        request_.check(_frame(), "y")


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_a_weight_that_is_none_is_named_by_its_row(bad):
    frame = _frame()
    frame.loc[4, "w"] = bad
    with pytest.raises(DataError, match=r"column 'w', row 5: .* is no weight"):
        Request(weights="w").row_weights(frame)


def test_weights_have_mean_one():
    found = Request(weights="w").row_weights(_frame())
    assert found.mean() == pytest.approx(1)
    with pytest.raises(DataError, match="gives every row the weight 0"):
        Request(weights="w").row_weights(_frame().assign(w=0))


def test_kinds_and_dropped_columns_are_as_asked():
    result = fit_table(
        _frame(),
        "y",
        trials=1,
        workers=1,
        include=["linear"],
        kinds={"zip": "category"},
        drop=["patient", "day"],
        weights="w",
    )
    kinds = {column.name: column.kind for column in result.columns}
    assert kinds == {
        "a": "number",
        "zip": "category",
        "patient": "dropped",
        "day": "dropped",
        "w": "dropped",
        "part": "number",
    }
    assert result.model.predict(_frame()[["a", "zip", "part"]]).shape == (120,), "dropped ones are not needed"
    assert {row.learner for row in result.leaderboard} == {"linear"}
    assert result.model.weights == "w", "what it is to be judged with"


def test_a_kind_that_the_cells_cannot_have():
    with pytest.raises(DataError, match="column 'a' holds no dates"):
        fit_table(_frame(), "y", budget=0.5, kinds={"a": "date"})


def test_learners_by_name():
    assert [x.name for x in fitting("binary", 2, 100, Wanted(include=("svm", "linear")))] == ["svm", "linear"]
    assert "lightgbm" not in {x.name for x in fitting("binary", 2, 100, Wanted(exclude=("lightgbm",)))}
    assert not {"neighbors", "discriminant"} & {
        x.name for x in fitting("binary", 2, 9, Wanted(weighted=True))
    }
    assert "svm" not in {x.name for x in fitting("binary", 2, 100_000)}
    with pytest.raises(DataError, match=r"no learner 'lightgmb'; did you mean lightgbm"):
        fitting("binary", 2, 100, Wanted(include=("lightgmb",)))
    with pytest.raises(DataError, match="none of the learners asked for can do this task"):
        fitting("regression", 0, 100, Wanted(include=("bayes",)))


def test_a_learner_whose_package_is_missing(monkeypatch):
    from rung.tabular.learners import table

    monkeypatch.setattr(table, "_installed", lambda package: package != "catboost")
    assert "catboost" not in {x.name for x in fitting("binary", 2, 100)}
    with pytest.raises(DataError, match="'catboost' needs catboost: pip install catboost"):
        fitting("binary", 2, 100, Wanted(include=("catboost",)))


def test_the_positive_class_comes_last():
    y = _frame().y
    assert guess_task(y).classes == ("sick", "well")
    assert guess_task(y, positive="sick").classes == ("well", "sick")
    assert guess_task(pd.Series([0, 1, 1], name="n"), positive="0").classes == (1, 0)
    with pytest.raises(DataError, match="'ill' is none of the classes"):
        guess_task(y, positive="ill")
    with pytest.raises(DataError, match="of two only"):
        guess_task(pd.Series(list("abcabc"), name="n"), positive="a")


@pytest.mark.parametrize("asked", ["quantile", "quantile:2", "quantile:x", "quantile:0"])
def test_no_quantile(asked):
    with pytest.raises(DataError, match="names no quantile"):
        guess_task(pd.Series([1.0, 2.0], name="n"), asked)


def test_groups_stay_together_in_folds_and_in_the_holdout():
    frame = _frame()
    result = fit_table(
        frame, "y", budget=1, workers=1, include=["linear"], split="group:patient", holdout=0.3
    )
    assert result.held is not None
    held = set(frame.patient.iloc[result.held.rows])
    assert not held & set(frame.patient.iloc[result.model.evidence.rows])
    assert "patient" not in result.model.encoder.names("number")


def test_time_trains_on_the_past_only():
    frame = _frame().sample(frac=1, random_state=1).reset_index(drop=True)
    result = fit_table(frame, "y", budget=1, workers=1, include=["linear"], split="time:day", holdout=0.25)
    assert result.held is not None
    days = pd.to_datetime(frame.day)
    later = days.iloc[result.held.rows].min()
    assert (days.drop(result.held.rows) < later).all()
    assert any("earlier rows only" in note for note in result.notes)


def test_the_same_rows_are_held_out_together_by_a_holdout():
    frame = pd.concat([_frame().drop(columns=["patient", "day"])] * 3, ignore_index=True)
    result = fit_table(frame, "y", budget=0.5, workers=1, include=["bayes"], holdout=0.25)
    held = result.held.rows
    assert len(held) == pytest.approx(90, abs=6)
    assert not set(held % 120) & set(np.setdiff1d(np.arange(360), held) % 120)


def test_dates_far_away_are_first_or_last_and_what_is_none_is_named():
    frame = _frame()
    frame.loc[frame.index[:10], "day"] = "9999-12-31"
    frame.loc[frame.index[10:14], "day"] = "1500-01-01"
    moments = rows_of(frame, Request(split="time:day")).moments
    assert (moments[:10] == np.inf).all()
    assert (moments[10:14] == -np.inf).all()
    assert np.isfinite(moments[14:]).all()
    frame.loc[frame.index[20], "day"] = "31.12.2029x"
    with pytest.raises(DataError, match=r"'day' holds '31.12.2029x' in row 21, which is no date as others"):
        rows_of(frame, Request(split="time:day"))


@pytest.mark.parametrize("split", ["group:shop", "time:year"])
def test_one_group_or_moment_left_by_a_holdout_is_split_like_other_rows(split):
    frame = _frame().assign(shop=["a"] * 80 + ["b"] * 40, year=[2025] * 80 + [2026] * 40)
    result = fit_table(frame, "y", budget=0.5, workers=1, include=["bayes"], split=split, holdout=0.2)
    assert result.held.rows.tolist() == list(range(80, 120))
    assert len(result.model.evidence.rows) in range(1, 81)
    assert not result.failed


def test_folds_of_a_column():
    rows = rows_of(_frame(), Request(split="folds:part"))
    split = rows.split(np.zeros(120), 2, Scheme(5, 0.2, 120, {}), 0)
    assert split.number == 4
    assert (split.folds == np.arange(120) % 4).all()
    with pytest.raises(DataError, match=r"names 120 folds, more than 20; is it a group"):
        rows_of(_frame().assign(part=range(120)), Request(split="folds:part"))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("group:patient", [None, *range(119)], "is empty in row 1"),
        ("group:patient", [1] * 120, "has one value only"),
        ("time:zip", list("ab") * 60, "holds neither dates nor numbers"),
    ],
)
def test_a_column_that_cannot_split(column, values, message):
    frame = _frame()
    frame[column.split(":")[1]] = values
    with pytest.raises(DataError, match=message):
        rows_of(frame, Request(split=column))


def test_the_same_cells_are_one_group():
    numbers = np.array([[1.0], [2.0], [1.0], [np.nan], [np.nan]])
    codes = np.array([[0], [0], [0], [1], [1]], dtype=np.int32)
    groups = duplicates(Table(numbers, codes))
    assert groups[0] == groups[2] != groups[1]
    assert groups[3] == groups[4]
    assert duplicates(Table(np.arange(5.0)[:, None], codes)) is None


def test_where_few_rows_are_different_none_are_kept_together():
    codes = np.indices((4, 3, 4)).reshape(3, -1).T.astype(np.int32)  # 48 cells
    assert duplicates(Table(np.empty((9 * 48, 0)), np.tile(codes, (9, 1)))) is not None
    assert duplicates(Table(np.empty((10 * 48, 0)), np.tile(codes, (10, 1)))) is None


def test_rows_of_many_copies_are_dealt_like_others_beside_rows_of_few():
    often, few, once = np.zeros((10, 1)), np.ones((9, 1)), np.arange(2.0, 12)[:, None]
    table = Table(np.vstack([often, few, once]), np.empty((29, 0), dtype=np.int32))
    groups = duplicates(table)
    sizes = np.unique(groups, return_inverse=True, return_counts=True)
    assert sizes[2][sizes[1]].tolist() == [1] * 10 + [9] * 9 + [1] * 10
    assert duplicates(Table(np.vstack([often, once]), np.empty((20, 0), dtype=np.int32))) is None


def test_a_number_that_is_zero_in_half_of_the_rows_is_learned_from():
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=300), rng.choice(list("xyz"), 300)
    frame = pd.DataFrame({"a": np.maximum(a, 0).round(1), "c": c, "y": (a > 0) ^ (c == "x")})
    found = fit_table(frame, "y", budget=3, trials=1, include=["extra_trees"], warm_start=False)
    assert found.score > 0.95


def test_refit_gives_one_model_of_all_rows_for_each_member():
    frame, settings = _frame(200), {"workers": 1, "include": ["bayes"], "warm_start": False}
    plain = fit_table(frame, "y", budget=2, **settings)
    once = fit_table(frame, "y", budget=9, refit=True, **settings)
    assert plain.folds > 1
    assert min(len(member.pipelines) for member in plain.model.members) >= plain.folds
    assert {len(member.pipelines) for member in once.model.members} == {1}
