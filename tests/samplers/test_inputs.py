"""Columns, targets and the choice of results for Gaussian processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.samplers.inputs import Inputs, targets
from rung.samplers.surrogate import milestone, model_of, settled
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space
from rung.space.rules import Condition, Forbidden, Is
from rung.space.values import INACTIVE

MIXED = compile_space(
    Space(
        {
            "x": Float(0, 1),
            "few": Integer(1, 4),
            "kind": Choice({"a": {"many": Integer(1, 100)}, "b": {}}),
            "fixed": Constant(3),
            "size": Ordinal(["s", "m", "l"]),
            "y": Float(0, 1),
        },
        [Condition("y", "few", greater=2)],
    )
)


def test_columns_are_numbers_activity_then_codes():
    inputs = Inputs(MIXED)
    names = [MIXED.names[j] for j in inputs.values]
    assert names == ["x", "few", "many", "size", "y"]
    assert inputs.free.tolist() == [True, False, True, False, True]
    # that `many` is active is said by the category; that `y` is, by a column of its own
    assert (inputs.numbers, inputs.width, inputs.dimensions) == (6, 7, 6)
    assert not inputs.smooth
    rows = [
        MIXED.from_mapping(
            {"x": 0.25, "few": 4, "kind": "a", "many": 100, "fixed": 3, "size": "l", "y": 1.0}
        ),
        MIXED.from_mapping({"x": 0.75, "few": 1, "kind": "b", "fixed": 3, "size": "s"}),
    ]
    points = MIXED.encode(rows)
    expected = [[0.25, 0.875, 0.995, 5 / 6, 1.0, 1, 0], [0.75, 0.125, 0.5, 1 / 6, 0.5, 0, 1]]
    np.testing.assert_allclose(inputs(points), expected)
    assert inputs.movable(points).astype(int).tolist() == [[1, 0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0]]


def test_moved_columns_are_points_again():
    inputs = Inputs(MIXED)
    points = MIXED.encode(MIXED.samples(0, 0, 50))
    columns = inputs(points)
    np.testing.assert_array_equal(inputs.moved(points, columns), points)
    columns[:, 0] = 0.125
    found = settled(MIXED, inputs.moved(points, columns))
    assert (found[:, 0] == 0.125).all()
    np.testing.assert_array_equal(found[:, 1:], points[:, 1:])


def test_smooth_spaces():
    assert Inputs(compile_space({"x": Float(0, 1), "n": Integer(1, 1000)})).smooth
    assert not Inputs(compile_space({"x": Float(0, 1), "n": Integer(1, 3)})).smooth
    assert Inputs(compile_space({"c": Constant(1)})).width == 0


def test_settled_points_are_legal_configurations():
    space = compile_space(
        Space({"x": Float(0, 1), "c": Categorical(["p", "q", "r"])}, [], [Forbidden(Is("c", equals="q"))])
    )
    points = np.random.default_rng(0).random((60, 2))
    found = settled(space, points)
    assert 0 < len(found) < 60
    assert {row[1] for row in space.decode(found)} == {"p", "r"}
    np.testing.assert_allclose(space.encode(space.decode(found)), found)
    assert INACTIVE not in space.decode(found)[0]


LOSSES = st.lists(st.one_of(st.just(np.inf), st.floats(-1e300, 1e300)), min_size=1, max_size=30).map(np.array)


@settings(deadline=None, max_examples=200)
@given(LOSSES)
def test_targets_are_finite_ordered_and_failed_ones_worst(losses):
    y = targets(losses)
    assert np.isfinite(y).all()
    order = np.argsort(losses, kind="stable")
    assert (np.diff(y[order]) >= 0.0).all()
    assert y.std() == pytest.approx(0.0, abs=1e-6) or y.std() == pytest.approx(1.0)
    assert (y[np.isinf(losses)] == y.max()).all()


@settings(deadline=None, max_examples=100)
@given(LOSSES, st.floats(0.001, 1000), st.floats(-100, 100))
def test_targets_do_not_depend_on_the_unit(losses, scale, shift):
    losses = np.array([round(loss % 10.0, 3) if np.isfinite(loss) else loss for loss in losses])
    np.testing.assert_allclose(targets(losses * scale + shift), targets(losses), atol=1e-5)


def test_a_huge_loss_leaves_the_good_ones_apart():
    good = np.linspace(0.1, 0.2, 20)
    y = targets(np.append(good, 1e300))
    assert y[19] - y[0] > 1.5
    assert targets(good, np.array([0.1, 0.15, 5.0]))[:2] == pytest.approx([targets(good)[0], 0.0])


def test_losses_like_others_are_scaled_like_them():
    losses = np.array([0.0, 1.0, 2.0, 3.0, np.inf])
    np.testing.assert_allclose(targets(losses, losses), targets(losses))
    assert targets(losses, np.array([1e9]))[0] == targets(losses).max()
    assert (targets(np.full(3, np.inf), np.ones(2)) == 0.0).all()


def test_milestones():
    assert [milestone(n) for n in (0, 1, 19, 39, 40, 41, 42, 79, 81, 85)] == [
        0,
        1,
        19,
        39,
        40,
        40,
        42,
        78,
        80,
        84,
    ]
    for n in range(1, 3000):
        assert n - n / 20 <= milestone(n) <= n
        assert milestone(milestone(n)) == milestone(n)


def test_models_share_hyperparameters_up_to_the_next_milestone():
    generator = np.random.default_rng(0)
    x = generator.random((90, 2))
    losses = np.sin(5 * x[:, 0]) + x[:, 1]
    models = [model_of(x[:n], 2, losses[:n], losses[:n, None], 60) for n in (80, 82, 83, 84)]
    kernels = [model.kernels[0] for model in models]
    assert kernels[0] == kernels[1] == kernels[2] != kernels[3]
    assert [len(model.rows) for model in models] == [60] * 4
    assert models[0].y.shape == (60, 1)
