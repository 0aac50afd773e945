"""LSTMs trained together against torch's own modules and optimiser, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.data.tables.recipes import language, recipes
from benchmarks.data.tables.record import configurations
from numpy.typing import NDArray

Part = NDArray[np.int64]
SHAPE = {"batch_size": 4, "steps": 7, "units": 6}
CONFIGS: list[dict[str, Any]] = [
    SHAPE | {"dropout": 0.0, "clipping": 0.2, "rate_decay": 0.1, "learning_rate": 0.01},
    SHAPE | {"dropout": 0.0, "clipping": 10.0, "rate_decay": 1.0, "learning_rate": 0.003},
]
EPOCHS = 3


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> tuple[Part, Part, Part]:
    """Texts that can be learnt: a word over and over, with errors."""
    rng = np.random.default_rng(0)
    word = rng.integers(0, language.CHARACTERS, 8)

    def drawn(count: int) -> Part:
        characters = np.resize(word, count)
        return np.where(rng.random(count) < 0.1, rng.integers(0, language.CHARACTERS, count), characters)

    found = drawn(400), drawn(200), drawn(200)
    monkeypatch.setattr(language, "EPOCHS", EPOCHS)
    monkeypatch.setattr(language, "text", lambda: found)
    return found


def ordinary(config: dict[str, Any], parts: tuple[Part, Part, Part], seed: int) -> NDArray[np.float64]:
    """One model by torch.nn and torch.optim: losses on the validation and the test part, (2, epochs)."""
    import torch
    from torch import nn

    weights = language.first_weights(1, 6, torch.Generator().manual_seed(seed))
    embedding, gates, bias, last, last_bias = (one[0].detach() for one in weights)
    table, lstm, linear = nn.Embedding(*embedding.shape), nn.LSTM(6, 6, batch_first=True), nn.Linear(6, 40)
    table.weight.data, linear.weight.data, linear.bias.data = embedding, last.T.clone(), last_bias[0]
    lstm.weight_ih_l0.data, lstm.weight_hh_l0.data = gates[:6].T.clone(), gates[6:].T.clone()
    constant = torch.zeros(24)
    constant[6:12] = 1.0  # of the forget gate
    lstm.bias_ih_l0.data, lstm.bias_hh_l0.data = bias[0], constant
    lstm.bias_hh_l0.requires_grad_(False)
    nets = nn.ModuleList([table, lstm, linear])
    trained = [one for one in nets.parameters() if one.requires_grad]
    optimiser = torch.optim.RMSprop(trained, lr=config["learning_rate"])
    batches = torch.from_numpy(parts[0]).view(config["batch_size"], -1)
    losses = []
    for epoch in range(EPOCHS):
        optimiser.param_groups[0]["lr"] = config["learning_rate"] * config["rate_decay"] ** (epoch / 2)
        state = None
        for start in range(0, batches.shape[1] - 1, config["steps"]):
            piece = batches[:, start : start + config["steps"] + 1]
            hidden, state = lstm(table(piece[:, :-1]), state)
            state = tuple(one.detach() for one in state)
            optimiser.zero_grad()
            nn.functional.cross_entropy(linear(hidden).flatten(0, 1), piece[:, 1:].flatten()).backward()
            torch.nn.utils.clip_grad_norm_(trained, config["clipping"])
            optimiser.step()
        with torch.no_grad():
            for part in parts[1:]:
                held = torch.from_numpy(part).view(20, -1)
                scores = linear(lstm(table(held[:, :-1]))[0]).flatten(0, 1)
                losses.append(float(nn.functional.cross_entropy(scores, held[:, 1:].flatten())))
    return np.array(losses).reshape(EPOCHS, 2).T


def test_two_models_train_as_each_by_torch(parts: tuple[Part, Part, Part]) -> None:
    pytest.importorskip("torch", reason="needs the gp extra")
    curves = language.train(CONFIGS, 3)
    for number, config in enumerate(CONFIGS):
        valid, test = ordinary(config, parts, 3)
        np.testing.assert_allclose(curves.losses[number], valid, rtol=2e-4)
        np.testing.assert_allclose(curves.tests[number], test, rtol=2e-4)
    assert (curves.losses[:, -1] < curves.losses[:, 0] - 0.05).all()
    assert abs(curves.losses[0, -1] - curves.losses[1, -1]) > 0.01


def test_under_dropout_a_model_does_not_depend_on_its_company(parts: tuple[Part, Part, Part]) -> None:
    pytest.importorskip("torch", reason="needs the gp extra")
    configs = [CONFIGS[0] | {"dropout": 0.5}, CONFIGS[1] | {"dropout": 0.2}, CONFIGS[0] | {"units": 3}]
    together = language.train(configs, 1)
    for number, config in enumerate(configs):
        np.testing.assert_allclose(together.losses[number], language.train([config], 1).losses[0], rtol=1e-4)
    without = language.train(CONFIGS[:1], 1)
    assert not np.allclose(without.losses[0], together.losses[0], rtol=1e-3)


def test_a_model_that_diverges_is_nan_from_there_on_and_alone(parts: tuple[Part, Part, Part]) -> None:
    pytest.importorskip("torch", reason="needs the gp extra")
    curves = language.train([CONFIGS[0] | {"learning_rate": 1e6}, CONFIGS[1]], 0)
    assert np.isnan(curves.losses[0]).all()
    assert np.isnan(curves.tests[0]).all()
    assert np.isfinite(curves.losses[1]).all()


def test_the_space_is_as_large_as_promised() -> None:
    made = recipes()["lstm"]
    assert len(configurations(made)) >= 250
    assert {"batch_size", "steps", "units", "dropout", "clipping", "learning_rate"} <= set(made.axes)
    assert max(made.steps) == 27
