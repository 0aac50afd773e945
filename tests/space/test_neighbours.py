"""One parameter changed, nothing else, and only legal."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rung.space import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space
from rung.space.rules import Condition, Forbidden, Is

SPACE = compile_space(
    Space(
        {
            "a": Float(1e-4, 1, log=True),
            "b": Integer(1, 6),
            "c": Categorical(["x", "y", "z"]),
            "d": Ordinal([1, 2, 3]),
            "e": Constant(1),
            "f": Choice({"p": {"g": Float(0, 1), "h": Integer(0, 1)}, "q": {"g": Float(0, 1)}, "r": {}}),
            "w": Float(0, 1, step=0.1),
        },
        [Condition("w", on="b", greater=3)],
        [Forbidden(Is("c", equals="x") & Is("b", equals=6))],
    )
)


@pytest.mark.parametrize("number", range(20))
def test_one_parameter_changed(number: int) -> None:
    values = SPACE.sample(0, number)
    found = SPACE.neighbours(values, np.random.default_rng(number), 40)
    assert len(found) == 40
    assert len(set(found)) == 40
    assert values not in found
    assert SPACE.legal(found).all()
    branch = {7, 8, 9, 5}
    for row in found:
        changed = {j for j in range(SPACE.size) if row[j] != values[j]}
        moved = {
            j for j in changed if row[j] != () and values[j] != ()
        }  # the rest came or went with its parent
        assert len(moved) == 1
        assert (
            changed == moved
            or (moved == {5} and changed <= branch | {6})
            or (moved == {1} and changed == {1, 9})
        )
        assert SPACE.from_mapping(SPACE.to_mapping(row)) == row


def test_the_same_generator_gives_the_same() -> None:
    values = SPACE.sample(0, 0)
    one, two = (SPACE.neighbours(values, np.random.default_rng(5), 10) for _ in range(2))
    assert one == two


def test_steps_are_normal_in_the_cube() -> None:
    space = compile_space({"a": Float(0, 1)})
    steps = np.array(space.neighbours((0.5,), np.random.default_rng(0), 4000))[:, 0] - 0.5
    assert abs(steps.mean()) < 0.015
    assert steps.std() == pytest.approx(0.193, abs=0.01)  # 0.2, cut off at both ends


def test_small_neighbourhoods_are_found_whole() -> None:
    space = compile_space({"a": Categorical([True, 1, "x"]), "b": Integer(1, 3), "c": Constant(0)})
    values = space.decode([[0.1, 0.1, 0.5]])[0]
    found = space.neighbours(values, np.random.default_rng(0), 50)
    assert Counter((type(row[0]), row[0], row[1]) for row in found) == Counter(
        [(int, 1, 1), (str, "x", 1), (bool, True, 2), (bool, True, 3)]
    )
    alone = compile_space({"a": Constant(1)})
    assert alone.neighbours((1,), np.random.default_rng(0), 5) == []


def test_extremes_can_be_left() -> None:
    space = compile_space({"a": Integer(0, 1), "b": Float(0, 1)})
    for start in ((0, 0.0), (1, 1.0)):
        found = space.neighbours(start, np.random.default_rng(0), 30)
        assert len(found) == 30
        assert {row[0] for row in found} == {0, 1}
