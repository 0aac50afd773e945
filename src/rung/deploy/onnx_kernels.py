"""Support vector machines and Gaussian processes as ONNX."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.deploy.onnx_graph import Graph, Unwritable


def squared_distances(graph: Graph, matrix: str, points: NDArray[Any]) -> str:
    """Between rows (n, d) and points (m, d): (n, m), none below 0."""
    points = np.asarray(points, dtype=np.float64)
    own = graph.op("ReduceSum", graph.op("Mul", matrix, matrix), np.array([1]), settings={"keepdims": 1})
    cross = graph.op("Mul", graph.op("MatMul", matrix, points.T), 2.0)
    squares = graph.op("Add", graph.op("Sub", own, cross), (points**2).sum(axis=1)[None, :])
    return graph.op("Max", squares, 0.0)


def gaussian_kernel(graph: Graph, matrix: str, points: NDArray[Any], gamma: float) -> str:
    """exp(-gamma distance^2): (n, m)."""
    return graph.op("Exp", graph.op("Mul", squared_distances(graph, matrix, points), -gamma))


def machine(graph: Graph, estimator: Any, matrix: str) -> str:
    """Decisions of a machine for two classes, or values: (n, 1)."""
    kernel = gaussian_kernel(graph, matrix, estimator.support_vectors_, float(estimator._gamma))
    product = graph.op("MatMul", kernel, estimator.dual_coef_.T)
    return graph.op("Add", product, estimator.intercept_[None, :])


def machine_probabilities(graph: Graph, estimator: Any, matrix: str) -> str:
    """A machine's decisions through a logistic regression: (n, k)."""
    classes = len(estimator.machine.classes_)
    decisions = _rest if classes > 2 else machine
    found = decisions(graph, estimator.machine, matrix)
    weights, offset = estimator.platt.coef_, estimator.platt.intercept_
    scores = graph.op("Add", graph.op("MatMul", found, weights.T), offset[None, :])
    return (
        graph.two(graph.op("Sigmoid", scores))
        if classes == 2
        else graph.op("Softmax", scores, settings={"axis": -1})
    )


def _rest(graph: Graph, estimator: Any, matrix: str) -> str:
    """Decisions of each class against the rest, joined from those of pairs by scikit-learn's rule: (n, k)."""
    classes = len(estimator.classes_)
    pairs = list(combinations(range(classes), 2))
    kernel = gaussian_kernel(graph, matrix, estimator.support_vectors_, float(estimator._gamma))
    product = graph.op("MatMul", kernel, _pair_weights(estimator, pairs))
    decision = graph.op("Add", product, estimator.intercept_[None, :])  # (n, pairs)
    first, second = np.zeros((len(pairs), classes)), np.zeros((len(pairs), classes))
    for place, (i, j) in enumerate(pairs):
        first[place, i] = second[place, j] = 1.0
    sure = graph.op("MatMul", decision, first - second)
    lost = graph.cast(graph.op("Less", decision, 0.0), np.float64)
    won = graph.op("Sub", 1.0, lost)
    votes = graph.op("Add", graph.op("MatMul", won, first), graph.op("MatMul", lost, second))
    scale = graph.op("Mul", graph.op("Add", graph.op("Abs", sure), 1.0), 3.0)
    return graph.op("Add", votes, graph.op("Div", sure, scale))


