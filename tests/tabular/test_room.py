from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.errors import Infeasible
from rung.tabular import room
from rung.tabular.dataset import Dataset
from rung.tabular.encode import Table
from rung.tabular.fit import fit_table
from rung.tabular.learners.forests import FOREST
from rung.tabular.learners.linear import LINEAR
from rung.tabular.preparation import Needs, Target, make_preparation
from rung.tabular.room import free_bytes, needed_bytes, refuse_too_large
from rung.tabular.splits import make_split


def test_needs_grow_with_rows_columns_and_the_learner():
    assert needed_bytes(LINEAR, 1000, 20, 2) < needed_bytes(LINEAR, 2000, 20, 2)
    assert needed_bytes(LINEAR, 1000, 20, 2) < needed_bytes(LINEAR, 1000, 40, 2)
    assert needed_bytes(LINEAR, 1000, 20, 2) < needed_bytes(FOREST, 1000, 20, 2)
    assert needed_bytes(LINEAR, 10**6, 100, 2) == pytest.approx(3.2e9, rel=0.1)


def test_a_fit_without_room_is_not_begun(monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda: 10_000_000)
    refuse_too_large(LINEAR, 100, 20, 2, 1)
    with pytest.raises(Infeasible, match=r"linear on 1,000,000 rows needs about 0.6 GB"):
        refuse_too_large(LINEAR, 10**6, 20, 0, 1)
    with pytest.raises(Infeasible):
        refuse_too_large(LINEAR, 9000, 20, 0, 2)


def test_a_group_may_have_less_than_the_machine(monkeypatch, tmp_path):
    most, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(room, "_GROUPS", (str(most), str(used)))
    machine = free_bytes()
    assert machine > 0
    most.write_text("1000\n")
    used.write_text("400\n")
    assert free_bytes() == 600
    most.write_text("max\n")
    assert free_bytes() > 600


@pytest.mark.parametrize(
    "config",
    [
        {"categories": "hash"},
        {"categories": "onehot"},
        {"categories": "target"},
        {"categories": "ordinal"},
        {"categories": "ordinal", "expand": "squares"},
    ],
)
def test_the_width_is_that_of_the_encoding(config):
    """No matrix is wider than what room is asked for."""
    rng = np.random.default_rng(0)
    table = Table(rng.normal(size=(900, 12)), rng.integers(0, 300, (900, 2)).astype(np.int32))
    y, sizes = np.arange(900) % 3 * 1.0, [300, 300]
    dataset = Dataset(table, y.astype(int), 3, sizes, make_split(y, 3, 1, 0.2, 0), "log_loss", 0)
    way = make_preparation(Needs(), config, sizes, 0)
    widest = dataset.widest(way, 900)
    width = way.fit_transform(table, Target(y, 3)).shape[1]
    assert width <= widest == max(width, dataset.width)


def test_a_search_goes_on_with_what_has_room(monkeypatch):
    """The reason is told, and there is a model all the same."""
    real = room.needed_bytes
    monkeypatch.setattr(
        room, "needed_bytes", lambda one, *size: 1e18 if one.name == "extra_trees" else real(one, *size)
    )
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 2)), columns=["a", "b"]).assign(y=np.arange(120) % 2)
    result = fit_table(frame, "y", budget=1, workers=1, include=["extra_trees", "linear"])
    assert {row.learner for row in result.leaderboard} == {"linear"}
    assert any("extra_trees on" in reason for reason in result.failures)
