"""Scripts run as they are, and fit what the model's member is."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from rung.deploy.script_layout import laid_out, quoted
from rung.deploy.to_python import export_python, script
from rung.errors import UserError
from rung.tabular.fit import fit_table
from rung.tabular.learners.table import BUILT_IN
from rung.tabular.pipeline import Order
from support.tables import fitted

_NONE = ("real_mlp", "tabpfn", "tabicl")  # no form, and no weights here


@pytest.mark.parametrize(
    ("kind", "learner"),
    [
        (kind, one.name)
        for one in BUILT_IN
        for kind in ("binary", "multiclass", "regression")
        if kind in one.tasks and one.name not in _NONE
    ],
)
def test_every_learners_script_is_python(fit: Any, kind: str, learner: str) -> None:
    model, _ = fit(kind, learner)
    text, member = script(model)
    assert member.name == learner
    tree = ast.parse(text)
    assert {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} >= {
        "read",
        "make_model",
        "main",
    }
    code = compile(tree, "model.py", "exec")
    names: dict[str, Any] = {"__name__": "script"}
    exec(code, names)
    made = names["make_model"]()
    assert hasattr(made, "fit")


def test_the_script_reads_numbers_as_people_write_them(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("regression", "linear")
    text, _ = script(model)
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "model.py", "exec"), names)
    numbers = [c.name for c in model.columns if c.kind == "number"]
    frame = frame.assign(**{numbers[0]: [f"${1000 + i:,}.5" for i in range(len(frame))]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    X, _ = names["read"](str(tmp_path / "t.csv"))
    assert X[numbers[0]].tolist()[:2] == [1000.5, 1001.5]
    frame = frame.assign(**{numbers[0]: [i + 0.5 for i in range(len(frame))]})
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")
    X, y = names["read"](str(tmp_path / "t.csv"))
    assert X[numbers[0]].tolist()[:2] == [0.5, 1.5]
    assert y.tolist() == pytest.approx(frame["y"].tolist())


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ('size , price\n"1,234.5",$ 12.50\n12 %,"3,000 EUR"\n?,7\n5,\n', "utf-8"),
        ("size;price\n1.234,5;12,50 €\n12;3.000\n;7.0\n5;\n", "utf-16"),
        ("\ufeffsize|price\n1234.5|12.5\n12|3000\nk.A.|7\n5|\n", "utf-8"),
    ],
)
def test_the_script_reads_a_table_as_rung_does(tmp_path: Path, text: str, encoding: str) -> None:
    frame = pd.DataFrame({"size": np.arange(60.0) % 17, "price": np.arange(60.0)})
    model = fit_table(frame, "price", budget=0.3, include=["linear"]).model
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script(model)[0], "model.py", "exec"), names)
    (tmp_path / "t.csv").write_text(text, encoding)
    X, y = names["read"](str(tmp_path / "t.csv"))
    assert y.tolist() == [12.5, 3000.0, 7.0]
    assert X["size"].tolist() == pytest.approx([1234.5, 12.0, float("nan")], nan_ok=True)


@pytest.mark.parametrize(
    ("kind", "learner"),
    [
        ("binary", "lightgbm"),
        ("multiclass", "xgboost"),
        ("regression", "hist_boosting"),
        ("binary", "catboost"),
    ],
)
def test_the_script_runs_on_the_table(fit: Any, tmp_path: Path, kind: str, learner: str) -> None:
    model, frame = fit(kind, learner)
    frame.to_csv(tmp_path / "table.csv", index=False)
    export_python(model, tmp_path / "model.py")
    done = subprocess.run(
        [sys.executable, "model.py", "table.csv", "--out", "kept.joblib"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    score = float(done.stdout.split(":")[1].split()[0])
    assert (-0.7 if kind != "multiclass" else -1.09) < score < 0, done.stderr
    loaded = subprocess.run(  # by a process that knows nothing of the script's functions
        [sys.executable, "-c", "import joblib; print(joblib.load('kept.joblib'))"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.parametrize("learner", ["lightgbm", "xgboost", "catboost"])
def test_the_scripts_learning_rate_is_the_one_that_was_used(
    fit: Any, learner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rises where the time is short, and rounds alone would be too few for the one that was asked for."""
    known = {"rounds": 7.0, "rate": 0.21}
    monkeypatch.setattr("support.tables.Order", lambda *given: Order(*given, known))
    model, _ = fitted("binary", learner)
    assert f"learning_rate={model.members[0].config['learning_rate']:g}" not in script(model)[0]
    assert "learning_rate=0.21," in script(model)[0]


