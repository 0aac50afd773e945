"""A search that runs elsewhere finds what one that runs here does, and the log has the same epochs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rung.errors import UserError
from rung.executors.setup import Engine
from rung.nas.planning import Request
from rung.nas.searching import EPOCH, Search
from rung.storage import open_storage
from rung.trials.history import History

torch.set_num_threads(1)

FEW = {"channels": 4, "layers": 3, "batch": 8, "alpha_rate": 0.3}


def request(**more: Any) -> Request:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, (64, 8, 8), dtype=np.uint8), np.arange(64) % 2
    x[y == 1, :, 4:] += 120
    given = {"strategy": "asap", "space": "tiny", "epochs": 2, "settings": FEW, "retrain": False, **more}
    return Request((x, y, x[:16], y[:16]), device="cpu", **given)


def timeless(record: Any) -> dict[str, Any]:
    """Without what the clock says."""
    return {**record, "seconds": 0.0, "ledger": {**record["ledger"], "seconds": 0.0}}


@pytest.mark.parametrize(
    "name",
    ["inline", pytest.param("local", marks=pytest.mark.long), pytest.param("ray", marks=pytest.mark.long)],
)
def test_the_same_as_here(name: str, tmp_path: Any) -> None:
    url = str(tmp_path / "studies.db")
    heard: list[int] = []
    here = Search(request(), "memory", None, None).run()
    away = Search(
        request(), url, "s", lambda record, plan: heard.append(record.epoch), Engine(name), "cpu"
    ).run()
    assert away.genotype == here.genotype
    assert list(map(timeless, away.records)) == list(map(timeless, here.records))
    storage = open_storage(url)
    history = History().fold_all(list(storage.read("s")))
    storage.close()
    epochs = [dict(record.data)["epoch"] for record in history.records[EPOCH]]
    assert epochs == heard == [record["epoch"] for record in here.records]


def test_a_budget_cannot_be_planned_here_for_there() -> None:
    with pytest.raises(UserError, match="cannot plan by --budget"):
        Search(request(budget=60.0), "memory", None, None, Engine("inline"))


def test_what_fails_there_is_said_here() -> None:
    with pytest.raises(UserError, match=r"no checkpoint: .*[Ll]oss"):
        Search(request(settings={**FEW, "rate": 1e30}), "memory", None, None, Engine("inline")).run()
