"""Contributions over many rows at once: SHAP values of a boosting member, computed by its own library
(Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for trees").

They are of the one member with the most weight, in the terms it adds up trees in: log-odds of a class, or the
target's unit. Columns of its matrix are summed into the table's columns that they were made of, which is
found by trying: shuffle a column of the table, and see which columns of the matrix change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import prepare
from rung.tabular.pipeline import Classifying, Regressing

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.encode import Encoder
    from rung.tabular.model import Member, Model

Floats = NDArray[np.float64]
MOST_CELLS: Final = 300_000  # of the matrix of all shuffled columns


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each column's cell added, of many rows.

    Attributes:
        what: the unit in words.
        columns: (c,) names, the largest mean absolute contribution first.
        amounts: (n, c).
        ranks: (n, c) where the cell lies among the rows' numbers, 0 to 1; NaN of others and missing ones.
        base: of all rows; base plus amounts is the member's margin.
        margin: (n,).
    """

    what: str
    columns: tuple[str, ...]
    amounts: Floats
    ranks: Floats
    base: float
    margin: Floats


def tree_contributions(
    model: Model, frame: pd.DataFrame, most: int = 200, seed: int = 0
) -> Contributions | None:
    """Of the heaviest boosting member on at most `most` rows; None where there is none, or where its columns
    mix several of the table's.
    """
    from rung.tabular.evaluate import quietly

    member = next((m for m in sorted(model.members, key=lambda m: -m.weight) if _readable(m)), None)
    if member is None or not len(frame):
        return None
    rows = np.random.default_rng([seed, 67]).permutation(len(frame))[:most]
    cells = prepare(frame.iloc[rows], model.columns)
    with quietly():
        return _contributions(model, member, cells, seed)


def _readable(member: Member) -> bool:
    pipeline = member.pipelines[0]
    return isinstance(pipeline, Classifying | Regressing) and type(pipeline.estimator).__name__ in _LIBRARIES


def _contributions(model: Model, member: Member, cells: pd.DataFrame, seed: int) -> Contributions | None:
    pipeline = member.pipelines[0]
    assert isinstance(pipeline, Classifying | Regressing)  # as `_readable` has found
    X = pipeline.preparation.transform(model.encoder.arrays(cells))
    owner = _owners(model.encoder, pipeline.preparation, cells, X.shape[1], seed)
    if owner is None:
        return None
    raw = _LIBRARIES[type(pipeline.estimator).__name__](pipeline.estimator, X)  # (n, d + 1, m)
    one, what = _one(pipeline, raw, model)
    names = list(cells.columns)
    amounts = np.zeros((len(X), len(names) + 1))
    np.add.at(amounts.T, owner, one[:, :-1].T)
    order = np.argsort(-np.abs(amounts[:, :-1]).mean(axis=0), kind="stable")
    base = float(
        one[0, -1] + amounts[:, -1].mean()
    )  # what no column could be made to change is the same always
    return Contributions(
        f"{what} of {member.name}",
        tuple(names[k] for k in order),
        amounts[:, order],
        cell_ranks(cells)[:, order],
        base,
        one.sum(axis=1),
    )


def _one(pipeline: Classifying | Regressing, raw: Floats, model: Model) -> tuple[Floats, str]:
    """(n, d + 1) contributions to one output, and what it is: of several classes the most frequent."""
    if isinstance(pipeline, Regressing):
        found = raw[:, :, 0] * pipeline.scale
        found[:, -1] += pipeline.center
        return found, f"log of {model.target}" if getattr(pipeline, "log", False) else model.target
    if raw.shape[2] == 1:
        found = raw[:, :, 0]
        if pipeline.odds is not None:
            found[:, -1] += np.log(pipeline.odds[1] / pipeline.odds[0])
        return found, f"log-odds of {model.task.classes[int(pipeline.seen[-1])]}"
    usual = int(np.argmax(pipeline.shares[pipeline.seen]))
    return raw[:, :, usual], f"score of {model.task.classes[int(pipeline.seen[usual])]}"


def _owners(
    encoder: Encoder, preparation: Any, cells: pd.DataFrame, width: int, seed: int
) -> NDArray[np.intp] | None:
    """Of each column of the matrix which of the table's it is made of; their number where it is none's.

    None where one is made of several.
    """
    import pandas as pd

    names = list(cells.columns)
    rows = int(np.clip(MOST_CELLS // max(1, len(names) * width), 10, len(cells)))
    sample = cells.iloc[:rows]
    rng = np.random.default_rng([seed, 71])
    shuffled = [
        sample.assign(**{name: sample[name].iloc[rng.permutation(rows)].set_axis(sample.index)})
        for name in names
    ]
    table = encoder.arrays(pd.concat([sample, *shuffled], ignore_index=True))
    stacked = preparation.transform(table).reshape(len(names) + 1, rows, width)
    same = np.isclose(stacked[1:], stacked[:1], rtol=0, atol=1e-12, equal_nan=True).all(axis=1)  # (c, d)
    if ((~same).sum(axis=0) > 1).any():
        return None
    return np.where(same.all(axis=0), len(names), (~same).argmax(axis=0)).astype(np.intp)


def cell_ranks(cells: pd.DataFrame) -> Floats:
    """(n, c) where each number or date lies among its column's, 0 to 1; NaN of all else."""
    import pandas as pd

    ranks = np.full(cells.shape, np.nan)
    for j, name in enumerate(cells.columns):
        if not pd.api.types.is_object_dtype(cells[name].dtype) and len(cells) > 1:
            place = cells[name].rank(method="average").to_numpy(dtype=np.float64)
            ranks[:, j] = (place - 1) / max(1.0, float(cells[name].notna().sum()) - 1)
    return ranks


def _lightgbm(estimator: Any, X: Floats) -> Floats:
    found = np.asarray(estimator.booster.predict(X, pred_contrib=True, num_threads=1), dtype=np.float64)
    outputs = found.shape[1] // (X.shape[1] + 1)
    return found.reshape(len(X), outputs, X.shape[1] + 1).transpose(0, 2, 1)


def _xgboost(estimator: Any, X: Floats) -> Floats:
    import xgboost

    rows = xgboost.DMatrix(X, feature_types=estimator.types, enable_categorical=True, nthread=1)
    found = estimator.booster.predict(rows, pred_contribs=True, iteration_range=(0, estimator.rounds))
    found = np.asarray(found, dtype=np.float64)
    return found[:, :, None] if found.ndim == 2 else found.transpose(0, 2, 1)


_LIBRARIES: Final[dict[str, Callable[[Any, Floats], Floats]]] = {
    "LightGBMModel": _lightgbm,
    "XGBoostModel": _xgboost,
}