def test_the_script_reads_parquet_as_the_text_that_it_would_be(tmp_path: Path) -> None:
    hours = np.arange(60.0) % 7
    frame = pd.DataFrame({"size": np.arange(60), "wait": pd.to_timedelta(hours, unit="h"), "y": hours})
    frame.to_parquet(tmp_path / "t.parquet")
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script(fit_table(frame, "y", trials=1, include=["linear"]).model)[0], "m.py", "exec"), names)
    X, y = names["read"](str(tmp_path / "t.parquet"))
    assert X["wait"].tolist() == pytest.approx(hours.tolist())
    assert [float(value) for value in y] == hours.tolist()


def test_text_columns_are_in_the_script_and_the_pipeline_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, frame = fitted("binary", "linear")
    frame.to_csv(tmp_path / "table.csv", index=False)
    names: dict[str, Any] = {"__name__": "script"}
    exec(script(model)[0], names)
    monkeypatch.setattr(
        sys, "argv", ["model.py", str(tmp_path / "table.csv"), "--out", str(tmp_path / "kept")]
    )
    X, y = names["read"](str(tmp_path / "table.csv"))
    assert list(X.columns) == ["a", "noise", "b", "day", "note"]
    made = names["make_model"]().fit(X, y)
    joblib.dump(made.named_steps["logisticregression"], tmp_path / "kept")
    assert (made.predict(X) == y).mean() > 0.8


def test_the_heaviest_member_that_has_a_form(fit: Any) -> None:
    model, _ = fit("binary", "real_mlp", "linear", "bayes")
    for member, weight in zip(model.members, (0.7, 0.1, 0.2), strict=True):
        member.weight = weight
    text, member = script(model)
    assert member.name == "bayes"
    assert "The heaviest member, real_mlp, has no form in scikit-learn." in text
    model.members = model.members[:1]
    with pytest.raises(UserError, match=r"no member of the model \(real_mlp\) has a form in scikit-learn"):
        script(model)


@pytest.mark.parametrize(
    ("temperature", "said"),
    [
        (2.0, "leaves out the temperature of 3.0, without which it is too sure of its classes"),
        (0.4, "leaves out the temperature of 0.6, without which it is less sure than it may be"),
        (2 / 3, None),
    ],
)
def test_how_sure_the_model_was_made_is_said(fit: Any, temperature: float, said: str | None) -> None:
    model, _ = fit("binary", "bayes")
    for member in model.members:
        member.temperature = temperature
    model.temperature = 1.5
    text = " ".join(script(model)[0].split())
    assert said in text if said else "temperature" not in text


def test_what_the_script_leaves_out_is_said(fit: Any) -> None:
    model, _ = fit("regression", "lightgbm", expand="pairs", target="log")
    assert "leaves out columns that rung generated and the logarithm of the target" in script(model)[0]


@pytest.mark.parametrize("scale", ["quantile", "smooth"])
def test_columns_of_two_values_are_scaled_as_the_model_does(fit: Any, tmp_path: Path, scale: str) -> None:
    """By ranks they lay at the ends of the normal distribution, where naive Bayes went astray."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=300), "city": rng.choice([f"c{i}" for i in range(20)], 300)})
    frame["y"] = np.where(frame.x + rng.normal(size=300) > 0, "yes", "no")
    model, _ = fit("binary", "bayes", frame=frame, scale=scale)
    made, X = _fitted_script(model, frame, tmp_path)
    assert made.predict_proba(X) == pytest.approx(model.predict_proba(frame), abs=0.02)


def test_a_table_of_nothing_but_two_values_has_a_script(fit: Any, tmp_path: Path) -> None:
    """A scale by ranks was asked how many it has, where no column has any."""
    frame = pd.DataFrame({"a": np.arange(80) % 2, "b": np.arange(80) // 40 % 2})
    frame["y"] = np.where(np.arange(80) % 10 < 6, "yes", "no")
    model, _ = fit("binary", "bayes", frame=frame, scale="quantile")
    made, X = _fitted_script(model, frame, tmp_path)
    assert made.predict_proba(X) == pytest.approx(model.predict_proba(frame), abs=0.02)


def _fitted_script(model: Any, frame: pd.DataFrame, folder: Path) -> tuple[Any, pd.DataFrame]:
    """The script's pipeline, fitted on the table as the script reads it, and that table."""
    frame.to_csv(folder / "t.csv", index=False)
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script(model)[0], "model.py", "exec"), names)
    X, y = names["read"](str(folder / "t.csv"))
    return names["make_model"]().fit(X, y), X


