"""Generated, squared and selected columns of a preparation as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from rung.deploy.onnx_graph import ML, Graph
from rung.tabular.preparation import code_tables

_LARGEST = 1e30  # as `rung.tabular.expansion` cuts
_OPERATORS: Final[Mapping[str, str]] = {"minus": "Sub", "plus": "Add", "times": "Mul", "ratio": "Div"}


def add_expansion(graph: Graph, expansion: Any, numbers: str, codes: str) -> str | None:
    """Generated columns (n, e) of numbers (n, a) and codes (n, b); None where there are none."""
    columns = [_pair(graph, numbers, pair) for pair in expansion.pairs]
    columns += [_centred(graph, group, numbers, codes) for group in expansion.groups]
    places = [_cross(graph, cross, codes) for cross in expansion.crosses]
    for place, cross in zip(places, expansion.crosses, strict=True):
        columns.append(graph.op("Gather", np.append(0.0, cross.shares), _next(graph, place)))
    if expansion.encoder is not None:
        sizes = [len(cross.known) for cross in expansion.crosses]
        tables = code_tables(expansion.encoder, sizes)
        for place, table in zip(places, tables, strict=True):
            row = graph.op("Squeeze", _next(graph, place), np.array([1]))
            columns.append(graph.op("Gather", table, row, settings={"axis": 0}))
    return graph.join(columns) if columns else None


def _next(graph: Graph, place: str) -> str:
    """Codes from -1 on as places in a table."""
    return graph.op("Add", place, np.array(1))


def _pair(graph: Graph, numbers: str, pair: Any) -> str:
    a, b = graph.take(numbers, [pair.a]), graph.take(numbers, [pair.b])
    found = graph.op(_OPERATORS[pair.operation], a, b)
    if pair.operation == "ratio":
        found = graph.op("Where", graph.op("IsInf", found), float("nan"), found)
    return graph.bounded(found, -_LARGEST, _LARGEST) if pair.operation in ("times", "ratio") else found


def _centred(graph: Graph, group: Any, numbers: str, codes: str) -> str:
    """A number less its mean in the row's group; a level that no training row had counts as missing."""
    last = len(group.means) - 1
    code = graph.take(codes, [group.category])
    known = graph.op(
        "And", graph.op("Less", code, np.array(last)), graph.op("GreaterOrEqual", code, np.array(0))
    )
    mean = graph.op("Gather", group.means, graph.op("Where", known, code, np.array(last)))
    return graph.op("Sub", graph.take(numbers, [group.column]), mean)


def _cross(graph: Graph, cross: Any, codes: str) -> str:
    """Places of two categories' joined codes among the known, -1 for another: (n, 1)."""
    a, b = (_next(graph, graph.take(codes, [j])) for j in (cross.a, cross.b))
    joined = graph.op("Add", graph.op("Mul", a, np.array(cross.width)), b)
    place = graph.op(
        "LabelEncoder",
        joined,
        domain=ML,
        settings={
            "keys_int64s": cross.known.tolist(),
            "values_int64s": list(range(len(cross.known))),
            "default_int64": -1,
        },
    )
    return graph.op("Where", graph.op("Less", b, np.array(cross.width)), place, np.array(-1))


def add_reduction(graph: Graph, parts: Mapping[str, Any], matrix: str) -> str:
    """The matrix with products of strong columns, then the selected columns or principal components."""
    if "squares" in parts:
        some = graph.take(matrix, np.flatnonzero(parts["squares"].get_support()))
        a, b = np.triu_indices(int(parts["squares"].get_support().sum()))
        products = graph.op("Mul", graph.take(some, a), graph.take(some, b))
        matrix = graph.join([matrix, products])
    step = parts.get("reduce")
    if step is None:
        return matrix
    if hasattr(step, "get_support"):
        return graph.take(matrix, np.flatnonzero(step.get_support()))
    return graph.op("MatMul", graph.op("Sub", matrix, step.mean_[None, :]), step.components_.T)


def add_iterative(graph: Graph, imputer: Any, chosen: str) -> str:
    """scikit-learn's IterativeImputer with linear models: each column from the others, in its rounds."""
    filled = _initial(graph, imputer.initial_imputer_, chosen)
    columns = [graph.take(filled, [j]) for j in range(len(imputer.initial_imputer_.statistics_))]
    gone = [graph.op("IsNaN", graph.take(chosen, [j])) for j in range(len(columns))]
    for step in imputer.imputation_sequence_:
        j, model = int(step.feat_idx), step.estimator
        others = graph.join([columns[int(i)] for i in step.neighbor_feat_idx])
        told = graph.op("Add", graph.op("MatMul", others, model.coef_[:, None]), float(model.intercept_))
        told = graph.op("Clip", told, float(imputer._min_value[j]), float(imputer._max_value[j]))
        columns[j] = graph.op("Where", gone[j], told, columns[j])
    return graph.join(columns)


def _initial(graph: Graph, imputer: Any, chosen: str) -> str:
    return graph.op("Where", graph.op("IsNaN", chosen), imputer.statistics_[None, :].astype(float), chosen)
