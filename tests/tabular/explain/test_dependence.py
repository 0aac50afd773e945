"""Partial dependence against its formula, and contributions of trees against the trees' own sum."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from rung.tabular.explain.dependence import partial_dependence
from rung.tabular.explain.trees import tree_contributions
from rung.tabular.fit import fit_table
from rung.tabular.report.findings import find
from support.tables import KINDS, fitted


def _soon() -> float:
    return time.monotonic() + 60


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_mean_of_the_predictions(kind: str) -> None:
    model, frame = fitted(kind)
    a, b = partial_dependence(model, frame, ["a", "b"], _soon())
    assert (a.column, b.column, a.numeric, b.numeric) == ("a", "b", True, False)
    assert len(a.grid) == 20
    assert set(b.grid) == {"red", "green", "blue"}
    assert a.rows == 120
    for found in (a, b):
        for point, means in zip(found.grid, found.mean, strict=True):
            raw = model.raw(frame.assign(**{found.column: point}))
            expected = raw[:, 1:] if kind == "binary" else raw
            assert means == pytest.approx(np.atleast_1d(expected.mean(axis=0)))
    assert (a.low <= a.high).all()
    assert len(a.series) == {"binary": 1, "regression": 1, "multiclass": 3}[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_count_by_their_weights(kind: str) -> None:
    """As if each were there so often."""
    model, frame = fitted(kind)
    weight = np.arange(len(frame)) % 3.0
    often = frame.loc[frame.index.repeat(weight.astype(int))]
    given = partial_dependence(model, frame, ["a", "b"], _soon(), weight=weight)
    for one, other in zip(given, partial_dependence(model, often, ["a", "b"], _soon()), strict=True):
        assert one.rows == 80
        for point, means in zip(one.grid, one.mean, strict=True):
            raw = model.raw(often.assign(**{one.column: point}))
            expected = raw[:, 1:] if kind == "binary" else raw
            assert means == pytest.approx(np.atleast_1d(expected.mean(axis=0)))
        if not one.numeric:  # else the grids are of other quantiles
            places = [one.grid.index(level) for level in other.grid]
            assert one.low[places] == pytest.approx(other.low, abs=0.02)
            assert one.high[places] == pytest.approx(other.high, abs=0.02)


def test_it_rises_with_what_makes_the_target_rise() -> None:
    model, frame = fitted("regression")
    a, noise = partial_dependence(model, frame, ["a", "noise"], _soon())
    assert np.ptp(a.mean) > 5 * np.ptp(noise.mean)
    assert (np.diff(a.mean[:, 0]) > 0).all()
    assert (a.high - a.low).max() < 0.2, "a linear model has no interaction"


def test_texts_dates_and_constants_are_skipped() -> None:
    model, frame = fitted("binary")
    assert partial_dependence(model, frame, ["note", "day", "same", "none"], _soon()) == []
    assert partial_dependence(model, frame.assign(a=1.0), ["a"], _soon()) == []


def test_few_values_are_shown_as_they_are() -> None:
    model, frame = fitted("binary")
    (found,) = partial_dependence(model, frame.assign(noise=np.arange(120) % 3), ["noise"], _soon())
    assert found.grid == (0.0, 1.0, 2.0)


def test_rare_levels_are_not_shown() -> None:
    model, frame = fitted("binary")
    (found,) = partial_dependence(
        model, frame.assign(b=["red"] * 60 + ["green"] * 59 + ["blue"]), ["b"], _soon()
    )
    assert found.grid == ("red", "green")


def test_without_time_there_is_none() -> None:
    model, frame = fitted("binary")
    assert partial_dependence(model, frame, ["a", "b"], time.monotonic() - 1) == []


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("kind", KINDS)
def test_contributions_of_trees_sum_to_their_margin(kind: str, name: str) -> None:
    if name == "xgboost":
        pytest.importorskip("xgboost")
    model, frame = fitted(kind, name)
    found = tree_contributions(model, frame)
    assert found is not None
    assert set(found.columns) == {"a", "b", "noise", "note", "day"}
    assert found.columns[0] == "a"
    assert found.base + found.amounts.sum(axis=1) == pytest.approx(found.margin, abs=1e-4)
    order = np.random.default_rng([0, 67]).permutation(120)
    raw = model.raw(frame.iloc[order])
    pipeline = model.members[0].pipelines[0]
    if kind == "regression":
        assert found.margin == pytest.approx(raw, abs=1e-3)
    elif kind == "binary":
        share = (raw[:, 1] - (1 - pipeline.trust) * pipeline.shares[1]) / pipeline.trust
        assert found.margin == pytest.approx(np.log(share / (1 - share)), abs=1e-3)


def test_ranks_say_where_a_number_lies() -> None:
    model, frame = fitted("regression", "lightgbm")
    found = tree_contributions(model, frame, most=50)
    assert found is not None
    a = found.ranks[:, found.columns.index("a")]
    assert np.nanmin(a) == 0
    assert np.nanmax(a) == 1
    assert np.isnan(found.ranks[:, found.columns.index("b")]).all()
    there = ~np.isnan(a)
    assert np.corrcoef(a[there], found.amounts[there, found.columns.index("a")])[0, 1] > 0.8


def test_no_boosting_no_contributions() -> None:
    model, frame = fitted("binary", "linear")
    assert tree_contributions(model, frame) is None
    model, frame = fitted("binary", "lightgbm")
    assert tree_contributions(model, frame.iloc[:0]) is None


def test_the_heaviest_member_is_taken() -> None:
    model, frame = fitted("regression", "linear", "lightgbm")
    found = tree_contributions(model, frame)
    assert found is not None
    assert found.what == "y of lightgbm"


def test_two_texts_are_mixed_by_one_projection() -> None:
    from rung.tabular.columns import infer_columns
    from rung.tabular.deadline import Deadline
    from rung.tabular.encode import encode
    from rung.tabular.learners.table import defaults, learners
    from rung.tabular.model import Member, Model
    from rung.tabular.pipeline import Order, fit_pipeline
    from rung.tabular.task import guess_task
    from support.tables import table

    frame = table("regression")
    frame["more"] = [f"other words {i % 40} of many" for i in range(len(frame))]
    columns = infer_columns(frame, "y")
    encoder, encoded = encode(frame, columns)
    config = defaults(learners()["lightgbm"], categories=True, missing=True)[0]
    order = Order(learners()["lightgbm"], config, encoder.sizes, 0, Deadline.after(60))
    pipeline = fit_pipeline(order, encoded, frame["y"].to_numpy(), 0).pipeline
    model = Model(guess_task(frame["y"]), encoder, [Member(1.0, "lightgbm", [pipeline], config)], "y")
    assert isinstance(frame, pd.DataFrame)
    assert tree_contributions(model, frame) is None


def test_a_report_leaves_rows_of_no_weight_out() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90), "w": np.arange(90) % 2.0})
    frame["y"] = frame["a"] + rng.normal(size=90)
    frame.loc[4, ["y", "w"]] = np.nan  # no row of the fit
    result = fit_table(frame, "y", weights="w", trials=1, workers=1, include="linear")
    (found,) = find(result, frame, _soon()).dependence
    assert found.rows == 45
