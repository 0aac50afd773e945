"""Fitted estimators as ONNX: one function a family, found by the name of the estimator's type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.deploy.onnx_boosters import xgboost_values
from rung.deploy.onnx_catboost import catboost_values
from rung.deploy.onnx_graph import Graph
from rung.deploy.onnx_kernels import (
    gaussian_kernel,
    gaussian_process,
    machine,
    machine_probabilities,
    process_probabilities,
)
from rung.deploy.onnx_networks import periodic_network
from rung.deploy.onnx_trees import Tree, forest_tree, histogram_tree, lightgbm_trees, tree_sums

Emit = Callable[[Graph, Any, str], str]
"""Given the graph, a fitted estimator and its matrix (n, d): probabilities (n, m), or values (n, 1)."""


def emitter(estimator: Any, sizes: Sequence[int] = ()) -> Emit | None:
    """How this estimator is written as a graph, None where nobody knows.

    Args:
        sizes: levels of each category.
    """
    name = type(estimator).__name__
    if name == "CatBoostModel":
        return partial(catboost_values, sizes=sizes)
    if name == "Pipeline":
        *first, (_, last) = estimator.steps
        if any(type(step).__name__ not in _TRANSFORMERS for _, step in first) or emitter(last) is None:
            return None
    return _EMITTERS.get(name)


def _row(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64).reshape(1, -1)


def _probabilities(graph: Graph, scores: str, width: int) -> str:
    """Of log odds (n, 1), or of scores (n, m)."""
    if width == 1:
        return graph.two(graph.op("Sigmoid", scores))
    return graph.op("Softmax", scores, settings={"axis": -1})


def _affine(graph: Graph, matrix: str, weights: Any, offset: Any) -> str:
    """`matrix @ weights + offset`; weights (d, m)."""
    product = graph.op("MatMul", matrix, np.asarray(weights, dtype=np.float64))
    return graph.op("Add", product, _row(offset))


# -- linear and kernel ------------------------------------------------------------------------------------


def _linear_classifier(graph: Graph, estimator: Any, matrix: str) -> str:
    coefficients = np.atleast_2d(estimator.coef_)
    scores = _affine(graph, matrix, coefficients.T, estimator.intercept_)
    return _probabilities(graph, scores, len(coefficients))


def _ridge(graph: Graph, estimator: Any, matrix: str) -> str:
    return _affine(graph, matrix, np.atleast_2d(estimator.coef_).T, estimator.intercept_)


def _steps(graph: Graph, estimator: Any, matrix: str) -> str:
    """A scikit-learn pipeline whose first steps transform."""
    *first, (_, last) = estimator.steps
    for _, step in first:
        matrix = _TRANSFORMERS[type(step).__name__](graph, step, matrix)
    return _EMITTERS[type(last).__name__](graph, last, matrix)


def _landmarks(graph: Graph, step: Any, matrix: str) -> str:
    """A Gaussian kernel with the landmarks, in their orthogonal basis."""
    kernel = gaussian_kernel(graph, matrix, step.components_, float(step.gamma))
    return graph.op("MatMul", kernel, np.asarray(step.normalization_, dtype=np.float64).T)


def _components(graph: Graph, step: Any, matrix: str) -> str:
    return graph.op("MatMul", matrix, np.asarray(step.components_, dtype=np.float64).T)


def _principal(graph: Graph, step: Any, matrix: str) -> str:
    return _components(graph, step, graph.op("Sub", matrix, _row(step.mean_)))


def _standardised(graph: Graph, step: Any, matrix: str) -> str:
    return graph.op("Div", graph.op("Sub", matrix, _row(step.mean_)), _row(step.scale_))


# -- networks ---------------------------------------------------------------------------------------------


def _network(graph: Graph, estimator: Any, matrix: str) -> str:
    for weights, offset in zip(estimator.coefs_[:-1], estimator.intercepts_[:-1], strict=True):
        matrix = graph.op("Relu", _affine(graph, matrix, weights, offset))
    scores = _affine(graph, matrix, estimator.coefs_[-1], estimator.intercepts_[-1])
    if estimator.out_activation_ == "identity":
        return scores
    return _probabilities(graph, scores, estimator.coefs_[-1].shape[1])


# -- naive Bayes and neighbours ---------------------------------------------------------------------------


def _naive_bayes(graph: Graph, estimator: Any, matrix: str) -> str:
    spread, centre = estimator.var_, estimator.theta_  # (m, d)
    log_prior = np.log(estimator.class_prior_) - 0.5 * np.log(2.0 * np.pi * spread).sum(axis=1)
    away = graph.op("Sub", graph.op("Unsqueeze", matrix, np.array([1])), centre[None])  # (n, m, d)
    terms = graph.op("Div", graph.op("Mul", away, away), spread[None])
    total = graph.op("ReduceSum", terms, np.array([2]), settings={"keepdims": 0})
    scores = graph.op("Sub", _row(log_prior), graph.op("Mul", total, 0.5))
    return graph.op("Softmax", scores, settings={"axis": -1})


def _quadratic(graph: Graph, estimator: Any, matrix: str) -> str:
    """Each class's own normal distribution: log density and prior, then the softmax."""
    scores = []
    parts = zip(estimator.means_, estimator.rotations_, estimator.scalings_, estimator.priors_, strict=True)
    for mean, rotation, scaling, prior in parts:
        away = graph.op("MatMul", graph.op("Sub", matrix, _row(mean)), rotation * scaling**-0.5)
        size = graph.op("ReduceSum", graph.op("Mul", away, away), np.array([1]), settings={"keepdims": 1})
        level = float(np.log(prior) - 0.5 * np.log(scaling).sum())
        scores.append(graph.op("Sub", level, graph.op("Mul", size, 0.5)))
    return graph.op("Softmax", graph.join(scores), settings={"axis": -1})


