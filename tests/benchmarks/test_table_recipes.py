"""The recipes' trainings: stacked nets against single ones, boosting against its own prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.data.tables.recipes import recipes
from benchmarks.data.tables.recipes._tables import Part, Split
from benchmarks.data.tables.recipes.boosting import boost
from benchmarks.data.tables.recipes.nets import fit, start
from benchmarks.data.tables.record import configurations

SHAPE = {"layers": 2, "units": 6, "batch_size": 8}
CONFIGS = [
    SHAPE | {"learning_rate": 0.01, "decay": 0.8, "dropout": 0.3},
    SHAPE | {"learning_rate": 0.03, "decay": 1.0, "dropout": 0.0},
    SHAPE | {"learning_rate": 0.001, "decay": 0.65, "dropout": 0.5},
]


def data(classes: int) -> Split:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(5, max(1, classes)))

    def part(rows: int) -> Part:
        x = rng.normal(size=(rows, 5)).astype(np.float32)
        out = x @ weights + 0.3 * rng.normal(size=(rows, max(1, classes)))
        return Part(x, out.argmax(axis=1) if classes else out[:, 0].astype(np.float32))

    return Split(part(43), part(200), part(100), classes)


def ordinary(found: Split, config: dict[str, Any], seed: int, epochs: int) -> list[float]:
    """One net in torch's usual way: its losses on the validation part."""
    torch = pytest.importorskip("torch", reason="needs the gp extra")
    rng = torch.Generator().manual_seed(seed)
    nets: list[Any] = []
    for weight, bias in start([5, 6, 6, max(1, found.classes)], rng):
        linear = torch.nn.Linear(*weight.shape)
        linear.weight.data, linear.bias.data = weight.T.clone(), bias[0].clone()
        nets.append(linear)
    adam = torch.optim.Adam([one for net in nets for one in net.parameters()], lr=config["learning_rate"])
    schedule = torch.optim.lr_scheduler.ExponentialLR(adam, config["decay"])
    criterion = torch.nn.CrossEntropyLoss() if found.classes else torch.nn.MSELoss()
    x, y = torch.from_numpy(found.train.x), torch.from_numpy(found.train.y)
    xv, yv = torch.from_numpy(found.valid.x), torch.from_numpy(found.valid.y)

    def out(h: Any, train: bool) -> Any:
        for net in nets[:-1]:
            h = torch.relu(net(h))
            if train:
                kept = torch.rand(h.shape, generator=rng) >= config["dropout"]
                h = h * kept / (1 - config["dropout"])
        h = nets[-1](h)
        return h if found.classes else h[:, 0]

    losses = []
    for _ in range(epochs):
        order = torch.randperm(43, generator=rng)
        for rows in order[:40].split(8):
            adam.zero_grad()
            criterion(out(x[rows], True), y[rows]).backward()
            adam.step()
        schedule.step()
        with torch.no_grad():
            said = out(xv, False)
            wrong = (said.argmax(dim=1) != yv).float().mean() if found.classes else criterion(said, yv)
        losses.append(float(wrong))
    return losses


@pytest.mark.parametrize("classes", [0, 3])
def test_stacked_nets_train_as_each_alone(classes: int) -> None:
    pytest.importorskip("torch", reason="needs the gp extra")
    found = data(classes)
    curves = fit(found, CONFIGS, 4, 5)
    for number, config in enumerate(CONFIGS):
        alone = ordinary(found, config, 4, 5)
        # A row that lies on the boundary between classes may fall to either side.
        np.testing.assert_allclose(curves.losses[number], alone, atol=0.006 if classes else 1e-4)
    assert curves.losses[1, -1] < curves.losses[1, 0]
    assert not np.array_equal(fit(found, CONFIGS, 5, 5).losses, curves.losses)
    assert (curves.seconds > 0).all()


def test_a_net_that_diverges_is_nan_from_there_on_and_alone() -> None:
    pytest.importorskip("torch", reason="needs the gp extra")
    wild = SHAPE | {"learning_rate": 1e30, "decay": 1.0, "dropout": 0.0}
    curves = fit(data(0), [wild, CONFIGS[0]], 0, 3)
    assert np.isnan(curves.losses[0, -1])
    failed = np.isnan(curves.losses[0])
    assert (np.diff(failed.astype(int)) >= 0).all()
    assert np.isfinite(curves.losses[1]).all()


def test_boosting_scores_each_step_as_its_prediction_would() -> None:
    lgb = pytest.importorskip("lightgbm")
    found = data(0)
    config = {
        "num_leaves": 4,
        "learning_rate": 0.1,
        "min_data_in_leaf": 2,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.7,
        "lambda_l2": 1.0,
    }
    valid, test, seconds = boost(found, config, (2, 4, 8), 3)
    settings = config | {
        "objective": "regression",
        "bagging_freq": 1,
        "seed": 3,
        "num_threads": 1,
        "verbose": -1,
    }
    booster = lgb.train(settings, lgb.Dataset(found.train.x, found.train.y), 8)
    for at, trees in enumerate((2, 4, 8)):
        for losses, part in ((valid, found.valid), (test, found.test)):
            wrong = booster.predict(part.x, num_iteration=trees) - part.y
            assert losses[at] == pytest.approx(float((wrong**2).mean()), rel=1e-4)
    assert len(seconds) == 3


@pytest.mark.parametrize("name", ["lightgbm", "nets-optdigits", "nets-letter", "nets-adult", "nets-protein"])
def test_spaces_are_as_large_as_promised(name: str) -> None:
    made = recipes()[name]
    assert len(configurations(made)) >= 1000
    assert len(made.axes) >= 5
    assert made.steps[0] * 27 == made.steps[-1]
