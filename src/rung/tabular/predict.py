"""Predictions as a table: a column `prediction`, for classes one probability each, and what is as likely as
asked: an interval or a set of classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import numpy as np

from rung.errors import DataError
from rung.tabular.cells import MISSING, NO_NUMBER, WRITTEN
from rung.tabular.columns import Column, Kind, prepare
from rung.tabular.dates import far_dates
from rung.tabular.forms import form_words
from rung.tabular.frames import as_pandas
from rung.tabular.names import listed

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.encode import Encoder
    from rung.tabular.frames import Frame
    from rung.tabular.model import Model


LOOKED_AT: Final = 20_000  # rows, for levels that were never seen
_MOSTLY: Final = 0.5  # of a column's cells, of which something should be said
ONE_THREAD: Final = 20_000  # rows up to which predicting uses one thread: more would cost more than they save


def predict_table(model: Model, frame: Frame) -> pd.DataFrame:
    """Column `prediction` (labels as they stood in the training table, or numbers), then `p_<class>` each.

    The frame's columns may stand in any order, others beside them are ignored; rows keep their order.

    Raises:
        DataError: the frame lacks a column that the model needs.
    """
    import pandas as pd

    from rung.tabular.evaluate import quietly

    frame = as_pandas(frame)
    with quietly() if len(frame) <= ONE_THREAD else nullcontext():
        raw = model.raw(frame)  # (n, k) or (n,)
    if not model.task.is_classification:
        return pd.DataFrame({"prediction": raw})
    labels = model.task.decode(model.codes(raw))
    shares = {f"p_{label}": raw[:, k] for k, label in enumerate(model.task.classes)}
    return pd.DataFrame({"prediction": labels, **shares})


def predict_covered(
    model: Model, frame: Frame, coverage: float, method: str = "lac"
) -> tuple[pd.DataFrame, str]:
    """The same with the columns `low` and `high`, or `set` (labels with `|` between), and a note or "".

    Args:
        coverage: share of rows whose truth the interval or the set holds, 0 to 1.
        method: of sets, "lac" or "aps".

    Raises:
        DataError: as `predict_table`, and where the model keeps no evidence to make intervals from, or the
            coverage is out of range.
    """
    import pandas as pd

    from rung.tabular.conformal import predict_interval, predict_set
    from rung.tabular.evaluate import quietly

    frame = as_pandas(frame)
    with quietly() if len(frame) <= ONE_THREAD else nullcontext():
        if not model.task.is_classification:
            found = predict_interval(model, frame, coverage)
            table = {"prediction": found.prediction, "low": found.low, "high": found.high}
            return pd.DataFrame(table), found.note
        sets = predict_set(model, frame, coverage, method)
    _refuse_bars(model)
    raw = sets.prediction
    labels = model.task.decode(model.codes(raw))
    shares = {f"p_{label}": raw[:, k] for k, label in enumerate(model.task.classes)}
    words = ["|".join(map(str, row)) for row in sets.labels()]
    return pd.DataFrame({"prediction": labels, "set": words, **shares}), sets.note


def lost_cells(columns: Iterable[Column], frame: Frame) -> list[str]:
    """One sentence for each column whose cells are there and yet tell a model nothing: words among numbers,
    numbers with another unit, what is no date of the format that was trained on; and for each with dates so
    far away that they stand for none.

    Args:
        columns: of the training table.
        frame: any later one; columns that it lacks are left to `prepare`, which refuses them.
    """
    frame = as_pandas(frame)
    places = {str(name): i for i, name in enumerate(frame.columns)}
    found = []
    for column in columns:
        if column.kind not in (Kind.NUMBER, Kind.DATE) or column.name not in places:
            continue
        cells = frame.iloc[:, [places[column.name]]].reset_index(drop=True)
        lost = _lost(cells.set_axis([column.name], axis=1), column)
        far = far_dates(lost, column.format) if column.kind == Kind.DATE else np.zeros(len(lost), dtype=bool)
        unit = f" that the model can read ({form_words(column.form)})" if column.form else ""
        for what, some in ((f"no {column.kind}{unit}", lost[~far]), ("dates out of range", lost[far])):
            if len(some):
                found.append(
                    f"column {column.name!r} holds {what} in {len(some):,} of {len(cells):,} rows, such as "
                    f"{str(some.iloc[0])!r}: these cells are taken as missing"
                )
    return found


def strange_levels(encoder: Encoder, frame: Frame) -> list[str]:
    """One sentence for each category most of whose cells are levels that the model has never seen.

    Args:
        encoder: the model's.
        frame: any later table, of which the first rows are looked at.
    """
    frame = as_pandas(frame).iloc[:LOOKED_AT]
    names = [name for name in encoder.names(Kind.CATEGORY) if name in frame.columns]
    chosen = [column for column in encoder.columns if column.name in names]
    cells = prepare(frame[names], chosen)
    found = []
    for name, levels in zip(encoder.names(Kind.CATEGORY), encoder.levels, strict=True):
        if name not in names:
            continue
        given = cells[name].dropna()
        strange = given[~given.isin(levels)]
        if len(strange) > _MOSTLY * len(given):
            found.append(
                f"column {name!r} holds levels that the model has not seen in {len(strange):,} of "
                f"{len(frame):,} rows, such as {str(strange.iloc[0])!r}: they tell it nothing"
            )
    return found


def _lost(cells: pd.DataFrame, column: Column) -> pd.Series:
    """The cells that are there and have no meaning, as they stand."""
    import pandas as pd

    given = cells[column.name]
    sign = cells.attrs.get(WRITTEN, {}).get(column.name, "")
    if column.unit and sign not in ("", column.unit):
        return given.dropna().astype(str) + f" {sign}"  # a file's reader took the sign away
    if column.kind == Kind.NUMBER and pd.api.types.is_numeric_dtype(given.dtype):
        return given.iloc[:0]
    lost = given[prepare(cells, [column])[column.name].isna() & given.notna()]
    return lost[~lost.astype(str).str.strip().isin((*MISSING, *NO_NUMBER))] if column.form else lost


def _refuse_bars(model: Model) -> None:
    odd = [str(label) for label in model.task.classes if "|" in str(label)]
    if odd:
        raise DataError(
            f"the column of sets has | between labels, and so has class {listed(map(repr, odd[:3]), 'and')}: "
            "call predict_set from Python, which gives lists"
        )
