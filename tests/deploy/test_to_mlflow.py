"""MLflow loads the folder and predicts what the model predicts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rung.deploy.to_mlflow import export_mlflow, requirements
from rung.errors import UserError
from rung.tabular.fit import fit_table
from rung.tabular.predict import predict_table
from support.tables import fitted

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_mlflow_predicts_the_same(tmp_path: Path, kind: str) -> None:
    import mlflow

    model, frame = fitted(kind, "linear", "lightgbm")
    place = export_mlflow(model, tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    loaded = mlflow.pyfunc.load_model(str(place))
    rows = frame.drop(columns=["y", "same"])
    found = loaded.predict(rows)
    pd.testing.assert_frame_equal(found, predict_table(model, frame))
    assert loaded.metadata.signature.inputs.input_names() == ["a", "b", "noise", "note", "day"]
    outputs = loaded.metadata.signature.outputs.input_names()
    assert outputs == list(found.columns)


def test_every_type_that_the_model_reads_goes_through_mlflow(tmp_path: Path) -> None:
    """Integers, truth values, categories and moments: MLflow refuses what differs from a signature's type."""
    import mlflow

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "whole": rng.integers(0, 50, 80),
            "true": rng.random(80) < 0.5,
            "level": pd.Categorical(rng.choice(["u", "v"], 80)),
            "when": pd.date_range("2020-01-01", periods=80),
            "y": rng.choice(["no", "yes"], 80),
        }
    )
    model = fit_table(frame, "y", budget=0.3).model
    place = export_mlflow(model, tmp_path / "folder")
    rows = frame.drop(columns="y")
    expected = predict_table(model, rows)
    loaded = mlflow.pyfunc.load_model(str(place))
    for given in (rows, rows.astype(object), rows.convert_dtypes(), rows.assign(when=rows.when.astype(str))):
        pd.testing.assert_frame_equal(loaded.predict(given), expected)
    with pytest.raises(mlflow.MlflowException, match="whole"):
        loaded.predict(rows.drop(columns="whole"))


def test_requirements_are_those_of_the_members(tmp_path: Path) -> None:
    model, _ = fitted("binary", "linear", "lightgbm")
    names = [line.split("==")[0] for line in requirements(model)]
    assert names == ["rung", "lightgbm", "numpy", "pandas", "scikit-learn"]
    place = export_mlflow(model, tmp_path / "folder", ["lightgbm"])
    assert "lightgbm" not in (place / "requirements.txt").read_text()


def test_a_folder_that_exists_is_refused(tmp_path: Path) -> None:
    model, _ = fitted("binary", "linear")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="exists already"):
        export_mlflow(model, tmp_path / "folder")
    with pytest.raises(UserError, match="does not exist"):
        export_mlflow(model, tmp_path / "none" / "folder")