def test_xgboost_with_generated_columns_is_told_the_scripts_own(fit: Any, tmp_path: Path) -> None:
    """Types of columns that the script does not generate were told, too, and XGBoost refused the table."""
    model, frame = fit("binary", "xgboost", expand="pairs")
    made, X = _fitted_script(model, frame, tmp_path)
    assert made.predict_proba(X).shape == (len(frame), 2)


@pytest.mark.parametrize(("metric", "learner"), [("log_loss", "linear"), ("auc_ovr", "xgboost")])
def test_a_class_that_a_fold_has_no_row_of_leaves_a_score(
    fit: Any, tmp_path: Path, metric: str, learner: str
) -> None:
    """A class of three rows in five folds made the script's score "nan"."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=120)})
    frame["y"] = np.where(frame.x > 0, "high", "low")
    frame.loc[:2, "y"] = "rare"
    frame.to_csv(tmp_path / "t.csv", index=False)
    model, _ = fit("multiclass", learner, frame=frame)
    model.notes["metric"] = metric
    export_python(model, tmp_path / "m.py")
    done = subprocess.run(
        [sys.executable, "m.py", "t.csv"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    score = float(done.stdout.split(":")[1].split()[0])
    assert -1 < score < 0 if metric == "log_loss" else 0.5 < score <= 1


def test_lines_are_not_long_and_odd_names_stay_whole(fit: Any) -> None:
    model, _ = fit("regression", "lightgbm")
    text, _ = script(model)
    assert max(map(len, text.splitlines())) < 112
    assert ast.literal_eval(quoted('a "b"\n, (c) é')) == 'a "b"\n, (c) é'
    code = laid_out('f("a, (b", g(1, 2), h=[3, 4], k="' + "x" * 100 + '")', 0)
    assert ast.dump(ast.parse(code)) == ast.dump(
        ast.parse('f("a, (b", g(1, 2), h=[3, 4], k="' + "x" * 100 + '")')
    )


@pytest.mark.parametrize("learner", ["lightgbm", "catboost", "hist_boosting"])
def test_a_quantiles_script_fits_the_quantile(tmp_path: Path, learner: str) -> None:
    """It fitted the mean, and scored it by the root of the mean squared error."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.uniform(size=300), "w": 1.0})
    frame["y"] = frame.x + rng.exponential(size=300)
    frame.to_csv(tmp_path / "t.csv", index=False)
    how: dict[str, Any] = {"trials": 1, "include": (learner,), "weights": "w", "refit": True}
    model = fit_table(frame, "y", task="quantile:0.9", **how).model
    text, _ = script(model)
    assert "make_scorer(mean_pinball_loss, alpha=0.9, greater_is_better=False)" in text
    assert "leaves out the rows' weights (column 'w')" in text
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "model.py", "exec"), names)
    X, y = names["read"](str(tmp_path / "t.csv"))
    made = names["make_model"]().fit(X, y)
    assert 0.8 < float(np.mean(y < made.predict(X))) < 0.99


