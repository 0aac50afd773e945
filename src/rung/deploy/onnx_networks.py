"""rung's own network, a perceptron on periodic embeddings, as ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from rung.deploy.onnx_graph import Graph


def periodic_network(graph: Graph, estimator: Any, matrix: str) -> str:
    """Probabilities (n, k), or values (n, 1), of `rung.tabular.learners.real_mlp.Network`."""
    single = graph.cast(graph.cast(matrix, np.float32), np.float64)
    x = graph.op("Mul", single, np.asarray(estimator.scale, dtype=np.float64)[None, :])
    if len(estimator.embedded):
        x = _embedded(graph, estimator, x)
    act = _selu if estimator.bounds is None else _mish
    for weight, bias in zip(estimator.weights[:-1], estimator.biases[:-1], strict=True):
        x = act(graph, _layer(graph, x, weight, bias))
    scores = _layer(graph, x, estimator.weights[-1], estimator.biases[-1])
    if estimator.bounds is None:
        return graph.op("Softmax", scores, settings={"axis": -1})
    low, high = estimator.bounds
    return graph.op("Clip", graph.take(scores, [0]), float(low), float(high))


def _layer(graph: Graph, x: str, weight: Any, bias: Any) -> str:
    product = graph.op("MatMul", x, np.asarray(weight, dtype=np.float64))
    return graph.op("Add", product, np.asarray(bias, dtype=np.float64).reshape(1, -1))


def _embedded(graph: Graph, estimator: Any, x: str) -> str:
    """Some columns as waves, (n, e, f), that a linear map of each column's makes values of, (n, e * k)."""
    some = graph.take(x, estimator.embedded)
    waves = graph.op("Mul", graph.op("Unsqueeze", some, np.array([2])), _doubles(estimator.periods)[None])
    turned = graph.op("Mul", graph.op("Add", waves, _doubles(estimator.phases)[None]), 2 * np.pi)
    by_column = graph.op("Transpose", graph.op("Cos", turned), settings={"perm": [1, 0, 2]})  # (e, n, f)
    values = graph.op(
        "Transpose", graph.op("MatMul", by_column, _doubles(estimator.dense)), settings={"perm": [1, 0, 2]}
    )
    flat = graph.op(
        "Reshape",
        graph.op("Add", values, _doubles(estimator.offsets)[None]),
        np.array([0, estimator.dense.shape[0] * estimator.dense.shape[2]]),
    )
    rest = np.setdiff1d(np.arange(len(np.ravel(estimator.scale))), estimator.embedded)
    return graph.join([*([graph.take(x, rest)] if len(rest) else []), some, flat])


def _doubles(values: Any) -> Any:
    return np.asarray(values, dtype=np.float64)


def _selu(graph: Graph, x: str) -> str:
    low = graph.op("Mul", graph.op("Sub", graph.op("Exp", graph.op("Min", x, 0.0)), 1.0), 1.6732632)
    return graph.op("Mul", graph.op("Where", graph.op("Greater", x, 0.0), x, low), 1.0507010)


def _mish(graph: Graph, x: str) -> str:
    return graph.op("Mul", x, graph.op("Tanh", graph.op("Softplus", x)))
