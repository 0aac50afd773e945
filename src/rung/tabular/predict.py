"""Predictions as a table: a column `prediction`, and for classes one probability each."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.model import Model


ONE_THREAD: Final = 20_000  # rows up to which predicting uses one thread: more would cost more than they save


def predict_table(model: Model, frame: pd.DataFrame) -> pd.DataFrame:
    """Column `prediction` (labels as they stood in the training table, or numbers), then `p_<class>` each.

    The frame's columns may stand in any order, others beside them are ignored; rows keep their order.

    Raises:
        DataError: the frame lacks a column that the model needs.
    """
    import pandas as pd

    from rung.tabular.evaluate import quietly

    with quietly() if len(frame) <= ONE_THREAD else nullcontext():
        raw = model.raw(frame)  # (n, k) or (n,)
    if not model.task.is_classification:
        return pd.DataFrame({"prediction": raw})
    labels = model.task.decode(raw.argmax(axis=1))
    shares = {f"p_{label}": raw[:, k] for k, label in enumerate(model.task.classes)}
    return pd.DataFrame({"prediction": labels, **shares})
