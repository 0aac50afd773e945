"""What is kept between suggestions is what would be made anew."""

from __future__ import annotations

import numpy as np
import pytest

from rung.samplers import ladder
from rung.samplers.candidates import decoded
from rung.samplers.gp_kept import kept_of
from rung.samplers.ladder import Level, Scales, modelled
from rung.samplers.observed import observed
from rung.samplers.surrogate import inputs_of
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space

SPACE = compile_space(
    Space(
        {
            "kind": Choice({"a": {"x": Float(0, 1)}, "b": {"n": Integer(1, 5)}}),
            "flag": Categorical(["p", "q", "r"]),
        }
    )
)


def levels_of(counts: list[int], seed: int = 0, failed: int = 0) -> list[Level]:
    """As of trials of which the first ones have results at every fidelity."""
    generator = np.random.default_rng(seed)
    found = []
    for place, count in enumerate(counts):
        losses = (place + 1.0) * generator.random(count)
        losses[:failed] = np.inf
        found.append(Level(float(place), np.arange(count), generator.random((count, 2)), losses))
    return found


def test_columns_of_a_growing_history_are_those_of_all_at_once(recorder):
    record = recorder(None, SPACE)
    inputs = inputs_of(SPACE)
    for number in range(70):
        values = SPACE.sample(0, number)
        record.trial(values, float(number))
        columns = kept_of(record.history, inputs).columns(record.history.matrix(SPACE))
        if number % 23 == 0:
            np.testing.assert_array_equal(columns, inputs(record.history.matrix(SPACE)))
    assert columns.shape == (70, inputs.width)
    np.testing.assert_array_equal(columns, inputs(record.history.matrix(SPACE)))


def test_a_level_is_the_same_until_there_is_another_result(recorder):
    record = recorder(None, SPACE)
    for number in range(3):
        record.trial(SPACE.sample(0, number), float(number))
    inputs = inputs_of(SPACE)
    kept = kept_of(record.history, inputs)

    def level(rung):
        columns = kept.columns(record.history.matrix(SPACE))
        return kept.level(observed(record.history, 1), rung, columns)

    first = level(0.0)
    assert level(0.0) is first
    assert level(1.0).rung == 1.0
    record.trial(SPACE.sample(0, 3), 0.5)
    assert len(level(0.0).losses) == 4


@pytest.mark.parametrize("failed", [0, 2, 9])
def test_scales_that_are_kept_are_those_made_anew(failed):
    kept = Scales()
    levels = levels_of([9, 14, 30], failed=failed)
    for step in range(12):
        place = (2, 2, 0, 2, 1)[step % 5]
        old = levels[place]
        count = len(old.losses) + 1
        more = 40.0 if step == 6 else 0.1 * step  # one that is larger than all changes the unit
        levels[place] = Level(old.rung, np.arange(count), np.zeros((count, 2)), np.append(old.losses, more))
        asked = levels[: 2 + step % 2]  # a fidelity may come or go
        for ours, anew in zip(kept(asked), Scales()(asked), strict=True):
            np.testing.assert_array_equal(ours, anew)


def test_one_fit_of_several_fidelities_serves_every_effort(monkeypatch):
    sizes = []
    fit = ladder.fit

    def counted(data, start, iterations):
        sizes.append(len(data.y))
        return fit(data, start, iterations)

    monkeypatch.setattr(ladder, "fit", counted)
    levels, fitted = levels_of([60, 90, 120]), {}
    kernel, data = modelled(levels, 2, 200, fitted, Scales())
    assert len(data.y) == 200
    assert max(sizes) <= 96
    before = len(sizes)
    assert modelled(levels, 2, 115, fitted, Scales())[0] == kernel
    assert modelled(levels, 2, 96, fitted, Scales())[0] == kernel
    assert len(sizes) == before


def test_a_fit_of_one_fidelity_sees_all_that_is_modelled(monkeypatch):
    sizes = []
    fit = ladder.fit
    monkeypatch.setattr(ladder, "fit", lambda data, *rest: sizes.append(len(data.y)) or fit(data, *rest))
    modelled(levels_of([160]), 2, 200, {}, Scales())
    assert max(sizes) == 160


def test_points_without_rules_are_encoded_as_axis_by_axis():
    space = compile_space(
        {
            "fixed": Constant("c"),
            "kind": Categorical(["a", "b", "c"]),
            "size": Ordinal([1, 2, 4, 8]),
            "n": Integer(1, 6),
            "k": Integer(1, 1000, log=True),
            "step": Float(0, 1, step=0.25),
            "x": Float(-1, 1),
        }
    )
    drawn = np.random.default_rng(0).random((space.size, 400))
    drawn[:, 0], drawn[:, 1] = 0.0, 1.0
    expected = [
        axis.cube(axis.raw(row)) if axis.count is not None else row
        for axis, row in zip(space.columns.axes, drawn, strict=True)
    ]
    points, rows = decoded(space, drawn.copy())
    np.testing.assert_array_equal(points, np.stack(expected, axis=1))
    np.testing.assert_array_equal(rows, np.arange(400))
