"""XGBoost's trees as ONNX; they read numbers in single precision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.deploy.onnx_graph import Graph
from rung.deploy.onnx_trees import LT, MEMBER, Tree, numbered, tree_sums


def _single(graph: Graph, matrix: str) -> str:
    return graph.cast(graph.cast(matrix, np.float32), np.float64)


def _answer(graph: Graph, scores: str, classes: int) -> str:
    """Values, or probabilities of log odds or scores."""
    if not classes:
        return scores
    return (
        graph.two(graph.op("Sigmoid", scores))
        if classes == 2
        else graph.op("Softmax", scores, settings={"axis": -1})
    )


def xgboost_values(graph: Graph, estimator: Any, matrix: str) -> str:
    """Probabilities (n, k), or values (n, 1)."""
    learner = json.loads(bytes(estimator.booster.save_raw("json")))["learner"]
    model = learner["gradient_booster"]["model"]
    width = estimator.classes if estimator.classes > 2 else 1
    kept = estimator.rounds * width
    pairs = zip(model["tree_info"][:kept], model["trees"][:kept], strict=True)
    scores = tree_sums(graph, _single(graph, matrix), [(i, _xgboost_tree(tree)) for i, tree in pairs], width)
    base = _base_score(learner["learner_model_param"]["base_score"], estimator.classes)
    return _answer(graph, graph.op("Add", scores, base), estimator.classes)


def _base_score(given: str, classes: int) -> NDArray[np.float64]:
    """(1, k): log odds of two classes, scores of several, or a value."""
    told = json.loads(given)
    base = np.atleast_1d(np.asarray(told, dtype=np.float64)).reshape(1, -1)
    return np.asarray(np.log(base / (1 - base))) if classes == 2 else base


def _xgboost_tree(tree: Mapping[str, Any]) -> Tree:
    """A row goes left where its number is smaller, and right where its category is in the node's set."""
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    leaf = left < 0
    number, inner = numbered(leaf), ~leaf
    split = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    categorical = np.array(tree["split_type"])[inner] == 1
    ways = number[left[inner]], number[right[inner]]
    missing_left = np.array(tree["default_left"])[inner].astype(bool)
    return Tree(
        feature=np.array(tree["split_indices"])[inner],
        split=np.where(categorical, 0.0, split[inner]),
        mode=np.where(categorical, MEMBER, LT),
        left=np.where(categorical, ways[1], ways[0]),
        right=np.where(categorical, ways[0], ways[1]),
        missing_left=np.where(categorical, ~missing_left, missing_left),
        leaves=split[leaf],
        members=_xgboost_sets(tree),
    )


def _xgboost_sets(tree: Mapping[str, Any]) -> list[NDArray[Any]]:
    codes = np.array(tree["categories"], dtype=np.int64)
    sets = zip(tree["categories_segments"], tree["categories_sizes"], strict=True)
    by_node = dict(zip(tree["categories_nodes"], (codes[a : a + n] for a, n in sets), strict=True))
    return [by_node[node] for node in sorted(by_node)]
