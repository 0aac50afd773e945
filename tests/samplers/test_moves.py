"""Moved, mutated and crossed configurations: legal, from their parents, at the stated chances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rung.samplers.moves import crossed, mutated, neighbour
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space
from rung.space.rules import Condition, Forbidden, Is
from rung.space.values import INACTIVE

MIXED = compile_space(
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
        [Forbidden(Is("c", equals="x") & Is("b", equals=6)), Forbidden(Is("d", equals=2))],
    )
)
FLAT = compile_space({f"x{i}": Float(0, 1) for i in range(10)})


def changed(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("number", range(60))
def test_all_are_legal(number):
    generator = np.random.default_rng(number)
    first, second = MIXED.sample(0, number), MIXED.sample(1, number)
    for found in (
        neighbour(MIXED, first, generator),
        mutated(MIXED, first, generator),
        mutated(MIXED, first, generator, rate=1.0),
        crossed(MIXED, first, second, generator),
    ):
        assert MIXED.legal([found]).all()
        assert MIXED.from_mapping(MIXED.to_mapping(found)) == found


@pytest.mark.parametrize("number", range(60))
def test_a_child_has_its_parents_values(number):
    generator = np.random.default_rng(number)
    first, second = MIXED.sample(2, number), MIXED.sample(3, number)
    child = crossed(MIXED, first, second, generator)
    for value, a, b in zip(child, first, second, strict=True):
        if value is not INACTIVE and (a, b) != (INACTIVE, INACTIVE):
            assert value in (a, b)
            assert value is not INACTIVE
    branch = MIXED.names.index("f")
    if first[branch] != second[branch]:
        own = first if child[branch] == first[branch] else second
        assert child[branch + 1 : branch + 4] == own[branch + 1 : branch + 4]  # the branch comes whole


def test_either_parent_gives_a_value_at_even_chance():
    generator = np.random.default_rng(0)
    first, second = (0.0,) * 10, (1.0,) * 10
    ones = sum(sum(crossed(FLAT, first, second, generator)) for _ in range(400))
    assert stats.binomtest(int(ones), 4000).pvalue > 1e-3


def test_what_no_parent_has_is_drawn_from_its_prior():
    space = compile_space(
        Space(
            {"a": Categorical([0, 1]), "b": Categorical([0, 1]), "c": Float(0, 1)},
            [Condition("c", "a", equals=1), Condition("c", "b", equals=1)],
        )
    )
    generator = np.random.default_rng(1)
    children = [crossed(space, (1, 0, INACTIVE), (0, 1, INACTIVE), generator) for _ in range(1000)]
    drawn = [child[2] for child in children if child[:2] == (1, 1)]
    assert 200 < len(drawn) < 300
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    assert all(child[2] is INACTIVE for child in children if child[:2] != (1, 1))


@pytest.mark.parametrize("rate", [None, 0.5, 1.0])
def test_a_mutation_changes_each_parameter_at_its_chance(rate):
    generator = np.random.default_rng(2)
    own = FLAT.sample(0, 0)
    counts = [changed(own, mutated(FLAT, own, generator, rate)) for _ in range(500)]
    chance = 0.1 if rate is None else rate
    assert min(counts) >= 1
    expected = 10 * chance + (1 - chance) ** 10  # where none was chosen one is all the same
    assert abs(np.mean(counts) - expected) < 0.25


def test_a_neighbour_changes_one_parameter_by_a_step_of_the_given_width():
    generator = np.random.default_rng(3)
    own = (0.5,) * 10
    steps = []
    for _ in range(800):
        found = neighbour(FLAT, own, generator, step=0.01)
        assert changed(own, found) == 1
        steps.append(max(found, key=lambda x: abs(x - 0.5)) - 0.5)
    assert stats.kstest(steps, "norm", args=(0, 0.01)).pvalue > 1e-3


def test_a_narrow_step_still_reaches_the_next_of_few_values():
    space = compile_space({"n": Integer(1, 5)})
    found = [neighbour(space, (3,), np.random.default_rng(s), step=1e-6)[0] for s in range(50)]
    assert {2, 4} <= set(found) <= {1, 2, 4, 5}


def test_where_nothing_else_is_legal_the_configuration_stays():
    space = compile_space(
        Space(
            {"a": Categorical(["x", "y"]), "b": Categorical(["x", "y"])},
            forbidden=[Forbidden(Is("a", equals="x")), Forbidden(Is("b", equals="x"))],
        )
    )
    generator, only = np.random.default_rng(4), ("y", "y")
    assert neighbour(space, only, generator) == only
    assert mutated(space, only, generator, rate=1.0) == only
    point = compile_space({"a": Constant(1), "b": Categorical(["c"])})
    assert mutated(point, (1, "c"), generator) == neighbour(point, (1, "c"), generator) == (1, "c")


def test_when_every_cross_is_forbidden_the_child_is_the_first_parent():
    space = compile_space(
        Space(
            {f"{side}{i}": Categorical([0, 1]) for i in range(40) for side in "ab"},
            forbidden=[Forbidden(Is(f"a{i}", equals=0) & Is(f"b{i}", equals=1)) for i in range(40)]
            + [Forbidden(Is(f"a{i}", equals=1) & Is(f"b{i}", equals=0)) for i in range(40)],
        )
    )
    first, second = (0,) * 80, (1,) * 80
    assert crossed(space, first, second, np.random.default_rng(5)) == first
