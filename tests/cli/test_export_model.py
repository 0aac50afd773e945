"""`rung export-model`: what it writes, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from rung.tabular.model_file import save_model
from support.tables import fitted, table


@pytest.fixture
def files(folder: Path) -> Path:
    """A model without text, and its table; one with text."""
    from rung.tabular.columns import infer_columns
    from rung.tabular.deadline import Deadline
    from rung.tabular.encode import encode
    from rung.tabular.learners.table import defaults, learners
    from rung.tabular.model import Member, Model
    from rung.tabular.pipeline import Order, fit_pipeline
    from rung.tabular.task import guess_task

    frame = table("binary").drop(columns="note")
    task = guess_task(frame["y"])
    encoder, encoded = encode(frame, infer_columns(frame, "y"))
    members = []
    for name in ("linear", "lightgbm"):
        config = defaults(learners()[name], categories=True, missing=True)[0]
        order = Order(learners()[name], config, encoder.sizes, 0, Deadline.after(60))
        y = task.encode(frame["y"]).astype(float)
        members.append(Member(0.5, name, [fit_pipeline(order, encoded, y, 2).pipeline], config))
    save_model(Model(task, encoder, members, "y", {"metric": "auc"}), folder / "model.rung")
    save_model(fitted("binary", "linear")[0], folder / "texts.rung")
    frame.to_csv(folder / "table.csv", index=False)
    return folder


def test_onnx(files: Path, rung: Any) -> None:
    done = rung(
        "export-model", "model.rung", "--to", "onnx", "--out", "model.onnx", "--check", "table.csv", "--json"
    )
    assert done.exit_code == 0, done.stderr
    assert (files / "model.onnx").is_file()
    facts = json.loads(done.stdout)
    assert facts["rows"] == 120
    assert facts["difference"] < 1e-9
    assert facts["inputs"] == ["a", "b", "noise", "day"]
    assert facts["outputs"] == ["prediction", "probabilities"]
    assert "on 120 rows of the table it differs from the model by" in done.stderr
    done = rung(
        "export-model", "model.rung", "--to", "onnx", "--out", "small.onnx", "--drop-member", "lightgbm"
    )
    assert done.exit_code == 0, done.stderr
    assert "made-up rows" in done.stderr
    assert (files / "small.onnx").stat().st_size < (files / "model.onnx").stat().st_size


def test_python_and_mlflow(files: Path, rung: Any) -> None:
    done = rung("export-model", "model.rung", "--to", "python", "--out", "model.py")
    assert done.exit_code == 0, done.stderr
    assert "run it with python model.py TABLE.csv" in done.stderr
    compile((files / "model.py").read_text(), "model.py", "exec")
    done = rung("export-model", "model.rung", "--to", "mlflow", "--out", "folder")
    assert done.exit_code == 0, done.stderr
    assert (files / "folder" / "MLmodel").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("model.rung", "--to", "pmml", "--out", "x"),
            "there is no form 'pmml': give --to onnx, python or mlflow",
        ),
        (("model.rung", "--to", "onnx", "--out", "x.pb"), "does not end in .onnx"),
        (
            ("model.rung", "--to", "python", "--out", "x.py", "--check", "table.csv"),
            "--check compares an ONNX graph",
        ),
        (
            ("model.rung", "--to", "python", "--out", "x.py", "--drop-member", "linear"),
            "rebuilds one member only",
        ),
        (
            ("model.rung", "--to", "onnx", "--out", "x.onnx", "--drop-member", "svm"),
            "no member 'svm' to drop",
        ),
        (("texts.rung", "--to", "onnx", "--out", "x.onnx"), "column 'note' is text"),
        (("none.rung", "--to", "onnx", "--out", "x.onnx"), "there is no file none.rung"),
        (("model.rung", "--to", "onnx", "--out", "none/x.onnx"), "the folder none does not exist"),
        (("model.rung", "--to", "mlflow", "--out", "."), "exists already"),
        (("table.csv", "--to", "onnx", "--out", "x.onnx"), "no rung model"),
    ],
)
def test_refusals(files: Path, rung: Any, arguments: tuple[str, ...], sentence: str) -> None:
    done = rung("export-model", *arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert not list(files.glob("x*"))


def test_a_library_that_is_missing_is_a_sentence(
    files: Path, rung: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rung.deploy import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    done = rung("export-model", "model.rung", "--to", "onnx", "--out", "x.onnx")
    assert done.exit_code == 2
    assert (
        "exporting to ONNX needs onnx and onnxruntime, which are not installed: pip install 'rung[onnx]'"
        in (done.stderr)
    )
