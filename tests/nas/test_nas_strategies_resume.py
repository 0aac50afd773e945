"""A search that is stopped and goes on ends as one that was not, whatever the strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nas.nas_support import SMALL, TinyTask
from rung.nas.checkpoint import load, save
from rung.nas.loop import Plan, derive, run, start
from rung.nas.recipe import Recipe
from rung.nas.strategies.table import make

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("random", {"samples": 3}),
    ("darts1", {"skip_dropout": 0.5, "max_skips": 1}),
    ("darts", {"hypergradient": "difference", "early_stop": True}),
    ("snas", {}),
    ("gdas", {}),
    ("pc_darts", {"warmup": 0.0}),
    ("p_darts", {"keep": [4, 2], "dropout": [0.2, 0.5], "warmup": 0.0}),
    ("darts_pt", {"tune": 1}),
    ("fair", {}),
    ("enas", {"hidden": 8, "samples": 3}),
]


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=[name for name, _ in SETTINGS])
def test_it_goes_on_bit_for_bit(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    recipe = Recipe(epochs=3, batch=8, rate=0.05, alpha_rate=0.05, channels=4, layers=3)
    plan = Plan(TinyTask(count=16), SMALL, make(name, settings, 3), recipe, 0)
    whole = run(plan, start(plan), lambda *_: True)
    half = run(plan, start(plan), lambda state, _: state.epoch < 2)
    assert half.epoch == 2
    save(plan, half, tmp_path)
    again = load(plan, tmp_path)
    torch.manual_seed(99)  # nothing that is drawn may depend on it
    run(plan, again, lambda *_: True)
    for key, value in whole.net.plain_state().items():
        assert torch.equal(value, again.net.plain_state()[key]), key
    for key, alpha in whole.alphas.items():
        assert torch.equal(alpha, again.alphas[key])
    for key in ("train_loss", "loss", "genotype", "notes", "mixtures"):
        assert [getattr(r, key) for r in whole.records] == [getattr(r, key) for r in again.records]
    assert derive(plan, whole) == derive(plan, again)
