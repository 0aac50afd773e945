"""Contributions over many rows at once: SHAP values of a member that is made of trees
(Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for trees").

They are of the one member with the most weight, in the terms it adds up trees in: log-odds of a class, the
share of a forest's votes, or the target's unit. Columns of its matrix are summed into the table's columns
that they are made of, as the fitted preparation tells: a row's values are the same beside any other rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.columns import prepare
from rung.tabular.explain.owners import owners
from rung.tabular.explain.shapley import Contribution, Explanation, check_row, plain_cell
from rung.tabular.explain.tree_shap import SCIKIT_LEARN, available, is_vote, values_of
from rung.tabular.pipeline import Classifying, Regressing

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.model import Member, Model

Floats = NDArray[np.float64]


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
    model: Model,
    frame: pd.DataFrame,
    most: int = 200,
    seed: int = 0,
    seconds: float = float("inf"),
) -> Contributions | None:
    """Of the heaviest member made of trees on at most `most` rows; None where there is none, or where its
    columns mix several of the table's.

    Args:
        seconds: a member whose values need a library that takes longer to import is passed over.
    """
    from rung.tabular.evaluate import quietly

    ordered = sorted(model.members, key=lambda m: -m.weight)
    member = next((one for one in ordered if _readable(one, seconds)), None)
    if member is None or not len(frame):
        return None
    rows = np.random.default_rng([seed, 67]).permutation(len(frame))[:most]
    cells = prepare(frame.iloc[rows], model.columns)
    with quietly():
        return _contributions(model, member, cells)


def explain_row_by_trees(model: Model, frame: pd.DataFrame, row: int) -> Explanation:
    """Why the heaviest member made of trees says what it does of the row at place `row`, counted from 0.

    Raises:
        DataError: no member is made of trees that can be read, or the row is not there.
    """
    check_row(row, len(frame))
    one = frame.iloc[[row]]
    found = tree_contributions(model, one)
    if found is None:
        raise DataError(_why_none(model))
    cells = prepare(one, model.columns)
    parts = [
        Contribution(name, plain_cell(cells[name].iloc[0]), float(amount), 0.0)
        for name, amount in zip(found.columns, found.amounts[0], strict=True)
    ]
    ordered = tuple(sorted(parts, key=lambda part: -abs(part.amount)))
    base = float(found.margin[0]) - sum(part.amount for part in parts)
    return Explanation(found.what, base, float(found.margin[0]), ordered, True, 0, 0)


def _why_none(model: Model) -> str:
    kinds = [type(getattr(member.pipelines[0], "estimator", None)).__name__ for member in model.members]
    if any(name in SCIKIT_LEARN for name in kinds) and not available():
        return "SHAP values of this model's forests need the package shap: pip install 'rung[shap]'"
    return (
        "no member of the model is made of trees whose columns are the table's: leave --shap out, and the "
        "whole model is explained"
    )


def _readable(member: Member, seconds: float) -> bool:
    pipeline = member.pipelines[0]
    if not isinstance(pipeline, Classifying | Regressing):
        return False
    return values_of(pipeline.estimator, seconds) is not None


def _contributions(model: Model, member: Member, cells: pd.DataFrame) -> Contributions | None:
    pipeline = member.pipelines[0]
    assert isinstance(pipeline, Classifying | Regressing)  # as `_readable` has found
    compute = values_of(pipeline.estimator)
    assert compute is not None
    owner = owners(model.encoder, pipeline.preparation)
    if owner is None:
        return None
    X = pipeline.preparation.transform(model.encoder.arrays(cells))
    raw = compute(pipeline.estimator, X)  # (n, d + 1, m)
    if raw is None:
        return None
    one, what = _one(pipeline, raw, model)
    names = list(cells.columns)
    amounts = np.zeros((len(X), len(names)))
    np.add.at(amounts.T, owner, one[:, :-1].T)
    order = np.argsort(-np.abs(amounts).mean(axis=0), kind="stable")
    return Contributions(
        f"{what} of {member.name}",
        tuple(names[k] for k in order),
        amounts[:, order],
        cell_ranks(cells)[:, order],
        float(one[0, -1]),
        one.sum(axis=1),
    )


def _one(pipeline: Classifying | Regressing, raw: Floats, model: Model) -> tuple[Floats, str]:
    """(n, d + 1) contributions to one output, and what it is: of several classes the most frequent."""
    if isinstance(pipeline, Regressing):
        found = raw[:, :, 0] * pipeline.scale
        found[:, -1] += pipeline.center
        return found, f"log of {model.target}" if getattr(pipeline, "log", False) else model.target
    vote = is_vote(pipeline.estimator)
    if raw.shape[2] == 1:
        found = raw[:, :, 0]
        if pipeline.odds is not None and not vote:
            found[:, -1] += np.log(pipeline.odds[1] / pipeline.odds[0])
        name = model.task.classes[int(pipeline.seen[-1])]
        return found, f"votes for {name}" if vote else f"log-odds of {name}"
    usual = int(np.argmax(pipeline.shares[pipeline.seen]))
    name = model.task.classes[int(pipeline.seen[usual])]
    return raw[:, :, usual], f"votes for {name}" if vote else f"score of {name}"


def cell_ranks(cells: pd.DataFrame) -> Floats:
    """(n, c) where each number or date lies among its column's, 0 to 1; NaN of all else."""
    import pandas as pd

    ranks = np.full(cells.shape, np.nan)
    for j, name in enumerate(cells.columns):
        if not pd.api.types.is_object_dtype(cells[name].dtype) and len(cells) > 1:
            place = cells[name].rank(method="average").to_numpy(dtype=np.float64)
            ranks[:, j] = (place - 1) / max(1.0, float(cells[name].notna().sum()) - 1)
    return ranks