def _neighbours(graph: Graph, estimator: Any, matrix: str) -> str:
    """Row by row, for all distances at once may not fit in memory."""
    known = np.asarray(estimator._fit_X, dtype=np.float64)  # (m, d)
    far, near = _nearest(graph, matrix, known, estimator.n_neighbors, int(estimator.p))
    weight = _closeness(graph, far) if estimator.weights == "distance" else None
    classes = getattr(estimator, "classes_", None)
    told = np.asarray(estimator._y)
    goal = told.astype(np.float64).reshape(len(told), -1) if classes is None else np.eye(len(classes))[told]
    values = graph.op("Gather", goal, near)  # (n, k, m)
    if weight is None:
        return graph.op("ReduceMean", values, np.array([1]), settings={"keepdims": 0})
    total = graph.op("ReduceSum", weight, np.array([1]), settings={"keepdims": 1})
    share = graph.op("Unsqueeze", graph.op("Div", weight, total), np.array([2]))
    return graph.op("ReduceSum", graph.op("Mul", values, share), np.array([1]), settings={"keepdims": 0})


def _nearest(graph: Graph, matrix: str, known: NDArray[np.float64], k: int, p: int) -> tuple[str, str]:
    """Distances and row numbers of the k nearest of the known rows: (n, k) each."""
    from onnx import TensorProto, helper

    body = graph.inner()
    row = body.name()
    away = body.op("Abs", body.op("Sub", row, graph.constant(known)))  # (m, d)
    if p == 2:
        away = body.op("Mul", away, away)
    distance = body.op("ReduceSum", away, np.array([1]), settings={"keepdims": 0})
    if p == 2:
        distance = body.op("Sqrt", distance)
    far, near = body.ops("TopK", 2, distance, np.array([k]), settings={"largest": 0})
    inner = helper.make_graph(
        body.nodes,
        "neighbours of a row",
        [helper.make_tensor_value_info(row, TensorProto.DOUBLE, [known.shape[1]])],
        [
            helper.make_tensor_value_info(far, TensorProto.DOUBLE, [k]),
            helper.make_tensor_value_info(near, TensorProto.INT64, [k]),
        ],
        body.constants,
    )
    both = graph.ops("Scan", 2, matrix, settings={"body": inner, "num_scan_inputs": 1})
    return both[0], both[1]


def _closeness(graph: Graph, far: str) -> str:
    """One over the distance; where one is 0, those at 0 count alone."""
    same = graph.op("Equal", far, 0.0)
    alone = graph.cast(same, np.float64)
    some = graph.op("ReduceMax", alone, np.array([1]), settings={"keepdims": 1})
    inverse = graph.op("Div", 1.0, graph.op("Where", same, 1.0, far))
    return graph.op("Where", graph.op("Greater", some, 0.5), alone, inverse)


# -- trees ------------------------------------------------------------------------------------------------


def _lightgbm(graph: Graph, estimator: Any, matrix: str) -> str:
    width = max(estimator.classes, 1) if estimator.classes != 2 else 1
    trees = [(i % width, tree) for i, tree in enumerate(lightgbm_trees(estimator.text))]
    scores = tree_sums(graph, matrix, trees, width)
    return _probabilities(graph, scores, width) if estimator.classes else scores


