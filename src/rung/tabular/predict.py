"""Predictions as a table: a column `prediction`, and for classes one probability each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.tabular.columns import prepare

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.model import Model


def predict_table(model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    """Column `prediction` (labels as they stood in the training table, or numbers), then `p_<class>` for
    each class.

    The frame's columns may stand in any order, others beside them are ignored; rows keep their order.

    Raises:
        DataError: the frame lacks a column that the model needs.
    """
    import pandas as pd

    X = prepare(frame, model.columns)
    if not model.task.is_classification:
        return pd.DataFrame({"prediction": model.predict(X)})
    probabilities = model.predict_proba(X)  # (n, k)
    labels = model.task.decode(probabilities.argmax(axis=1))
    shares = {f"p_{label}": probabilities[:, k] for k, label in enumerate(model.task.classes)}
    return pd.DataFrame({"prediction": labels, **shares})
