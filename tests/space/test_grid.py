"""The grid against a plain product of values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rung.errors import SpaceError
from rung.space import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space
from rung.space.rules import Condition, Forbidden, Is, Relation

SPACE = compile_space(
    Space(
        {
            "a": Float(1e-2, 1, log=True),
            "late": Integer(0, 9),
            "b": Integer(1, 3),
            "c": Categorical(["x", "y"]),
            "f": Choice(
                {
                    "p": {"g": Float(0, 1), "h": Ordinal(["s", "m"])},
                    "q": {"g": Float(0, 1, step=0.25)},
                    "r": {},
                }
            ),
        },
        [Condition("late", on="b", less=3)],
        [
            Forbidden(Is("c", equals="x") & Is("b", equals=2)),
            Forbidden(Is("f", equals="r") & Is("a", less=0.5)),
            Forbidden(Relation("f.p.g", "greater", "a") & Is("h", equals="m")),
        ],
    )
)


def by_hand(space, resolution):
    """All combinations decoded, the illegal ones left out, each once."""
    axes = []
    for j, domain in enumerate(space.domains):
        count = getattr(domain, "high", 0) - getattr(domain, "low", 0) + 1
        if hasattr(domain, "values"):
            points = (np.arange(len(domain.values)) + 0.5) / len(domain.values)
        elif isinstance(domain, Integer) and count <= resolution:
            points = space.encode(
                [
                    tuple(v if i == j else d for i, d in enumerate(space.defaults))
                    for v in range(domain.low, domain.high + 1)
                ]
            )[:, j]
        else:
            points = np.linspace(0, 1, resolution) if resolution > 1 else np.array([0.5])
        axes.append(points)
    rows = space.decode(np.array(list(itertools.product(*axes))))
    legal = space.legal(rows).tolist()
    return list(dict.fromkeys(row for row, good in zip(rows, legal, strict=True) if good))


@pytest.mark.parametrize("resolution", [1, 2, 3, 5])
def test_same_as_by_hand(resolution: int) -> None:
    grid = SPACE.grid(resolution)
    assert set(grid) == set(by_hand(SPACE, resolution))
    assert len(grid) == len(set(grid)) == SPACE.grid_size(resolution)
    assert [grid[i] for i in range(len(grid))] == list(grid)
    assert grid[-1] == list(grid)[-1]
    assert grid[1:4] == list(grid)[1:4]


def test_order_is_that_of_declaration_the_last_fastest() -> None:
    space = compile_space({"a": Categorical(["x", "y"]), "b": Float(0, 1), "c": Integer(1, 2)})
    assert list(space.grid(2)) == list(itertools.product(["x", "y"], [0.0, 1.0], [1, 2]))


def test_resolutions() -> None:
    space = compile_space(
        {
            "lr": Float(1e-4, 1, log=True),
            "n": Integer(1, 1000, log=True),
            "k": Integer(1, 3),
            "z": Constant(0),
        }
    )
    assert [row[0] for row in space.grid({"lr": 5, "n": 1, "k": 1})] == pytest.approx(
        [1e-4, 1e-3, 1e-2, 1e-1, 1]
    )
    assert space.grid_size({"lr": 1, "n": 4, "k": 9}) == 12
    assert space.grid_size() == 5 * 5 * 3
    assert {row[2] for row in space.grid({"k": 2})} == {1, 3}
    with pytest.raises(SpaceError, match="resolution names 'm', which is not in the space"):
        space.grid({"m": 3})
    with pytest.raises(SpaceError, match="resolution for 'lr' must be a whole number from 1, not 0"):
        space.grid(0)


def test_huge_grids_are_not_listed() -> None:
    space = compile_space(
        Space(
            {f"p{i}": Float(0, 1) for i in range(40)},
            [Condition("p7", on="p3", less=0.5)],
            [Forbidden(Is("p1", less=0.1) & Is("p2", less=0.1))],
        )
    )
    grid = space.grid(10)
    assert grid.size == 99 * (5 * 10 + 5) * 10**36  # p1 and p2; p3 and p7; the others
    last = grid[grid.size - 1]
    assert set(last) <= {1.0, ()}
    with pytest.raises(IndexError, match="there is no number"):
        grid[grid.size]


def test_more_parameters_than_the_stack_has_room() -> None:
    space = compile_space({f"p{i}": Float(0, 1) for i in range(1500)})
    assert space.grid_size(2) == 2**1500
