"""XGBoost's and CatBoost's trees as ONNX; both read numbers in single precision."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.deploy.onnx_graph import Graph, Unwritable
from rung.deploy.onnx_trees import LEQ, LT, MEMBER, Tree, numbered, tree_sums


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


# -- XGBoost ----------------------------------------------------------------------------------------------


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


# -- CatBoost ---------------------------------------------------------------------------------------------


def catboost_values(graph: Graph, estimator: Any, matrix: str) -> str:
    """Probabilities (n, k), or values (n, 1).

    Raises:
        Unwritable: a tree looks at categories, which CatBoost encodes in a way that ONNX has no operator for.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.json"
        estimator.model.save_model(str(place), format="json")
        told = json.loads(place.read_text(encoding="utf-8"))
    width = estimator.classes if estimator.classes > 2 else 1
    treatments = [one["nan_value_treatment"] == "AsTrue" for one in told["features_info"]["float_features"]]
    trees = [
        (target, _oblivious(tree, target, width, treatments))
        for tree in told["oblivious_trees"]
        for target in range(width)
    ]
    numbers = np.setdiff1d(np.arange(_width(estimator, told)), estimator.categorical)
    scores = tree_sums(graph, _single(graph, graph.take(matrix, numbers)), trees, width)
    scale, bias = told["scale_and_bias"]
    scaled = graph.op("Mul", scores, float(scale))
    scores = graph.op("Add", scaled, np.asarray(bias, dtype=np.float64).reshape(1, -1))
    return _answer(graph, scores, estimator.classes)


def _width(estimator: Any, told: Mapping[str, Any]) -> int:
    return len(told["features_info"]["float_features"]) + len(estimator.categorical)


def _oblivious(tree: Mapping[str, Any], target: int, width: int, missing_true: list[bool]) -> Tree:
    """One split a level; the first one is the lowest bit of the leaf's number."""
    splits = tree["splits"] or []
    if any(split["split_type"] != "FloatFeature" for split in splits):
        raise Unwritable("CatBoost's encoding of categories")
    leaves = np.array(tree["leaf_values"], dtype=np.float64).reshape(-1, width)[:, target]
    depth = len(splits)
    feature, split, left, right, missing = [], [], [], [], []
    for level in range(depth):  # from the highest bit
        one = splits[depth - 1 - level]
        for place in range(2**level):  # node number 2^level - 1 + place
            below = [2 * place, 2 * place + 1] if level == depth - 1 else None
            child = 2 ** (level + 1) - 1 + 2 * place
            feature.append(one["float_feature_index"])
            split.append(np.float64(np.float32(one["border"])))
            left.append(~below[0] if below else child)  # at most the border: the bit is 0
            right.append(~below[1] if below else child + 1)
            missing.append(not missing_true[one["float_feature_index"]])
    return Tree(
        feature=np.array(feature, dtype=np.int64),
        split=np.array(split, dtype=np.float64),
        mode=np.full(len(feature), LEQ),
        left=np.array(left, dtype=np.int64),
        right=np.array(right, dtype=np.int64),
        missing_left=np.array(missing, dtype=bool),
        leaves=leaves,
    )
