"""A fitted preparation as ONNX: impute, flag, encode categories, scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.deploy.onnx_expansion import add_expansion, add_iterative, add_reduction
from rung.deploy.onnx_graph import Graph
from rung.deploy.onnx_trees import tree_sums, zone_tree
from rung.tabular.preparation import Preparation, code_tables

_NEAR = 1e-7  # scikit-learn's BOUNDS_THRESHOLD: so near to an end of the range a value counts as the end
_EDGE = float(_NEAR - np.spacing(1))
# Wichura (1988), algorithm AS 241, PPND16: the normal quantile to about 16 digits, for p from 1e-11 on.
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip


def add_preparation(graph: Graph, preparation: Preparation, numbers: str, codes: str) -> str | None:
    """The matrix (n, d) that `preparation` makes of numbers (n, a) and codes (n, b); None without columns."""
    blocks = [
        *_numbers(graph, preparation, numbers),
        *_generated(graph, preparation, numbers, codes),
        *_codes(graph, preparation, codes),
    ]
    if not blocks:
        return None
    matrix = graph.join(blocks)
    if preparation.needs.scaled:
        matrix = graph.op("Clip", _scaled(graph, preparation.parts["scale"], matrix), -20.0, 20.0)
    return add_reduction(graph, preparation.parts, matrix)


def _generated(graph: Graph, preparation: Preparation, numbers: str, codes: str) -> list[str]:
    if "expand" not in preparation.parts:
        return []
    made = add_expansion(graph, preparation.parts["expand"], numbers, codes)
    if made is None:
        return []
    if preparation.needs.missing:
        return [made]
    return [graph.op("Where", graph.op("IsNaN", made), preparation.parts["usual"][None, :], made)]


def _numbers(graph: Graph, preparation: Preparation, numbers: str) -> list[str]:
    kept, flagged = preparation.kept, preparation.flagged
    if kept is None or flagged is None:
        return []
    blocks = []
    if len(kept):
        chosen = graph.take(numbers, kept)
        if preparation.needs.missing:
            return [chosen]
        blocks.append(_imputed(graph, preparation.parts["impute"], chosen, kept))
    if len(flagged) and not preparation.needs.missing:
        blocks.append(graph.cast(graph.op("IsNaN", graph.take(numbers, flagged)), np.float64))
    return blocks


def _imputed(graph: Graph, imputer: Any, chosen: str, kept: NDArray[np.intp]) -> str:
    """Missing numbers filled; their usual values are where rows for the comparison lie."""
    simple = getattr(imputer, "initial_imputer_", imputer)
    usual = np.asarray(simple.statistics_, dtype=np.float64)
    for column, value in zip(kept, usual, strict=True):
        graph.probe(int(column), value + np.array([-1.0, 0.0, 1.0]) * max(1.0, abs(value) / 2))
    if imputer is not simple:
        return add_iterative(graph, imputer, chosen)
    return graph.op("Where", graph.op("IsNaN", chosen), usual[None, :], chosen)


# -- categories -------------------------------------------------------------------------------------------


def _codes(graph: Graph, preparation: Preparation, codes: str) -> list[str]:
    """Each category's part of the matrix is looked up by its code."""
    blocks = []
    for j, table in enumerate(_tables(preparation)):
        place = graph.op(
            "Add", graph.op("Gather", codes, np.array(j), settings={"axis": 1}), np.array(1)
        )  # (n,)
        blocks.append(graph.op("Gather", table, place, settings={"axis": 0}))
    if preparation.categories == "hash" and blocks:
        return [graph.op("Sum", *blocks)]  # all categories share the columns
    return blocks


def _tables(preparation: Preparation) -> list[NDArray[np.float64]]:
    """For each category the rows that its codes -1, 0, ... become: (levels + 1, width)."""
    sizes = preparation.sizes
    encoder = preparation.parts.get(preparation.categories)
    if encoder is None:
        codes = [np.arange(-1.0, size) for size in sizes]
        if preparation.needs.missing:
            codes = [np.where(code < 0, np.nan, code) for code in codes]
        return [code[:, None] for code in codes]
    if preparation.categories == "hash":
        words = [[[f"{j}={code}"] for code in range(-1, size)] for j, size in enumerate(sizes)]
        return [np.asarray(encoder.transform(some).toarray(), dtype=np.float64) for some in words]
    return code_tables(encoder, sizes)


# -- scale ------------------------------------------------------------------------------------------------


