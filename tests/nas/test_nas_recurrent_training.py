"""Training of language models: averaging, its trigger, windows in a row, learning, and resuming."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rung.errors import DataError
from rung.nas.data.text import batchify, windows
from rung.nas.genotype import Genotype
from rung.nas.recurrent.language import LanguageModel, activation_penalty, language_model, lstm_model
from rung.nas.recurrent.masks import Dropouts
from rung.nas.recurrent.presets import LANGUAGE_PRESETS, TrainingRecipe
from rung.nas.recurrent.training import Average, Diverged, Training, evaluated, stalled, train

torch.set_num_threads(1)

NONE = Dropouts(output=0, hidden=0, inputs=0, embedding=0)
SOME = Dropouts(output=0.2, hidden=0.1, inputs=0.1, embedding=0.1, words=0.1, weights=0.1)
CELL = Genotype.from_dict({"recurrent": [["tanh", 0], ["relu", 1], ["identity", 1]], "concat": [1, 2, 3]})
RECIPE = TrainingRecipe(hidden=8, rows=4, bptt=6, spread=1.0, epochs=3, rate=2.0, dropouts=SOME, patience=1)


def _model(dropouts: Dropouts = SOME, hidden: int = 8, vocabulary: int = 6) -> LanguageModel:
    torch.manual_seed(0)
    return language_model(CELL, vocabulary, hidden, dropouts)


def _noise(count: int, vocabulary: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(vocabulary, size=count)


def test_the_average_is_the_mean_of_the_iterates() -> None:
    model = _model()
    average, iterates = Average(model), []
    for step in range(7):
        with torch.no_grad():
            model.frame.bias += step * torch.randn(6)
        average.add(model)
        iterates.append(model.frame.bias.detach().clone())
    own = model.frame.bias.detach().clone()
    with average.in_place(model):
        assert torch.allclose(model.frame.bias, torch.stack(iterates).mean(0), atol=1e-6)
    assert torch.equal(model.frame.bias, own)


def test_an_average_of_nothing_leaves_the_model_alone() -> None:
    model = _model()
    own = model.frame.bias.detach().clone()
    with Average(model).in_place(model):
        assert torch.equal(model.frame.bias, own)


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [
        ([5, 4, 3, 2, 1], 2, False),
        ([3, 4, 5], 2, False),  # as many as patience, and the last: nothing before them
        ([3, 4, 5, 4], 2, True),
        ([3, 4, 5, 2], 2, False),
        ([3, 2, 5, 2.5], 2, False),  # the best before the last two is 3
        ([3, 2, 5, 4, 2.5], 2, True),
        ([2, 3], 0, True),
        ([1], 0, False),
    ],
)
def test_when_averaging_begins(losses: list[float], patience: int, expected: bool) -> None:
    assert stalled(losses, patience) is expected


def test_a_step_is_sgd_on_loss_and_penalties_with_a_clipped_gradient() -> None:
    """One epoch of plain tensor algebra beside it: windows in a row, the state carried without gradient."""
    recipe = replace(RECIPE, dropouts=NONE, clip=0.05, decay=0.01, activation=0.5, temporal=0.7)
    data = batchify(_noise(90), 4)
    model, other = _model(NONE), _model(NONE)
    Training(model, recipe, 5).epoch(data, data)
    state = torch.zeros(4, 8)
    for window in windows(data, 6, seed=5, epoch=0, spread=1.0):
        weights = list(other.parameters())
        spoken = other(window.x, state)
        loss = -spoken.log_probabilities.gather(-1, window.y[..., None]).mean()
        loss = loss + activation_penalty(spoken, 0.5, 0.7)
        slopes = torch.autograd.grad(loss, weights)
        norm = math.sqrt(sum(float((slope**2).sum()) for slope in slopes))
        scale = min(1.0, 0.05 / norm)
        with torch.no_grad():
            for weight, slope in zip(weights, slopes, strict=True):
                weight -= 2.0 * len(window.x) / 6 * (scale * slope + 0.01 * weight)
        state = spoken.state.detach()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_averaging_begins_where_it_should_and_judges_the_mean() -> None:
    """With a rate far too high for a text without pattern, the loss stalls and averaging begins."""
    data = batchify(_noise(120), 4)
    training = Training(_model(NONE), replace(RECIPE, dropouts=NONE, rate=30.0, patience=0), 1)
    while not training.epochs or not training.epochs[-1].averaged:
        assert len(training.epochs) < 20
        training.epoch(data, data)
    assert training.average is not None
    with training.average.in_place(training.model):
        assert evaluated(training.model, data, 6) == pytest.approx(training.epochs[-1].valid_loss, rel=1e-9)
    plain = [epoch.valid_loss for epoch in training.epochs if not epoch.averaged]
    assert training.epochs[-1].valid_loss < plain[-1]
    assert training.average.count == len(list(windows(data, 6, seed=1, epoch=len(plain), spread=1.0)))


def test_the_best_weights_are_restored() -> None:
    held_out = _noise(60)
    training = train(
        _model(), _noise(200), held_out, replace(RECIPE, rate=40.0, epochs=5), seed=1, valid_rows=4
    )
    best = min(epoch.valid_loss for epoch in training.epochs)
    assert evaluated(training.model, batchify(held_out, 4), 6) == pytest.approx(best, rel=1e-9)


def test_evaluation_does_not_depend_on_the_windows_and_counts_every_word() -> None:
    model = _model()
    data = batchify(_noise(100), 4)
    losses = [evaluated(model, data, bptt) for bptt in (1, 5, 7, 100)]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-6)
    model.eval()
    with torch.no_grad():
        said = model(data[:-1]).log_probabilities
    expected = -said.gather(-1, data[1:, :, None]).mean()
    assert losses[0] == pytest.approx(float(expected), rel=1e-6)


def test_bit_identical_for_a_seed_and_after_resuming() -> None:
    data, held_out = batchify(_noise(200), 4), batchify(_noise(60), 4)
    recipe = replace(RECIPE, rate=20.0, patience=0)
    whole = Training(_model(), recipe, 3)
    for _ in range(6):
        whole.epoch(data, held_out)
    assert whole.epochs[-1].averaged
    assert not whole.epochs[1].averaged
    for stop in (1, 5):
        first = Training(_model(), recipe, 3)
        for _ in range(stop):
            first.epoch(data, held_out)
        torch.manual_seed(999)
        second = Training(_model(), recipe, 3)
        second.load(first.state())
        while len(second.epochs) < 6:
            second.epoch(data, held_out)
        assert second.epochs == whole.epochs
        for one, two in zip(
            second.restore_best().parameters(), whole.restore_best().parameters(), strict=True
        ):
            assert torch.equal(one, two)
    other = Training(_model(), recipe, 4)
    other.epoch(data, held_out)
    assert other.epochs[0] != whole.epochs[0]


@pytest.mark.parametrize("kind", ["cell", "lstm"])
def test_a_periodic_text_is_learned(kind: str) -> None:
    """Period 6 with a symbol that comes twice, so that the word before does not tell the next one."""
    ids = np.tile([0, 1, 2, 0, 3, 4], 120)
    torch.manual_seed(0)
    model = language_model(CELL, 5, 16, NONE) if kind == "cell" else lstm_model(5, 16, NONE)
    recipe = TrainingRecipe(
        hidden=16, rows=4, bptt=12, spread=2.0, epochs=40, rate=5.0, dropouts=NONE, patience=9
    )
    training = train(
        model,
        ids,
        ids[:120],
        recipe,
        seed=0,
        valid_rows=2,
        going_on=lambda epoch: epoch.valid_perplexity > 1.05,
    )
    assert training.epochs[-1].valid_perplexity < 1.05
    assert training.epochs[0].valid_perplexity > 2


def test_a_loss_that_is_not_finite_stops() -> None:
    model = _model()
    with torch.no_grad():
        model.frame.bias[0] = math.nan
    data = batchify(_noise(60), 4)
    with pytest.raises(Diverged, match="epoch 1"):
        Training(model, RECIPE, 0).epoch(data, data)


def test_a_text_too_short_for_its_rows() -> None:
    with pytest.raises(DataError):
        train(_model(), _noise(5), _noise(60), RECIPE, seed=0)


def test_presets_are_the_papers() -> None:
    paper = LANGUAGE_PRESETS["paper"]
    assert (paper.hidden, paper.batch, paper.bptt, paper.epochs) == (300, 256, 35, 50)
    assert (paper.rate, paper.rate_min, paper.clip, paper.decay, paper.momentum) == (20, 20, 0.25, 5e-7, 0)
    assert (paper.alpha_rate, paper.alpha_decay, paper.alpha_betas) == (3e-3, 1e-3, (0.9, 0.999))
    assert paper.dropouts == Dropouts(output=0.75, hidden=0.25, inputs=0.75, embedding=0.2, words=0.0)
    assert paper.training == TrainingRecipe()
    transfer = LANGUAGE_PRESETS["wikitext2"].training
    assert (transfer.hidden, transfer.decay, transfer.dropouts.hidden) == (700, 5e-7, 0.15)
    assert transfer.dropouts.words == 0.1
    assert set(LANGUAGE_PRESETS) >= {"tiny", "small", "paper"}
    assert paper.settings("darts") == {"clip": 0.25}
