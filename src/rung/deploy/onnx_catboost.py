"""CatBoost's trees as ONNX, its statistics of categories included.

A statistic of categories ("CTR": Prokhorenkova et al. 2018, section 3) is a number for each combination of a
few categories' levels and of a few questions with two answers. CatBoost finds it by a hash of the
combination; here all combinations are counted up, so that it is looked up by their number.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.deploy.onnx_graph import Graph, Unwritable
from rung.deploy.onnx_trees import LEQ, MEMBER, Tree, tree_sums

MOST_CELLS: Final = 20_000_000  # of all tables of statistics together
_MULTIPLIER: Final = np.uint64(0x4906BA494954CB65)  # of CatBoost's hash of a combination
_WORD: Final = 2**32
_FREQUENCIES: Final = ("Counter", "FeatureFreq")


class Matrix(NamedTuple):
    """The estimator's matrix in the graph.

    Attributes:
        numbers: (n, a) in single precision's values.
        codes: (n, b) of the categories, 0 where missing, int64.
        sizes: of each category, how many codes there are, 0 included.
    """

    numbers: str
    codes: str
    sizes: list[int]


def catboost_values(graph: Graph, estimator: Any, matrix: str, sizes: Sequence[int]) -> str:
    """Probabilities (n, k), or values (n, 1).

    Args:
        sizes: levels of each category.

    Raises:
        Unwritable: combinations of categories are too many to be counted up.
    """
    told = _told(estimator)
    info = told["features_info"]
    width = estimator.classes if estimator.classes > 2 else 1
    parts = _matrix(graph, estimator, matrix, sizes, len(info["float_features"]))
    statistics = info.get("ctrs") or []
    features = _Features(info, statistics, parts.sizes)
    trees = [
        (target, _oblivious(tree, target, width, features))
        for tree in told["oblivious_trees"]
        for target in range(width)
    ]
    blocks = [parts.numbers]
    if parts.sizes:
        blocks.append(graph.cast(parts.codes, np.float64))
    if statistics:
        blocks.append(_statistics(graph, parts, statistics, told))
    scores = tree_sums(graph, graph.join(blocks), trees, width)
    scale, bias = told["scale_and_bias"]
    scaled = graph.op("Mul", scores, float(scale))
    scores = graph.op("Add", scaled, np.asarray(bias, dtype=np.float64).reshape(1, -1))
    return _answer(graph, scores, estimator.classes)


def _answer(graph: Graph, scores: str, classes: int) -> str:
    if not classes:
        return scores
    if classes == 2:
        return graph.two(graph.op("Sigmoid", scores))
    return graph.op("Softmax", scores, settings={"axis": -1})


def _told(estimator: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.json"
        estimator.model.save_model(str(place), format="json")
        told: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return told


def _matrix(graph: Graph, estimator: Any, matrix: str, sizes: Sequence[int], numbers: int) -> Matrix:
    """CatBoost has numbers first, then categories, whose words are their codes plus one."""
    categorical = list(estimator.categorical)
    chosen = graph.take(matrix, np.setdiff1d(np.arange(numbers + len(categorical)), categorical))
    single = graph.cast(graph.cast(chosen, np.float32), np.float64)
    if not categorical:
        return Matrix(single, "", [])
    found = graph.take(matrix, categorical)
    known = graph.op("Where", graph.op("IsNaN", found), -1.0, found)
    codes = graph.cast(graph.op("Add", known, 1.0), np.int64)
    return Matrix(single, codes, [size + 1 for size in sizes])


# -- statistics of categories -----------------------------------------------------------------------------


def _statistics(
    graph: Graph, matrix: Matrix, statistics: Sequence[Mapping[str, Any]], told: Mapping[str, Any]
) -> str:
    """(n, s): each of them, looked up."""
    treatments = _missing_true(told["features_info"])
    cells = 0
    places: dict[str, str] = {}
    found = []
    for one in statistics:
        cells += prod(size for size in _radix(one["elements"], matrix.sizes))
        if cells > MOST_CELLS:
            raise Unwritable("CatBoost's statistics of many levels together")
        key = json.dumps(one["elements"])
        if key not in places:
            places[key] = _place(graph, matrix, one["elements"], treatments)
        table = _table(one, told["ctr_data"][one["identifier"]], matrix.sizes)
        found.append(graph.op("Gather", table.astype(np.float64), places[key]))
    return graph.join(found)


def _radix(elements: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> list[int]:
    return [sizes[one["cat_feature_index"]] if _is_level(one) else 2 for one in elements]


def _is_level(element: Mapping[str, Any]) -> bool:
    return bool(element["combination_element"] == "cat_feature_value")


def _place(
    graph: Graph, matrix: Matrix, elements: Sequence[Mapping[str, Any]], missing_true: Sequence[bool]
) -> str:
    """The number of each row's combination: (n, 1)."""
    total = ""
    for one, size in zip(elements, _radix(elements, matrix.sizes), strict=True):
        part = _digit(graph, matrix, one, missing_true)
        total = graph.op("Add", graph.op("Mul", total, np.array(size)), part) if total else part
    return total


