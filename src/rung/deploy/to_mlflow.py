"""A model as an MLflow folder that `mlflow.pyfunc.load_model` opens; rung is among its requirements."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung import __version__
from rung.deploy.extras import need
from rung.deploy.to_onnx import without
from rung.errors import UserError
from rung.tabular.model import Member, Model
from rung.tabular.model_file import load_model, save_model, versions

if TYPE_CHECKING:
    import pandas as pd

_MODULE = "rung.deploy.to_mlflow"
_BOOSTERS = {"LightGBMModel": "lightgbm", "XGBoostModel": "xgboost", "CatBoostModel": "catboost"}


def export_mlflow(model: Model, folder: str | Path, drop: Sequence[str] = ()) -> Path:
    """Write `model` as a new MLflow folder, with its signature and what it requires.

    Args:
        drop: names of members that are left out.

    Raises:
        UserError: the folder exists or cannot be made, or MLflow is not installed.
    """
    need("mlflow", "exporting to MLflow")
    from mlflow import pyfunc

    place = Path(folder)
    if place.exists():
        raise UserError(f"{place} exists already: give --out the name of a new folder")
    if not place.parent.is_dir():
        raise UserError(f"the folder {place.parent} does not exist: make it, or give another --out")
    model = without(model, drop)
    try:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as temporary:
            inner = Path(temporary)
            save_model(model, inner / "model.rung")
            with warnings.catch_warnings():  # MLflow warns of its own older forms
                warnings.simplefilter("ignore")
                pyfunc.save_model(
                    path=inner / "whole",
                    loader_module=_MODULE,
                    data_path=str(inner / "model.rung"),
                    signature=_signature(model),
                    pip_requirements=requirements(model),
                )
            shutil.move(inner / "whole", place)
    except OSError as error:
        raise UserError(
            f"{place} cannot be written ({error.strerror or error}): give another --out"
        ) from error
    return place


def requirements(model: Model) -> list[str]:
    """As pip takes them: rung, and the libraries of the model's members as they are here."""
    used = {"scikit-learn"}.union(*(_libraries(member) for member in model.members))
    here = versions()
    return [f"rung=={__version__}", *(f"{name}=={here[name]}" for name in sorted(used | {"numpy", "pandas"}))]


def _libraries(member: Member) -> set[str]:
    """Of boosters; a stack's are those of its bases."""
    found = set()
    for pipeline in member.pipelines:
        found |= {library for base in getattr(pipeline, "bases", ()) for library in _libraries(base)}
        found.add(_BOOSTERS.get(type(getattr(pipeline, "estimator", None)).__name__, "scikit-learn"))
    return found


def _signature(model: Model) -> Any:
    """The columns by name; of any type, for a kind is no type: the model takes integers, truth values and
    words as numbers, moments and words as dates, and MLflow would refuse all but one of these.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    anything: Any = AnyType()  # type: ignore[no-untyped-call]
    inputs: list[Any] = [ColSpec(anything, column.name) for column in model.columns if column.used]
    label = {"i": DataType.long, "f": DataType.double, "b": DataType.boolean}
    outputs: list[Any] = [ColSpec(label.get(_kind(model), DataType.string), "prediction")]
    outputs += [ColSpec(DataType.double, f"p_{label}") for label in model.task.classes]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _kind(model: Model) -> str:
    """Of the predictions, as numpy calls it."""
    from rung.tabular.task import label_array

    return label_array(model.task.classes).dtype.kind if model.task.classes else "f"


class _Served:
    """What MLflow calls."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Column `prediction`, and for classes `p_<class>` each."""
        from rung.tabular.predict import predict_table

        return predict_table(self.model, frame)


def _load_pyfunc(path: str) -> _Served:
    """MLflow's way in: the name is its own."""
    return _Served(load_model(path))