@pytest.mark.parametrize("way", ["group", "folds"])
def test_the_script_holds_rows_out_as_the_search_did(tmp_path: Path, way: str) -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(4), 30)
    frame = pd.DataFrame({"x": rng.normal(size=120) + people, "who": [f"p{i}" for i in people]})
    frame["y"] = people + rng.normal(size=120)
    frame.to_csv(tmp_path / "t.csv", index=False)
    model = fit_table(frame, "y", trials=1, include=["linear"], split=f"{way}:who").model
    text, _ = script(model, "m.py")
    assert "folds are random" not in text
    (tmp_path / "m.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "m.py", "t.csv"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "(4 folds, deviation" in done.stdout  # each person is one
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "m.py", "exec"), names)
    assert names["read"](str(tmp_path / "t.csv"))[2].tolist() == frame.who.tolist()


def test_the_script_reads_the_brackets_of_accounts(fit: Any, tmp_path: Path) -> None:
    model, frame = fit("regression", "linear")
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script(model)[0], "model.py", "exec"), names)
    target = [f"(1,{i:03d}.50)" if i % 2 else f"{i}" for i in range(len(frame))]
    frame.assign(y=target).to_csv(tmp_path / "t.csv", index=False)
    assert names["read"](str(tmp_path / "t.csv"))[1].tolist()[:4] == [0, -1001.5, 2, -1003.5]


def test_the_scripts_dates_do_not_depend_on_the_day_that_it_runs(fit: Any) -> None:
    model, _ = fit("regression", "linear")
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script(model)[0], "model.py", "exec"), names)
    parts = names["date_parts"](pd.DataFrame({"day": ["now", "today", "29.02.2024"]}))
    assert np.isnan(parts[:2]).all()
    assert parts[2, 1:4].tolist() == [2024, 2, 29]


def test_the_saved_pipeline_takes_a_frame_as_pandas_reads_it(tmp_path: Path) -> None:
    size = np.arange(60.0) % 17
    frame = pd.DataFrame({"size": [f"{x:g} kg" for x in size], "hour": [f"{int(x)}:30" for x in size]})
    frame = frame.assign(flag=size > 8, code=pd.Series(size % 3).where(size > 1), y=size)
    model = fit_table(frame, "y", budget=0.3, include=["linear"], kinds={"code": "category"}).model
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(script(model)[0].partition("\n\nif __name__")[0], "model.py", "exec"), names)
    frame.convert_dtypes().to_csv(tmp_path / "t.csv", index=False)
    X, y = names["read"](str(tmp_path / "t.csv"))
    joblib.dump(names["make_model"]().fit(X, y), tmp_path / "p.joblib")
    model = joblib.load(tmp_path / "p.joblib")
    expected = model.predict(X)
    assert np.ptp(expected) > 1
    assert model.predict(pd.read_csv(tmp_path / "t.csv")) == pytest.approx(expected)
    later = {"flag": ["True", "False", None], "code": ["1", None, "0"]}
    words = pd.DataFrame({"size": [" 4 kg", "9kg", None], "hour": ["4:30 ", None, "16:30"], **later})
    plain = pd.DataFrame({"size": [4.0, 9.0, np.nan], "hour": [4.5, np.nan, 16.5], **later})
    assert model.predict(words) == pytest.approx(model.predict(plain))


@pytest.mark.parametrize("learner", ["linear", "forest", "xgboost"])
def test_the_saved_pipeline_takes_infinite_and_vast_numbers(tmp_path: Path, learner: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 2)), columns=["a", "b"]).assign(y=lambda f: f.a - f.b)
    frame.loc[::9, "a"] = np.nan
    model = fit_table(frame, "y", trials=1, budget=20, include=[learner]).model
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script(model)[0], "model.py", "exec"), names)
    made = names["make_model"]().fit(frame[["a", "b"]], frame["y"])
    vast = pd.DataFrame({"a": [np.inf, -np.inf, 1e300, -3.5e38, 1], "b": [1, 1, 1, 1, np.inf]})
    cut = pd.DataFrame({"a": [np.nan, np.nan, 1e30, -1e30, 1], "b": [1, 1, 1, 1, np.nan]})
    assert made.predict(vast) == pytest.approx(made.predict(cut))
    assert np.isfinite(made.predict(vast)).all()
    counts = pd.DataFrame({"a": [1, None], "b": [2, 3]}).convert_dtypes()
    assert made.predict(counts) == pytest.approx(made.predict(counts.astype(float)))