def _boosted(graph: Graph, estimator: Any, matrix: str) -> str:
    if estimator._preprocessor is not None:
        matrix = _categories_first(graph, estimator, matrix)
    trees = [
        (target, histogram_tree(predictor))
        for stage in estimator._predictors
        for target, predictor in enumerate(stage)
    ]
    width = len(estimator._predictors[0])
    scores = graph.op("Add", tree_sums(graph, matrix, trees, width), _row(estimator._baseline_prediction))
    return _probabilities(graph, scores, width) if hasattr(estimator, "classes_") else scores


def _categories_first(graph: Graph, estimator: Any, matrix: str) -> str:
    """As the estimator's own first step does: categories by rank of their codes, then numbers."""
    columns = np.flatnonzero(estimator.is_categorical_)
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    blocks = []
    for j, known in zip(columns, encoder.categories_, strict=True):
        largest = int(np.nanmax(known, initial=-1))
        table = np.full(largest + 3, np.nan)  # of codes -1 (missing), 0, ..., and one beyond
        codes = known[~np.isnan(known)].astype(np.int64)
        table[codes + 1] = np.arange(len(codes))
        cell = graph.take(matrix, [int(j)])
        code = graph.op("Where", graph.op("IsNaN", cell), -1.0, cell)
        place = graph.cast(graph.op("Clip", graph.op("Add", code, 1.0), 0.0, largest + 2.0), np.int64)
        blocks.append(graph.op("Gather", table, place))
    rest = np.flatnonzero(~estimator.is_categorical_)
    return graph.join([*blocks, *([graph.take(matrix, rest)] if len(rest) else [])])


def _forest(graph: Graph, estimator: Any, matrix: str) -> str:
    """scikit-learn's trees read rows in single precision."""
    single = graph.cast(graph.cast(matrix, np.float32), np.float64)
    values = [_leaf_values(tree.tree_.value) for tree in estimator.estimators_]
    classes = values[0].shape[1] if hasattr(estimator, "classes_") else 1
    if classes > 2:
        return _many_classes(graph, estimator, single, values)
    share = len(values)
    trees = [
        (0, forest_tree(tree.tree_, value[:, -1] / share))
        for tree, value in zip(estimator.estimators_, values, strict=True)
    ]
    total = tree_sums(graph, single, trees, 1)
    return graph.two(total) if classes == 2 else total


def _leaf_values(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """(nodes, classes) shares, which earlier versions hold as counts; or (nodes, 1) values."""
    flat = value[:, 0, :]
    return flat / flat.sum(axis=1, keepdims=True) if flat.shape[1] > 1 else flat


def _many_classes(graph: Graph, estimator: Any, matrix: str, values: list[NDArray[np.float64]]) -> str:
    """The trees say which node a row falls into; what that node holds is looked up."""
    starts = np.cumsum([0] + [len(value) for value in values])
    trees: list[tuple[int, Tree]] = [
        (i, forest_tree(tree.tree_, np.arange(starts[i], starts[i + 1], dtype=np.float64)))
        for i, tree in enumerate(estimator.estimators_)
    ]
    nodes = graph.cast(tree_sums(graph, matrix, trees, len(trees)), np.int64)
    held = graph.op("Gather", np.concatenate(values), nodes)  # (n, trees, classes)
    return graph.op("ReduceMean", held, np.array([1]), settings={"keepdims": 0})


_TRANSFORMERS: Final[Mapping[str, Emit]] = {
    "Nystroem": _landmarks,
    "TruncatedSVD": _components,
    "PCA": _principal,
    "StandardScaler": _standardised,
}
_EMITTERS: Final[Mapping[str, Emit]] = {
    "LightGBMModel": _lightgbm,
    "XGBoostModel": xgboost_values,
    "Scaled": machine_probabilities,
    "SVR": machine,
    "GaussianProcessRegressor": gaussian_process,
    "GaussianProcessClassifier": process_probabilities,
    "Network": periodic_network,
    "HistGradientBoostingClassifier": _boosted,
    "HistGradientBoostingRegressor": _boosted,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "LogisticRegression": _linear_classifier,
    "LinearDiscriminantAnalysis": _linear_classifier,
    "QuadraticDiscriminantAnalysis": _quadratic,
    "Ridge": _ridge,
    "LinearRegression": _ridge,
    "MLPClassifier": _network,
    "MLPRegressor": _network,
    "KNeighborsClassifier": _neighbours,
    "KNeighborsRegressor": _neighbours,
    "GaussianNB": _naive_bayes,
    "Pipeline": _steps,
}
