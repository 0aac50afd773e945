"""Ensembles of trees as `TreeEnsemble` of ONNX (ai.onnx.ml, version 5): thresholds and leaves are doubles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.deploy.onnx_graph import ML, Graph

LEQ: Final = 0
LT: Final = 1
MEMBER: Final = 6
_NOWHERE: Final = -5.0  # a code that no category has: a set must not be empty


@dataclass
class Tree:
    """A binary tree; inner nodes and leaves are numbered apart, node 0 is the root.

    Attributes:
        feature, split, mode: (m,) of the inner nodes; a row for which the comparison holds goes left.
        left, right: (m,) the inner node, or `~leaf`.
        missing_left: (m,) whether NaN goes left.
        leaves: (m + 1,) values.
        members: for nodes of mode MEMBER, in their order, the codes that go left.
    """

    feature: NDArray[Any]
    split: NDArray[Any]
    mode: NDArray[Any]
    left: NDArray[Any]
    right: NDArray[Any]
    missing_left: NDArray[Any]
    leaves: NDArray[Any]
    members: list[NDArray[Any]] = field(default_factory=list)


def stump(value: float) -> Tree:
    """The same leaf value for every row."""
    none = np.zeros(1, dtype=np.int64)
    return Tree(none, none, none, ~none, ~none, none, np.array([value]))


def tree_sums(graph: Graph, matrix: str, trees: list[tuple[int, Tree]], targets: int) -> str:
    """Sums of the leaves that each row falls in, by target: (n, targets).

    Args:
        trees: each with the target that it adds to.
    """
    from onnx import numpy_helper

    trees = [(target, tree if len(tree.feature) else stump(float(tree.leaves[0]))) for target, tree in trees]
    nodes = np.cumsum([0] + [len(tree.feature) for _, tree in trees])
    leaves = np.cumsum([0] + [len(tree.leaves) for _, tree in trees])
    sets = [np.append(codes if len(codes) else [_NOWHERE], np.nan) for _, t in trees for codes in t.members]

    def branch(name: str) -> NDArray[np.int64]:
        sides = [getattr(tree, name) for _, tree in trees]
        return np.concatenate(
            [
                np.where(x < 0, ~x + leaf, x + node)
                for x, node, leaf in zip(sides, nodes, leaves, strict=False)
            ]
        ).astype(np.int64)

    def whole(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for _, tree in trees])

    def tensor(array: NDArray[Any], kind: type[np.generic]) -> Any:
        return numpy_helper.from_array(np.ascontiguousarray(array, dtype=kind), "")

    settings: dict[str, Any] = {
        "n_targets": targets,
        "aggregate_function": 1,  # sum
        "post_transform": 0,
        "tree_roots": nodes[:-1].tolist(),
        "nodes_featureids": whole("feature").astype(np.int64).tolist(),
        "nodes_splits": tensor(whole("split"), np.float64),
        "nodes_modes": tensor(whole("mode"), np.uint8),
        "nodes_truenodeids": branch("left").tolist(),
        "nodes_trueleafs": (whole("left") < 0).astype(np.int64).tolist(),
        "nodes_falsenodeids": branch("right").tolist(),
        "nodes_falseleafs": (whole("right") < 0).astype(np.int64).tolist(),
        "nodes_missing_value_tracks_true": whole("missing_left").astype(np.int64).tolist(),
        "leaf_targetids": np.repeat([t for t, _ in trees], np.diff(leaves)).tolist(),
        "leaf_weights": tensor(whole("leaves"), np.float64),
    }
    if sets:
        settings["membership_values"] = tensor(np.concatenate(sets), np.float64)
    return graph.op("TreeEnsemble", matrix, domain=ML, settings=settings)


# -- LightGBM -----------------------------------------------------------------------------------------------


def lightgbm_trees(text: str) -> list[Tree]:
    """The trees of a booster's text form (version 4 of LightGBM)."""
    parts = text.split("\nTree=")[1:]
    return [_lightgbm_tree(_settings(part.split("\n\n")[0])) for part in parts]


