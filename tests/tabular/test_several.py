from __future__ import annotations

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import rung
from rung.cli.app import app
from rung.errors import DataError
from rung.tabular import fit_targets


def _frame(n=150):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    return frame.assign(
        price=frame.a * 3 + frame.b,
        cosy=np.where(frame.a > 0, "yes", "no"),
        loud=(frame.c > 0.5).astype(int),
    )


def test_each_target_has_a_model_that_sees_no_other_target():
    frame = _frame()
    found = fit_targets(
        frame, ["price", "cosy", "loud"], budget=2, settings={"include": ["linear"], "workers": 1}
    )
    assert set(found.results) == {"price", "cosy", "loud"}
    predictions = found.model.predict(frame[["a", "b", "c"]])
    assert list(predictions.columns) == ["price", "cosy", "loud"]
    assert np.corrcoef(predictions.price, frame.price)[0, 1] > 0.95
    assert (predictions.cosy == frame.cosy).mean() > 0.9
    assert predictions.loud.isin([0, 1]).all()


@pytest.mark.parametrize(
    ("targets", "message"), [(["price", "cozy"], "did you mean cosy"), (["price", "price"], "named twice")]
)
def test_targets_that_cannot_be(targets, message):
    with pytest.raises(DataError, match=message):
        fit_targets(_frame(), targets, budget=1)


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = _frame()
    frame.to_csv("homes.csv", index=False)
    words = ["fit", "homes.csv", "--target", "price,cosy", "--budget", "2", "--include", "linear"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "report-price.html").exists()
    assert (tmp_path / "report-cosy.html").exists()
    result = CliRunner().invoke(app, ["predict", "model.rung", "homes.csv", "--out", "p.csv"])
    assert result.exit_code == 0, result.output
    predictions = pd.read_csv("p.csv")
    assert list(predictions.columns) == ["price", "cosy"]
    assert len(predictions) == 150
    assert list(rung.load("model.rung").models) == ["price", "cosy"]
    result = CliRunner().invoke(app, ["predict", "model.rung", "homes.csv", "--intervals", "90%"])
    assert result.exit_code == 2
    result = CliRunner().invoke(app, ["evaluate", "model.rung", "homes.csv", "--json"])
    assert result.exit_code == 0, result.output
    judged = json.loads(result.stdout)["targets"]
    assert judged["price"]["metrics"]["r2"]["value"] > 0.9
    assert judged["cosy"]["metrics"]["auc"]["value"] > 0.9
    result = CliRunner().invoke(app, ["leaderboard", "model.rung"])
    assert result.exit_code == 2
    assert "models of 2 targets (price and cosy)" in result.stderr
    (tmp_path / "one.rung").write_bytes(zipfile.ZipFile("model.rung").read("0.rung"))  # as it tells to
    assert CliRunner().invoke(app, ["leaderboard", "one.rung"]).exit_code == 0


def test_a_column_whose_name_has_a_comma_is_one_target(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _frame()[["a", "b", "price"]].rename(columns={"price": "a,b"}).to_csv("t.csv", index=False)
    result = CliRunner().invoke(app, ["fit", "t.csv", "--target", "a,b", "--budget", "1"])
    assert result.exit_code == 0, result.output
    assert rung.load("model.rung").target == "a,b"