def _scaled(graph: Graph, scaler: Any, matrix: str) -> str:
    if hasattr(scaler, "inner"):
        return _mixed(graph, scaler, matrix)
    if hasattr(scaler, "quantiles_"):
        return _quantile(graph, scaler, matrix)
    if hasattr(scaler, "factor"):  # smooth
        away = graph.op("Mul", graph.op("Sub", matrix, scaler.center[None, :]), scaler.factor[None, :])
        third = graph.op("Div", away, 3.0)
        return graph.op("Div", away, graph.op("Sqrt", graph.op("Add", graph.op("Mul", third, third), 1.0)))
    centre = scaler.mean_ if hasattr(scaler, "mean_") else scaler.center_
    return graph.op("Div", graph.op("Sub", matrix, centre[None, :]), scaler.scale_[None, :])


def _mixed(graph: Graph, scaler: Any, matrix: str) -> str:
    """Columns of many values by the inner scaler, those of two as 0 and 1, in their order again."""
    blocks = []
    if len(scaler.varied):
        blocks.append(_scaled(graph, scaler.inner, graph.take(matrix, scaler.varied)))
    if len(scaler.flat):
        away = graph.op("Sub", graph.take(matrix, scaler.flat), scaler.low[None, :])
        blocks.append(graph.op("Div", away, scaler.span[None, :]))
    order = np.argsort(np.concatenate([scaler.varied, scaler.flat]))
    return graph.take(graph.join(blocks), order)


def _quantile(graph: Graph, scaler: Any, matrix: str) -> str:
    """scikit-learn's QuantileTransformer with a normal output: a line between each two quantiles, the middle
    of its references at a repeated one, then the normal quantile.
    """
    tables, trees = [], []
    width = scaler.quantiles_.shape[1]
    for j in range(width):
        knots, zones = _zones(scaler.quantiles_[:, j], scaler.references_)
        tree = zone_tree(knots)
        tree.feature = np.full(len(tree.feature), j)
        trees.append((j, tree))
        tables.append(zones)
    starts = np.cumsum([0] + [len(zones) for zones in tables])[:-1]
    zone = graph.cast(tree_sums(graph, matrix, trees, width), np.int64)
    place = graph.op("Add", zone, starts.astype(np.int64)[None, :])
    base, level, slope = (
        graph.op("Gather", np.concatenate([t[:, c] for t in tables]), place) for c in range(3)
    )
    share = graph.op("Add", level, graph.op("Mul", graph.op("Sub", matrix, base), slope))
    low, high = scaler.quantiles_[:1], scaler.quantiles_[-1:]
    share = graph.op("Where", graph.op("Greater", graph.op("Add", matrix, _NEAR), high), 1.0, share)
    share = graph.op("Where", graph.op("Less", graph.op("Sub", matrix, _NEAR), low), 0.0, share)
    return normal_quantile(graph, graph.op("Clip", share, _EDGE, 1 - _EDGE))


def _zones(quantiles: NDArray[np.float64], references: NDArray[np.float64]) -> tuple[Any, Any]:
    """The different quantiles, and for each zone of `zone_tree` base, level and slope of its line: (z, 3)."""
    knots, first = np.unique(quantiles, return_index=True)
    last = np.append(first[1:], len(quantiles)) - 1
    zones = np.zeros((2 * len(knots) + 1, 3))
    zones[0] = knots[0], references[0], 0.0
    zones[-1] = knots[-1], references[-1], 0.0
    zones[1::2, 0], zones[1::2, 1] = knots, 0.5 * (references[first] + references[last])
    zones[2:-1:2, 0], zones[2:-1:2, 1] = knots[:-1], references[last[:-1]]
    zones[2:-1:2, 2] = (references[first[1:]] - references[last[:-1]]) / np.diff(knots)
    return knots, zones


def normal_quantile(graph: Graph, share: str) -> str:
    """The standard normal's quantile of shares between 1e-11 and 1 - 1e-11."""
    op = graph.op
    q = op("Sub", share, 0.5)
    r = op("Sub", 0.180625, op("Mul", q, q))
    centre = op("Mul", q, _ratio(graph, op("Max", r, 0.0), _CENTRE))
    least = op("Min", share, op("Sub", 1.0, share))
    r = op("Sub", op("Sqrt", op("Neg", op("Log", least))), 1.6)
    tail = op("Mul", op("Sign", q), _ratio(graph, r, _TAIL))
    return op("Where", op("LessOrEqual", op("Abs", q), 0.425), centre, tail)


def _ratio(graph: Graph, r: str, pair: tuple[tuple[float, ...], tuple[float, ...]]) -> str:
    above, below = (_polynomial(graph, r, coefficients) for coefficients in pair)
    return graph.op("Div", above, below)


def _polynomial(graph: Graph, x: str, coefficients: tuple[float, ...]) -> str:
    """Horner's rule; the highest power's coefficient first."""
    value = graph.op("Add", graph.op("Mul", x, coefficients[0]), coefficients[1])
    for coefficient in coefficients[2:]:
        value = graph.op("Add", graph.op("Mul", value, x), coefficient)
    return value