def _settings(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _lightgbm_tree(given: Mapping[str, str]) -> Tree:
    if int(given["num_leaves"]) == 1:
        return stump(float(given["leaf_value"]))

    def numbers(name: str, kind: type) -> NDArray[Any]:
        return np.array(given[name].split(), dtype=kind)

    decision, split = numbers("decision_type", int), numbers("threshold", float)
    categorical = (decision & 1).astype(bool)
    kept = (decision >> 2) & 3  # 0: a missing number counts as 0; 2: it goes its own way
    missing_left = np.where(kept == 2, decision & 2 > 0, split >= 0) & ~categorical
    return Tree(
        feature=numbers("split_feature", int),
        split=split,
        mode=np.where(categorical, MEMBER, LEQ),
        left=numbers("left_child", int),
        right=numbers("right_child", int),
        missing_left=missing_left,
        leaves=numbers("leaf_value", float),
        members=_lightgbm_sets(given, split[categorical].astype(int)),
    )


def _lightgbm_sets(given: Mapping[str, str], which: NDArray[Any]) -> list[NDArray[Any]]:
    if not len(which):
        return []
    bounds = [int(x) for x in given["cat_boundaries"].split()]
    words = np.array(given["cat_threshold"].split(), dtype=np.uint32)
    return [codes_in(words[bounds[i] : bounds[i + 1]]) for i in which]


def codes_in(words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The positions of the bits that are set."""
    bits = np.unpackbits(np.ascontiguousarray(words, dtype="<u4").view(np.uint8), bitorder="little")
    return np.flatnonzero(bits)


# -- scikit-learn -------------------------------------------------------------------------------------------


def numbered(is_leaf: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each node its number among inner nodes, or `~number` among leaves."""
    return np.where(is_leaf, ~(np.cumsum(is_leaf) - 1), np.cumsum(~is_leaf) - 1).astype(np.int64)


def forest_tree(tree: Any, leaves: NDArray[Any]) -> Tree:
    """A tree of scikit-learn's forests; `leaves` are given for all nodes."""
    leaf = tree.children_left < 0
    number, inner = numbered(leaf), ~leaf
    return Tree(
        feature=tree.feature[inner],
        split=tree.threshold[inner],
        mode=np.full(int(inner.sum()), LEQ),
        left=number[tree.children_left[inner]],
        right=number[tree.children_right[inner]],
        missing_left=np.zeros(int(inner.sum()), dtype=bool),
        leaves=leaves[leaf],
    )


def histogram_tree(predictor: Any) -> Tree:
    """A tree of scikit-learn's histogram gradient boosting."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    number, inner = numbered(leaf), nodes[~leaf]
    categorical = inner["is_categorical"].astype(bool)
    which = inner["bitset_idx"][categorical].astype(int)
    return Tree(
        feature=inner["feature_idx"],
        split=np.where(categorical, 0.0, inner["num_threshold"]),
        mode=np.where(categorical, MEMBER, LEQ),
        left=number[inner["left"].astype(int)],
        right=number[inner["right"].astype(int)],
        missing_left=inner["missing_go_to_left"].astype(bool),
        leaves=nodes["value"][leaf],
        members=[codes_in(predictor.raw_left_cat_bitsets[i]) for i in which],
    )


# -- zones --------------------------------------------------------------------------------------------------


def zone_tree(knots: NDArray[np.float64]) -> Tree:
    """A search tree that tells in which zone a number lies: below the first knot (0), at it (1), between it
    and the second (2), at the second (3), and so on.
    """
    bounds = 2 * len(knots)  # bound 2i parts what is below knot i from it, bound 2i + 1 it from what is above
    order: list[tuple[int, int, int]] = []  # bound, left, right

    def grow(low: int, high: int) -> int:  # zones low ... high
        if low == high:
            return ~low
        middle = (low + high) // 2
        place = len(order)
        order.append((middle, 0, 0))
        order[place] = (middle, grow(low, middle), grow(middle + 1, high))
        return place

    grow(0, bounds)
    bound, left, right = (np.array(x) for x in zip(*order, strict=True))
    none = np.zeros(bounds, dtype=np.int64)
    return Tree(
        none, knots[bound // 2], np.where(bound % 2, LEQ, LT), left, right, none, np.arange(bounds + 1.0)
    )
