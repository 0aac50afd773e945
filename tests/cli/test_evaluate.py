"""`rung evaluate`, `rung explain` and the intervals of `rung predict`, on models made without a search."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

from rung.tabular.model import Evidence
from rung.tabular.model_file import save_model
from support.tables import fitted, table

Rung = Callable[..., Result]


@pytest.fixture(params=["binary", "regression"])
def kind(request: pytest.FixtureRequest, folder: Path) -> str:
    """A model in m.rung, new rows in new.csv."""
    _save(request.param)
    return request.param


def _save(kind: str) -> None:
    model, frame = fitted(kind)
    y = model.task.encode(frame["y"])
    model.evidence = Evidence(np.arange(120), y, model.raw(frame))
    model.notes["metric"] = "auc" if kind == "binary" else "mae"
    save_model(model, "m.rung", {"metric": model.notes["metric"]})
    frame.to_csv("old.csv", index=False)
    table(kind, 90, seed=7).to_csv("new.csv", index=False)


def test_every_metric_is_printed_with_an_interval(kind: str, rung: Rung) -> None:
    done = rung("evaluate", "m.rung", "new.csv")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2].startswith("auc " if kind == "binary" else "mae "), "the model's own metric first"
    assert ("log_loss" in done.stdout) is (kind == "binary")
    assert ("rmse" in done.stdout) is (kind == "regression")
    assert "90 rows judged" in done.stderr
    assert "very rows" not in done.stderr


def test_json_has_the_same(kind: str, rung: Rung) -> None:
    done = rung(
        "evaluate", "m.rung", "new.csv", "--metric", "accuracy" if kind == "binary" else "r2", "--json"
    )
    found = json.loads(done.stdout)
    (one,) = found["metrics"].values()
    assert one["low"] <= one["value"] <= one["high"]
    assert one["value"] > one["constant"]
    assert (found["rows"], found["left_out"], found["trained_on"]) == (90, 0, False)


@pytest.mark.parametrize("by", ["b", "a", "day", "y"])
def test_groups_have_rows_and_intervals(by: str, rung: Rung) -> None:
    _save("binary")
    found = json.loads(
        rung("evaluate", "m.rung", "new.csv", "--by", by, "--metric", "accuracy", "--json").stdout
    )
    groups = found["by"]["groups"]
    assert sum(g["rows"] for g in groups) == 90
    values = [g["value"] for g in groups]
    assert values == sorted(values), "the worst first"
    done = rung("evaluate", "m.rung", "new.csv", "--by", by)
    assert done.exit_code == 0, done.stderr
    assert groups[0]["group"] in done.stdout
    if by == "b":
        assert {g["group"] for g in groups} == {"red", "green", "blue", "missing"}
        assert "fewer than 20 rows" in done.stderr


def test_weights_are_the_models_or_the_users(rung: Rung) -> None:
    _save("binary")
    new = pd.read_csv("new.csv")
    heavy = np.where(new["b"] == "red", 5.0, 1.0)
    new.assign(w=heavy, v=1).to_csv("weighted.csv", index=False)

    def value(*words: str) -> float:
        done = rung("evaluate", *words, "--by", "b", "--metric", "accuracy", "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)["metrics"]["accuracy"]["value"]

    plain, asked = value("m.rung", "new.csv"), value("m.rung", "weighted.csv", "--weights", "w")
    assert asked != plain
    model, _ = fitted("binary")
    model.notes["weights"] = "w"
    save_model(model, "w.rung")
    said = (model.predict(new) == new["y"]).to_numpy()
    assert value("w.rung", "weighted.csv") == asked == pytest.approx(np.average(said, weights=heavy))
    assert value("w.rung", "weighted.csv", "--weights", "none") == plain == pytest.approx(said.mean())
    done = rung("evaluate", "w.rung", "new.csv")
    assert "weights of column 'w', which this table lacks" in done.stderr
    assert "with the weights of column 'w'" in rung("evaluate", "w.rung", "weighted.csv").stderr


def test_empty_targets_are_left_out_and_said(kind: str, rung: Rung) -> None:
    frame = pd.read_csv("new.csv", dtype=object)
    frame.loc[:3, "y"] = None
    frame.to_csv("gaps.csv", index=False)
    done = rung("evaluate", "m.rung", "gaps.csv")
    assert done.exit_code == 0, done.stderr
    assert "4 rows left out, because column 'y' is empty there" in done.stderr
    assert "86 rows judged" in done.stderr


def test_training_rows_are_warned_of(kind: str, rung: Rung) -> None:
    assert "fitted on these very rows" in rung("evaluate", "m.rung", "old.csv").stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["new.csv", "--by", "bb"], "no column 'bb' to group by; did you mean b?"),
        (["new.csv", "--metric", "rmse"], "and the task is binary; take one of auc"),
        (["new.csv", "--metric", "aucc"], "there is no metric 'aucc'; did you mean auc"),
        (["none.csv"], "none.csv"),
        (["new.csv", "--weights", "bbb"], "no column 'bbb' of weights; did you mean b?"),
        (["new.csv", "--weights", "noise"], "is no weight; weights are numbers from 0 up"),
        (["odd.csv"], "holds 'maybe' in 90 rows, a class that the model does not know"),
        (["no_y.csv"], "no column 'y', which holds the truth"),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], sentence: str, rung: Rung) -> None:
    _save("binary")
    new = pd.read_csv("new.csv")
    new.assign(y="maybe").to_csv("odd.csv", index=False)
    new.drop(columns="y").to_csv("no_y.csv", index=False)
    done = rung("evaluate", "m.rung", *words)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_row_is_explained(kind: str, rung: Rung) -> None:
    done = rung("explain", "m.rung", "new.csv", "--row", 3)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("row 3: P(" if kind == "binary" else "row 3: y = ")
    assert "the table says" in done.stdout
    assert "█" in done.stdout
    assert "exact Shapley values" in done.stderr
    found = json.loads(rung("explain", "m.rung", "new.csv", "--row", 3, "--json").stdout)
    total = found["base"] + math.fsum(part["amount"] for part in found["contributions"])
    assert total == pytest.approx(found["prediction"], abs=1e-12)
    predicted = rung("predict", "m.rung", "new.csv", "--json")
    row = json.loads(predicted.stdout)[2]
    expected = row["prediction"] if kind == "regression" else max(row["p_yes"], row["p_no"])
    assert found["prediction"] == pytest.approx(expected)


def test_another_class_and_another_background(rung: Rung) -> None:
    _save("binary")
    words = ("explain", "m.rung", "new.csv", "--row", 1, "--json")
    yes = json.loads(rung(*words, "--class", "yes", "--background", "old.csv").stdout)
    no = json.loads(rung(*words, "--class", "no", "--background", "old.csv").stdout)
    assert yes["what"] == "P(yes)"
    assert yes["prediction"] + no["prediction"] == pytest.approx(1)


def test_shap_values_of_a_member(rung: Rung) -> None:
    model, frame = fitted("regression", "linear", "lightgbm")
    save_model(model, "two.rung")
    frame.to_csv("old.csv", index=False)
    found = json.loads(rung("explain", "two.rung", "old.csv", "--row", 3, "--shap", "--json").stdout)
    assert found["what"] == "y of lightgbm"
    total = found["base"] + math.fsum(part["amount"] for part in found["contributions"])
    assert total == pytest.approx(found["prediction"])
    alone = model.members[1].predict(model.encoder.transform(frame.iloc[[2]]))
    assert found["prediction"] == pytest.approx(float(alone[0]), abs=1e-4)
    frame.iloc[[2]].to_csv("alone.csv", index=False)
    same = json.loads(rung("explain", "two.rung", "alone.csv", "--row", 1, "--shap", "--json").stdout)
    assert same["contributions"] == found["contributions"]
    done = rung("explain", "two.rung", "old.csv", "--row", 3, "--shap")
    assert "exact for its trees" in done.stderr
    refused = rung("explain", "two.rung", "old.csv", "--row", 3, "--shap", "--class", "yes")
    assert (refused.exit_code, "leave --shap out" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--row", "0"], "there is no row 0: the table has rows 1 to 90, its header not counted"),
        (["--row", "91"], "there is no row 91: the table has rows 1 to 90"),
        (["--row", "1", "--class", "maybe"], "'maybe' is none of the classes 'no' and 'yes'"),
        (["--row", "1", "--background", "one.csv"], "no row to compare with"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(words: list[str], sentence: str, rung: Rung) -> None:
    _save("binary")
    pd.read_csv("new.csv").iloc[:1].to_csv("one.csv", index=False)
    done = rung("explain", "m.rung", "new.csv", *words)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_intervals_are_columns(kind: str, rung: Rung) -> None:
    done = rung("predict", "m.rung", "new.csv", "--intervals", "80%")
    assert done.exit_code == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first == ("prediction,low,high" if kind == "regression" else "prediction,set,p_no,p_yes")
    for out in ("p.csv", "p.tsv", "p.parquet"):
        assert rung("predict", "m.rung", "new.csv", "--intervals", "0.8", "--out", out).exit_code == 0
    found, truth = pd.read_csv("p.csv"), pd.read_csv("new.csv")["y"]
    if kind == "regression":
        assert ((found["low"] <= truth) & (truth <= found["high"])).mean() > 0.6
    else:
        assert np.mean([y in s.split("|") for y, s in zip(truth, found["set"], strict=True)]) > 0.6


def test_intervals_that_cannot_be_are_one_sentence(kind: str, rung: Rung) -> None:
    for share, sentence in (
        ("150%", "is not between 0% and 100%"),
        ("x", "'x' is no coverage"),
        ("95", "95%?"),
    ):
        done = rung("predict", "m.rung", "new.csv", "--intervals", share)
        assert (done.exit_code, sentence in done.stderr) == (2, True), done.stderr
    wide = rung("predict", "m.rung", "new.csv", "--intervals", "99.9%")
    assert wide.exit_code == 0
    assert "120 rows of evidence are too few for a coverage of 0.999: it takes 999" in wide.stderr
    model, _ = fitted(kind)
    save_model(model, "bare.rung")
    done = rung("predict", "bare.rung", "new.csv", "--intervals", "90%")
    assert done.exit_code == 2
    assert "keeps no predictions for rows that it had not seen" in done.stderr


def test_other_sets_are_asked_for(rung: Rung) -> None:
    _save("binary")
    words = ("predict", "m.rung", "new.csv", "--intervals", "90%", "--sets")
    small, large = (rung(*words, way).stdout.count("|") for way in ("lac", "aps"))
    assert small <= large
    assert "no way 'raps' to make sets" in rung(*words, "raps").stderr
