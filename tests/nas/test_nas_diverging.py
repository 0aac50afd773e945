"""Weights that the last step of an epoch spoils: no later loss says so, and they are not kept."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rung.nas import retraining_epochs as epochs
from rung.nas.data.pictures import Pictures
from rung.nas.data.text import batchify
from rung.nas.genotype import Genotype
from rung.nas.loop import Diverged
from rung.nas.recurrent import training as recurrent
from rung.nas.recurrent.language import language_model
from rung.nas.recurrent.masks import Dropouts
from rung.nas.recurrent.presets import TrainingRecipe
from rung.nas.retraining import retrain
from rung.nas.retraining_schedule import Schedule
from support.pictures import halves

torch.set_num_threads(1)

CELL = Genotype.from_dict({"normal": [["sep_conv_3x3", 0], ["skip_connect", 1]], "normal_concat": [2]})
SHORT = Schedule(channels=4, layers=1, epochs=3, batch=32, rate=0.05, auxiliary=0.0, cutout=0)
TEXT = Genotype.from_dict({"recurrent": [["tanh", 0], ["relu", 1]], "concat": [1, 2]})
DRY = Dropouts(output=0, hidden=0, inputs=0, embedding=0)


def pictures() -> Pictures:
    x, y, x_test, y_test = (np.asarray(each) for each in halves(32))
    return Pictures("halves", x[..., None], y, x_test[..., None], y_test, ("dark", "bright"))


@pytest.mark.parametrize("spoiled", [1, 3])
def test_a_last_step_that_spoils_the_weights_is_not_kept(
    spoiled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = epochs.train_step

    def spoiling(
        job: epochs.Job, state: epochs.State, x: torch.Tensor, y: torch.Tensor
    ) -> tuple[float, float]:
        found = real(job, state, x, y)
        if state.epoch + 1 == spoiled:
            with torch.no_grad():
                next(state.net.parameters()).fill_(math.nan)
        return found

    monkeypatch.setattr(epochs, "train_step", spoiling)
    if spoiled == 1:
        with pytest.raises(Diverged, match="after epoch 1: try a lower --rate"):
            retrain(CELL, pictures(), SHORT, device="cpu")
        return
    found = retrain(CELL, pictures(), SHORT, device="cpu")
    assert found.diverged is not None
    assert "the weights of epoch 2 are kept" in found.diverged
    assert math.isfinite(found.loss)
    assert found.epochs == 2


def test_a_rate_that_is_too_large_for_the_only_step_is_told() -> None:
    with pytest.raises(Diverged, match="after epoch 1: try a lower --rate"):
        retrain(CELL, pictures(), replace(SHORT, rate=1e30, clip=0.0, epochs=1), device="cpu")


def test_a_language_model_without_a_loss_is_not_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = TrainingRecipe(hidden=4, rows=4, bptt=6, epochs=2, dropouts=DRY)
    text = batchify(np.arange(60) % 5, 4)
    training = recurrent.Training(language_model(TEXT, 5, 4, DRY), recipe, 0)
    monkeypatch.setattr(recurrent, "evaluated", lambda *_: math.nan)
    with pytest.raises(recurrent.Diverged, match="validation part is nan after epoch 1"):
        training.epoch(text, text)
    assert not training.epochs