def _digit(graph: Graph, matrix: Matrix, element: Mapping[str, Any], missing_true: Sequence[bool]) -> str:
    if element["combination_element"] == "float_feature":
        column = element["float_feature_index"]
        number = graph.take(matrix.numbers, [column])
        told = graph.op("Greater", number, float(np.float32(element["border"])))
        if missing_true[column]:
            told = graph.op("Or", told, graph.op("IsNaN", number))
        return graph.cast(told, np.int64)
    column = element["cat_feature_index"]
    code = graph.take(matrix.codes, [column])
    if _is_level(element):
        return code
    wanted = _code_of(element["value"], matrix.sizes[column])
    return graph.cast(graph.op("Equal", code, np.array(wanted)), np.int64)


def _table(one: Mapping[str, Any], data: Mapping[str, Any], sizes: Sequence[int]) -> NDArray[np.float32]:
    """The statistic of every combination, in the order of their numbers."""
    hashed = _combinations(one["elements"], sizes)
    stride = int(data["hash_stride"])
    entries = np.array(data["hash_map"], dtype=object).reshape(-1, stride)
    keys = np.array([int(key) for key in entries[:, 0]], dtype=np.uint64)
    all_rows = float(data["counter_denominator"])
    good, total = _counts(one, entries[:, 1:].astype(np.float64), all_rows)
    order = np.argsort(keys, kind="stable")
    at = np.minimum(np.searchsorted(keys[order], hashed), len(keys) - 1)
    there = (keys[order][at] == hashed) if len(keys) else np.zeros(len(hashed), dtype=bool)
    numerator = np.where(there, good[order][at], 0.0).astype(np.float32)
    unseen = all_rows if one["ctr_type"] in _FREQUENCIES else 0.0
    denominator = np.where(there, total[order][at], unseen).astype(np.float32)
    share = (numerator + np.float32(one["prior_numerator"])) / (
        denominator + np.float32(one["prior_denomerator"])
    )
    return (share + np.float32(one["shift"])) * np.float32(one["scale"])