def _pair_weights(estimator: Any, pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    """(support vectors, pairs), from libsvm's arrangement of the weights by class."""
    ends = np.cumsum(estimator.n_support_)
    starts = ends - estimator.n_support_
    weights = np.zeros((len(estimator.support_vectors_), len(pairs)))
    for place, (i, j) in enumerate(pairs):
        a, b = slice(starts[i], ends[i]), slice(starts[j], ends[j])
        weights[a, place] = estimator.dual_coef_[j - 1, a]
        weights[b, place] = estimator.dual_coef_[i, b]
    return weights


def gaussian_process(graph: Graph, estimator: Any, matrix: str) -> str:
    """The posterior mean of a constant times an RBF or Matern kernel; noise is not in it: (n, 1)."""
    product = estimator.kernel_.k1  # the noise is k2
    squares = squared_distances(graph, matrix, estimator.X_train_)
    correlation = _correlation(graph, product.k2, squares)
    kernel = graph.op("Mul", correlation, float(product.k1.constant_value))
    raw = graph.op("MatMul", kernel, np.asarray(estimator.alpha_, dtype=np.float64).reshape(-1, 1))
    scaled = graph.op("Mul", raw, float(np.ravel(estimator._y_train_std)[0]))
    return graph.op("Add", scaled, float(np.ravel(estimator._y_train_mean)[0]))


def process_probabilities(graph: Graph, estimator: Any, matrix: str) -> str:
    """A classifier's probabilities; of more than two classes each against the rest, scaled to 1: (n, k)."""
    inner = estimator.base_estimator_
    if estimator.n_classes_ == 2:
        return graph.two(_positive(graph, inner, matrix))
    each = graph.join([_positive(graph, one, matrix) for one in inner.estimators_])
    total = graph.op("ReduceSum", each, np.array([1]), settings={"keepdims": 1})
    return graph.op("Div", each, total)


def _positive(graph: Graph, estimator: Any, matrix: str) -> str:
    """Laplace's approximation (Rasmussen, Williams 2006, section 3.4.2), its integral as scikit-learn has it,
    by five error functions (Williams, Barber 1998, appendix A): (n, 1).
    """
    from scipy.linalg import solve_triangular
    from sklearn.gaussian_process._gpc import COEFS, LAMBDAS

    product = estimator.kernel_
    height = float(product.k1.constant_value)
    squares = squared_distances(graph, matrix, estimator.X_train_)
    kernel = graph.op("Mul", _correlation(graph, product.k2, squares), height)  # (n, m)
    mean = graph.op("MatMul", kernel, (estimator.y_train_ - estimator.pi_).reshape(-1, 1))
    known = solve_triangular(estimator.L_, np.diag(estimator.W_sr_), lower=True)  # (m, m)
    parts = graph.op("MatMul", kernel, np.ascontiguousarray(known.T))
    told = graph.op("ReduceSum", graph.op("Mul", parts, parts), np.array([1]), settings={"keepdims": 1})
    variance = graph.op("Sub", height, told)
    slopes = np.ravel(LAMBDAS)[None, :]
    wide = graph.op("Sqrt", graph.op("Add", graph.op("Mul", variance, 2.0 * slopes**2), 1.0))
    values = _error_function(graph, graph.op("Div", graph.op("Mul", mean, slopes), wide), slopes.size)
    summed = graph.op("MatMul", values, 0.5 * np.reshape(COEFS, (-1, 1)))
    return graph.op("Add", summed, 0.5 * float(np.sum(COEFS)))


def _error_function(graph: Graph, values: str, width: int) -> str:
    """The error function of (n, width), to 1e-14 by Gauss and Legendre's rule.

    ONNX' own may be of single precision, and here the weights of several nearly cancel out.
    """
    nodes, weights = np.polynomial.legendre.leggauss(40)
    near = graph.op("Clip", values, -6.0, 6.0)  # beyond it is 1, to the last digit
    parts = graph.op("Mul", graph.op("Unsqueeze", near, np.array([2])), (nodes + 1)[None, None, :] / 2)
    heights = graph.op("Exp", graph.op("Neg", graph.op("Mul", parts, parts)))
    area = graph.op("MatMul", heights, (weights / np.sqrt(np.pi)).reshape(-1, 1))  # (n, width, 1)
    return graph.op("Mul", near, graph.op("Reshape", area, np.array([-1, width])))


def _correlation(graph: Graph, shape: Any, squares: str) -> str:
    length = float(shape.length_scale)
    if type(shape).__name__ == "RBF":
        return graph.op("Exp", graph.op("Mul", squares, -0.5 / length**2))
    if type(shape).__name__ != "Matern" or shape.nu != 1.5:
        raise Unwritable(f"the kernel {shape}")
    away = graph.op("Mul", graph.op("Sqrt", squares), float(np.sqrt(3.0)) / length)
    return graph.op("Mul", graph.op("Add", away, 1.0), graph.op("Exp", graph.op("Neg", away)))
