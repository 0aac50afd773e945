"""The greedy order, nearest tables, the surrogate, what is suggested; on a memory that this test makes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from rung.tabular.encode import Table
from rung.tabular.learners.table import defaults, fitting, learners
from rung.tabular.meta import Features, Memory, Surrogate, meta_features, nearest, shipped, suggest
from rung.tabular.meta.configurations import for_table
from rung.tabular.meta.features import NAMES
from rung.tabular.meta.portfolio import greedy, order_for
from rung.tabular.meta.similarity import distances, scaled, scaling


def _features(rows: int = 1_000, **given: float) -> Features:
    values = {name: given.get(name, 0.0) for name in NAMES} | {"log_rows": float(np.log(rows))}
    return Features(values, rows, 10, 2, 10, categories=False, missing=False)


def _memory(tables: int = 12) -> Memory:
    """Linear models are good on tables where the linear landmark is high, forests on the others.

    A fit costs as many milliseconds as the table has rows, ten times that for forests.
    """
    configs = [
        {"learner": "linear", "C": 1.0, "categories": "onehot", "scale": "standard", "impute": "median"},
        {"learner": "linear", "C": 0.01, "categories": "onehot", "scale": "standard", "impute": "median"},
        *defaults(learners()["extra_trees"], categories=True, missing=True),
    ]
    rows = np.array([200 * 2 ** (i % 4) for i in range(tables)])
    straight = np.array([i % 2 == 0 for i in range(tables)])
    features = np.array(
        [
            _features(r, landmark_linear=float(s), tree_over_linear=-float(s)).vector
            for r, s in zip(rows, straight, strict=True)
        ]
    )
    easy, hard = [0.0, 0.3, 1.0, 0.8], [1.0, 1.0, 0.0, 0.2]
    return Memory(
        tables=tuple(f"t{i}" for i in range(tables)),
        kinds=("binary",) * tables,
        features=features,
        sizes=np.array([[r, 10, 2] for r in rows], dtype=float),
        names=("linear 0", "linear 1", "forest 0", "forest 1"),
        configurations=tuple(configs[:4]),
        regret=np.array([easy if s else hard for s in straight]),
        seconds=rows[:, None] / 1_000 * np.array([1.0, 1.0, 10.0, 10.0]),
        recipe={},
    )


# -- greedy ---------------------------------------------------------------------------------------------


def test_greedy_takes_what_adds_most_to_those_before():
    regret = np.array([[0.0, 0.1, 0.9], [0.5, 0.4, 0.0], [0.0, 0.2, 0.9]])
    assert greedy(regret) == [0, 2, 1]


def test_greedy_reaches_most_of_what_the_best_set_does():
    rng = np.random.default_rng(0)
    regret = rng.random((12, 9))
    gain = lambda chosen: 1 - regret[:, list(chosen)].min(axis=1).mean()  # noqa: E731
    best = max(gain(chosen) for chosen in itertools.combinations(range(9), 3))
    assert gain(greedy(regret)[:3]) >= (1 - 1 / np.e) * best


def test_greedy_orders_all_of_them_once_and_what_failed_is_last():
    rng = np.random.default_rng(1)
    regret = rng.random((5, 7))
    regret[:, 3] = np.nan
    order = greedy(regret)
    assert sorted(order) == list(range(7))
    assert order[-1] == 3


def test_weights_and_costs_decide():
    regret = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert greedy(regret, weights=np.array([1.0, 2.0])) == [1, 0]
    assert greedy(regret, weights=np.array([2.0, 1.0])) == [0, 1]
    assert greedy(regret, costs=np.array([9.0, 1.0])) == [1, 0]
    assert greedy(np.empty((0, 2))) == [0, 1]


# -- similarity -----------------------------------------------------------------------------------------


def test_a_table_of_the_memory_is_nearest_to_itself():
    memory = shipped()
    for i in (0, len(memory.tables) - 1):
        values = dict(zip(NAMES, memory.features[i].tolist(), strict=True))
        same = Features(values, 1, 1, 2, 1, categories=False, missing=False)
        for norm in (1, 2):
            first, second = nearest(same, 2, memory, norm)
            assert (first.name, first.distance) == (memory.tables[i], 0.0)
            assert second.distance > 0


def test_distances_are_the_norms_of_scaled_differences():
    memory, new = _memory(), _features(400, landmark_linear=0.5)
    scale = scaling(memory.features)
    apart = np.abs(scaled(memory.features, scale) - scaled(new.vector, scale))
    np.testing.assert_allclose(distances(new, memory, 1), apart.mean(axis=1))
    np.testing.assert_allclose(distances(new, memory, 2), np.sqrt((apart**2).mean(axis=1)))
    with pytest.raises(ValueError, match="the norm must be 1 or 2, not 3"):
        distances(new, memory, 3)


def test_scaling_is_robust_and_unknown_is_usual():
    center, spread = scaling(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [1e9, 5.0]]))
    assert center.tolist() == [2.5, 5.0]
    assert spread[1] == 1.0
    assert scaled(np.array([np.nan, 6.0]), (center, spread)).tolist() == [0.0, 1.0]
    assert scaled(np.array([-1e12, 5.0]), (center, spread)).tolist() == [-3.0, 0.0]


# -- surrogate ------------------------------------------------------------------------------------------


def test_the_surrogate_knows_who_is_dear_and_who_is_good_where():
    memory = _memory()
    surrogate = Surrogate(memory)
    small, large = _features(300), _features(1_500)
    linear, *_, forest = memory.configurations
    cheap, dear = surrogate.predict(small, [linear, forest]).seconds
    assert dear > 3 * cheap
    assert surrogate.predict(large, [forest]).seconds[0] > 2 * dear
    straight = surrogate.predict(_features(400, landmark_linear=1.0, tree_over_linear=-1.0), [linear, forest])
    bent = surrogate.predict(_features(400), [linear, forest])
    assert straight.rank[0] < straight.rank[1]
    assert bent.rank[0] > bent.rank[1]


def test_the_surrogate_reads_hyperparameters_that_the_memory_lacks():
    memory = _memory()
    table = _features(400, landmark_linear=1.0, tree_over_linear=-1.0)
    ranks = Surrogate(memory).predict(table, [{"learner": "linear", "C": c} for c in (0.02, 0.1, 0.5)]).rank
    assert ranks[0] > ranks[1] > ranks[2]
    unknown = Surrogate(memory).predict(table, [{"learner": "from elsewhere"}])
    assert np.isfinite(unknown.rank).all()
    assert (unknown.seconds > 0).all()


def test_the_shipped_surrogate_predicts_seconds_within_a_factor_on_most_cells():
    memory = shipped()
    ratios = []
    for i, name in enumerate(memory.tables):
        rest = memory.without([name])
        values = dict(zip(NAMES, memory.features[i].tolist(), strict=True))
        rows, width, classes = (int(x) for x in memory.sizes[i])
        new = Features(values, rows, width, classes, width, categories=False, missing=False)
        said = Surrogate(rest).predict(new, memory.configurations).seconds
        known = np.isfinite(memory.seconds[i])
        ratios += list(np.abs(np.log(said[known] / np.maximum(memory.seconds[i][known], 1e-3))))
    assert np.median(ratios) < np.log(2.5)


# -- suggest --------------------------------------------------------------------------------------------


def test_the_order_follows_tables_that_are_alike():
    memory = _memory()
    like_straight = _features(400, landmark_linear=1.0, tree_over_linear=-1.0)
    assert order_for(like_straight, "binary", memory, costs=False)[0] == 0
    assert order_for(_features(400), "binary", memory, costs=False)[0] == 2


def test_tables_with_another_kind_of_task_count_less():
    memory = _memory()
    kinds = tuple("binary" if i % 2 else "regression" for i in range(len(memory.tables)))
    flat = replace(memory, kinds=kinds, features=np.zeros_like(memory.features))
    assert order_for(_features(), "binary", flat, costs=False)[0] == 2  # the odd ones, where forests are good
    assert order_for(_features(), "regression", flat, costs=False)[0] == 0


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(("categories", "missing"), [(True, True), (False, False), (True, False)])
def test_suggestions_are_complete_and_allowed(kind, categories, missing):
    classes = {"binary": 2, "multiclass": 5, "regression": 0}[kind]
    new = replace(_features(), classes=classes, categories=categories, missing=missing)
    usable = {one.name for one in fitting(kind, classes)}
    found = suggest(new, kind, set(learners()))
    assert len(found) > 10
    assert len({str(one) for one in found}) == len(found)
    for config in found:
        assert config["learner"] in usable
        learner = learners()[config["learner"]]
        plain = defaults(learner, categories=categories, missing=missing)[0]
        assert list(config) == list(plain) or set(config) == set(plain)


def test_suggestions_by_the_surrogate_begin_with_what_is_good_and_cheap():
    straight = _features(400, landmark_linear=1.0, tree_over_linear=-1.0)
    found = suggest(straight, "binary", {"linear", "extra_trees"}, _memory(), by="surrogate")
    assert [one["learner"] for one in found] == ["linear", "linear", "extra_trees", "extra_trees"]
    assert found[0]["C"] == 1.0
    with pytest.raises(ValueError, match="by portfolio or surrogate, not 'luck'"):
        suggest(straight, "binary", {"linear"}, _memory(), by="luck")


def test_only_available_learners_are_suggested():
    assert {one["learner"] for one in suggest(_features(), "binary", {"linear", "forest"})} == {
        "linear",
        "forest",
    }
    assert suggest(_features(), "binary", set()) == []
    assert suggest(_features(), "binary", {"linear"}, _memory().without([f"t{i}" for i in range(12)])) == []


def test_what_a_configuration_does_not_give_is_the_learners_default():
    lightgbm = learners()["lightgbm"]
    plain = defaults(lightgbm, categories=True, missing=True)[0]
    given = {"learner": "lightgbm", "leaves": 7, "of another version": 1}
    assert for_table(given, lightgbm, categories=True, missing=True) == plain | {"leaves": 7}


def test_a_value_that_the_learner_has_no_more_is_not_suggested():
    beyond = {"learner": "lightgbm", "leaves": 10**9}
    assert for_table(beyond, learners()["lightgbm"], categories=True, missing=True) is None
    memory = replace(_memory(), configurations=(beyond,) * 4)
    assert suggest(_features(), "binary", {"lightgbm"}, memory) == []


def test_choices_of_preparation_follow_the_table():
    config = {"learner": "mlp", "categories": "target", "scale": "standard", "impute": "mean"}
    mlp = learners()["mlp"]
    bare = for_table(config, mlp, categories=False, missing=False)
    full = for_table({"learner": "mlp"}, mlp, categories=True, missing=True)
    assert bare is not None
    assert bare["scale"] == "standard"
    assert not bare.keys() & {"categories", "impute"}
    assert full == defaults(mlp, categories=True, missing=True)[0]


def test_a_real_table_gets_suggestions():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    codes = np.empty((300, 0), dtype=np.int32)
    new = meta_features(Table(X, codes), (X[:, 0] > 0).astype(int), 2, [])
    found = suggest(new, "binary", {"linear", "lightgbm", "extra_trees"})
    assert {one["learner"] for one in found} == {"linear", "lightgbm", "extra_trees"}


def test_a_default_that_was_written_down_before_a_parameter_came_gets_it_as_it_is_now():
    network = learners()["real_mlp"]
    for plain in defaults(network, categories=True, missing=True):
        before = {name: value for name, value in plain.items() if name != "smoothing"}
        assert for_table(before, network, categories=True, missing=True) == plain
    other = for_table({"learner": "real_mlp", "width": 77}, network)
    assert other is not None
    assert other["smoothing"] == network.defaults[0]["smoothing"]
