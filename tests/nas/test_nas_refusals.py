"""What is refused before a search or a training begins, in one sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rung.errors import DataError, SpaceError, UserError
from rung.nas.data.reading import read_pictures
from rung.nas.genotype import Genotype
from rung.nas.planning import Request, prepare, space_for
from rung.nas.retraining import retrain
from rung.nas.retraining_schedule import Schedule
from rung.nas.searching import search
from rung.nas.space import SPACES, Cell, Space
from support.pictures import halves

CELLS = Genotype.from_dict(
    {
        "normal": [["sep_conv_3x3", 0], ["skip_connect", 1]],
        "normal_concat": [2],
        "reduce": [["max_pool_3x3", 0], ["skip_connect", 1]],
        "reduce_concat": [2],
    }
)


@pytest.mark.parametrize("strategy", ["darts1", "evolution"])
def test_a_search_takes_squares_alone(strategy: str) -> None:
    x, y, *_ = halves(32)
    with pytest.raises(DataError, match=r"6 x 8 pixels are no squares.*--size 6"):
        search((x[:, 1:-1], y), strategy=strategy, space="tiny", epochs=1)


def test_a_training_takes_squares_alone() -> None:
    x, y, *_ = halves(32)
    wide = x[:, :, 1:-1], y
    schedule = Schedule(channels=4, layers=3, epochs=1, batch=8)
    with pytest.raises(DataError, match=r"8 x 6 pixels are no squares.*--size 6"):
        retrain(CELLS, read_pictures(wide), schedule)
    assert read_pictures(wide, size=6).side == 6


PAIR = ("none", "skip_connect")
NORMAL = Cell("normal", 2, PAIR)


@pytest.mark.parametrize(
    ("space", "why"),
    [
        (Space("own", (replace(NORMAL, output="mean"),)), "gives out the mean of its nodes"),
        (Space("own", (replace(NORMAL, inputs=3),)), "has inputs=3, and skeleton 'darts' stacks cells of 2"),
        (Space("own", (replace(NORMAL, inputs=1),)), "has inputs=1, and skeleton 'darts' stacks cells of 2"),
        (Space("own", (replace(NORMAL, operations=("none",)),)), "no candidate but 'none' .* node 2"),
        (
            Space("own", (replace(NORMAL, only=tuple((edge, ("none",)) for edge in (2, 3, 4))),)),
            "no candidate but 'none' on the edges of node 3",
        ),
        (Space("own", (replace(NORMAL, keep=0),)), "keeps 0 edges of a node"),
        (Space("own", (replace(NORMAL, name="mine"),)), "keeps the size, and must be named 'normal'"),
        (Space("own", (replace(NORMAL, name="reduce", reduction=True),)), "and no cell keeps it"),
        (Space("own", (replace(NORMAL, inputs=1),), "nasbench201"), "gives out its 'last' node"),
        (Space("own", (NORMAL,), "star"), "unknown skeleton, 'star'"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("strategy", ["darts1", "evolution"])
def test_a_space_that_cannot_be_stacked_or_derived_is_refused_at_once(
    space: Space, why: str, strategy: str
) -> None:
    with pytest.raises(SpaceError, match=f"space 'own': cell '.*' .*{why}"):
        search(halves(32), strategy=strategy, space=space, epochs=1)


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        *(("limit", 0, 1), ("limit", 100.5, 1), ("limit", -3, 1), ("limit", True, 1), ("cutout", 2.5, 0)),
        *(("size", 0, 1), ("networks", 0, 1), ("networks", 2.5, 1), ("workers", 0, 1), ("epochs", 0, 1)),
    ],
)
def test_numbers_are_whole_and_large_enough(name: str, value: Any, least: int) -> None:
    given = {"strategy": "evolution" if name in ("networks", "workers") else "darts1", "space": "tiny"}
    with pytest.raises(UserError, match=f"^{name} is a whole number from {least} up, not {value}$"):
        search(halves(32), **given, **{name: value})


@pytest.mark.parametrize("space", [["darts"], 0, "", ()])
def test_a_space_is_a_name_or_a_space(space: Any) -> None:
    with pytest.raises(UserError, match=r"unknown space .*: there are darts, s1"):
        search(halves(32), strategy="darts1", space=space)


def test_every_shipped_space_can_be_stacked() -> None:
    for name, space in SPACES.items():
        cell = "rnn" if space.skeleton == "recurrent" else "cnn"
        assert space_for(Request(None, space=name, cell=cell)) == space
    assert prepare(Request(halves(32), space=Space("own", (replace(NORMAL, output="last"),)))).plan