def _counts(
    one: Mapping[str, Any], values: NDArray[np.float64], all_rows: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is divided by what, of each entry.

    Raises:
        Unwritable: it is a kind of statistic that rung does not train.
    """
    kind, border = one["ctr_type"], int(one["target_border_idx"])
    if kind in _FREQUENCIES:
        return values[:, 0], np.full(len(values), all_rows)
    if kind in ("BinarizedTargetMeanValue", "FloatTargetMeanValue"):
        return values[:, 0], values[:, 1]
    if kind == "Buckets":
        return values[:, border], values.sum(axis=1)
    if kind == "Borders":
        return values[:, border + 1 :].sum(axis=1), values.sum(axis=1)
    raise Unwritable(f"CatBoost's statistic {kind}")


def _combinations(elements: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> NDArray[np.uint64]:
    """CatBoost's hash of every combination: first of levels, then of answers."""
    radix = _radix(elements, sizes)
    digits = np.indices(radix).reshape(len(radix), -1)
    found = np.zeros(digits.shape[1], dtype=np.uint64)
    ordered = sorted(range(len(elements)), key=lambda i: not _is_level(elements[i]))
    for i in ordered:
        part = digits[i]
        values = _words(radix[i])[part] if _is_level(elements[i]) else part.astype(np.uint64)
        found = _MULTIPLIER * (found + _MULTIPLIER * values)
    return found


def _code_of(word: int, size: int) -> int:
    """The code whose hash this is, -1 if none has it."""
    found = np.flatnonzero(_words(size) == np.uint64(word % 2**64))
    return int(found[0]) if len(found) else -1


@lru_cache(maxsize=16)
def _words(size: int) -> NDArray[np.uint64]:
    """CatBoost's hashes of the words "0", "1", ...: (size,), 32 bits with the sign's bit drawn out.

    Asked of the library: a model of one round is trained on all words, and says its hashes when it is written
    as Python.
    """
    import catboost

    words = [[str(i)] for i in range(max(size, 2))]
    pool = catboost.Pool(words, label=[i % 2 for i in range(len(words))], cat_features=[0])
    model = catboost.CatBoost({"iterations": 1, "depth": 1, "thread_count": 1, "logging_level": "Silent",
                               "allow_writing_files": False, "loss_function": "RMSE"})  # fmt: skip
    model.fit(pool)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "words.py"
        model.save_model(str(place), format="python", pool=pool)
        text = place.read_text(encoding="utf-8")
    start = text.index("{", text.index("cat_features_hashes"))
    known = json.loads(text[start : text.index("}", start) + 1].replace(",\n}", "\n}"))
    hashes = np.array([int(known[str(i)]) for i in range(size)], dtype=np.int64)
    signed = np.where(hashes >= _WORD // 2, hashes - _WORD, hashes)
    return signed.astype(np.uint64)


# -- trees ------------------------------------------------------------------------------------------------


def _missing_true(info: Mapping[str, Any]) -> list[bool]:
    return [one["nan_value_treatment"] == "AsTrue" for one in info["float_features"]]


class _Features:
    """Where splits look: the matrix is numbers, then codes, then statistics."""

    def __init__(
        self, info: Mapping[str, Any], statistics: Sequence[Mapping[str, Any]], sizes: Sequence[int]
    ) -> None:
        self.sizes = sizes
        self.missing_true = _missing_true(info)
        self.numbers = len(info["float_features"])
        categories = info.get("categorical_features") or []
        self.first = self.numbers + len(categories)
        start = sum(len(one["borders"] or []) for one in info["float_features"])
        start += sum(len(one.get("values") or []) for one in categories)
        lengths = [len(one["borders"]) for one in statistics]
        self.starts = start + np.cumsum([0, *lengths])

    def column(self, split: Mapping[str, Any]) -> int:
        """Of the matrix."""
        if split["split_type"] == "FloatFeature":
            return int(split["float_feature_index"])
        if split["split_type"] == "OneHotFeature":
            return self.numbers + int(split["cat_feature_index"])
        place = int(np.searchsorted(self.starts, split["split_index"], side="right")) - 1
        return self.first + place

    def members(self, split: Mapping[str, Any]) -> NDArray[Any]:
        """The code that a split asks for."""
        return np.array([float(_code_of(int(split["value"]), self.sizes[split["cat_feature_index"]]))])


def _oblivious(tree: Mapping[str, Any], target: int, width: int, features: _Features) -> Tree:
    """One split a level; the first one is the lowest bit of the leaf's number."""
    splits = tree["splits"] or []
    leaves = np.array(tree["leaf_values"], dtype=np.float64).reshape(-1, width)[:, target]
    depth = len(splits)
    nodes: list[tuple[float, ...]] = []
    members: list[NDArray[Any]] = []
    for level in range(depth):  # from the highest bit
        one = splits[depth - 1 - level]
        equal = one["split_type"] == "OneHotFeature"
        border = 0.0 if equal else float(np.float32(one["border"]))
        missing = one["split_type"] == "FloatFeature" and not features.missing_true[features.column(one)]
        for place in range(2**level):  # node number 2^level - 1 + place
            no = 2 ** (level + 1) - 1 + 2 * place if level < depth - 1 else ~(2 * place)
            yes = no + 1 if level < depth - 1 else ~(2 * place + 1)
            ways = (
                (yes, no) if equal else (no, yes)
            )  # a member goes left, and so does what is at most the border
            nodes.append((features.column(one), border, MEMBER if equal else LEQ, *ways, missing))
            if equal:
                members.append(features.members(one))
    columns = np.array(nodes, dtype=np.float64).reshape(-1, 6).T
    feature, mode, left, right = columns[[0, 2, 3, 4]].astype(np.int64)
    return Tree(feature, columns[1], mode, left, right, columns[5] > 0, leaves, members)
