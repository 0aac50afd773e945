"""What is refused before a search or a training begins, in one sentence."""

from __future__ import annotations

import pytest

from rung.errors import DataError
from rung.nas.data.reading import read_pictures
from rung.nas.genotype import Genotype
from rung.nas.retraining import retrain
from rung.nas.retraining_schedule import Schedule
from rung.nas.searching import search
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
