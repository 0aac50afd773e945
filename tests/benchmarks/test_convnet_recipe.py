"""Convolutional nets trained together against torch's own modules and optimiser, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.data.tables.recipes import Axis, Curves, convnet, recipes, small_architectures
from benchmarks.data.tables.recipes._convolutions import Stack, first_weights, train
from benchmarks.data.tables.recipes._pictures import Pictures
from benchmarks.data.tables.record import configurations

FILTERS = (3, 4, 5)
RATES = np.array([[0.02, 0.02, 0.002], [0.03, 0.02, 0.005]])  # (nets, epochs)
DECAY = np.array([[1e-3, 0.1], [0.05, 1e-4], [1e-2, 1e-2], [0.2, 1e-3]])  # (layers, nets)
NORMAL = np.array([[0.9, 0.1], [0.4, 0.8]])  # scale and power, (2, nets)


def pictures() -> Pictures:
    """Of which the classes can be learnt: a patch of a class' own colour on noise."""
    rng = np.random.default_rng(0)
    colours = rng.normal(size=(10, 3, 1, 1))
    found = []
    for count in (240, 200, 100):
        y = rng.integers(0, 10, count)
        x = rng.normal(size=(count, 3, 8, 8)) * 0.5
        x[:, :, 2:6, 2:6] += 2 * colours[y]
        found.append((x.astype(np.float32), y))
    return Pictures(tuple(x for x, _ in found), tuple(y for _, y in found))


def ordinary(number: int, data: Pictures, seed: int, normal: bool) -> list[float]:
    """One net of the stack by torch.nn and torch.optim: its error rates on the validation part."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)
    alone = Stack(FILTERS, 16, RATES[[number]], DECAY[:, [number]])
    weights = first_weights(alone, 3, generator)
    size = (nn.LocalResponseNorm(3, float(NORMAL[0, number]), float(NORMAL[1, number])),) if normal else ()
    net = nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), *size,
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), *size,
        nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(20, 10),
    )  # fmt: skip
    parameters = list(net.parameters())
    for parameter, weight in zip(parameters, weights, strict=True):
        parameter.data = (weight[0].T if weight.ndim == 3 else weight[0]).detach().clone()
    groups = [
        {"params": [one], "weight_decay": float(DECAY[layer // 2, number]) if layer % 2 == 0 else 0.0}
        for layer, one in enumerate(parameters)
    ]
    optimiser = torch.optim.SGD(groups, lr=1.0, momentum=0.9)
    x, y = torch.from_numpy(data.x[0]), torch.from_numpy(data.y[0])
    errors = []
    for rate in RATES[number]:
        for group in optimiser.param_groups:
            group["lr"] = float(rate)
        for rows in torch.randperm(len(x), generator=generator).split(16):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimiser.step()
        with torch.no_grad():
            said = net(torch.from_numpy(data.x[1])).argmax(dim=1).numpy()
        errors.append(float((said != data.y[1]).mean()))
    return errors


@pytest.mark.parametrize("normal", [False, True])
def test_two_nets_train_as_each_by_torch(normal: bool) -> None:
    pytest.importorskip("torch", reason="needs the gp extra")
    data = pictures()
    curves = train(Stack(FILTERS, 16, RATES, DECAY, normal=NORMAL if normal else None), data, 5)
    for number in (0, 1):
        # A picture that lies on the boundary between classes may fall to either side.
        np.testing.assert_allclose(curves.losses[number], ordinary(number, data, 5, normal), atol=0.006)
    assert not np.array_equal(curves.losses[0], curves.losses[1])
    assert (curves.losses[:, -1] < 0.84).all()  # 0.9 is guessing


def test_reductions_of_the_learning_rate_are_evenly_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    made = recipes()["convnet"]
    configs = [config for config in configurations(made) if config["learning_rate"] == 0.07][::7]
    seen: list[Stack] = []

    def watch(stack: Stack, data: Any, seed: int) -> Curves:
        seen.append(stack)
        return Curves(*np.zeros((3, len(configs), convnet.EPOCHS)))

    monkeypatch.setattr(convnet, "train_stack", watch)
    monkeypatch.setattr(convnet, "cifar", lambda sizes: None)
    convnet.train(configs, 0)
    for config, rates in zip(configs, seen[0].rates, strict=True):
        assert rates[0] == 0.07
        assert rates[-1] == pytest.approx(0.07 * 0.1 ** config["reductions"])
        lengths = np.unique(rates, return_counts=True)[1]
        assert len(lengths) == config["reductions"] + 1
        assert lengths.max() - lengths.min() <= 1
    assert len({config["reductions"] for config in configs}) > 1
    assert seen[0].decay[3].tolist() == [config["fully_connected_l2"] for config in configs]


def test_architectures_mixed_train_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs the gp extra")
    pytest.importorskip("sklearn")
    monkeypatch.setattr(small_architectures, "EPOCHS", 4)
    monkeypatch.setattr(small_architectures, "SIZES", (200, 300, 300))
    same = {"deviation": 0.1, "last_deviation": 0.3, "weight_decay": 1e-4, "decay": 0.1}
    configs = [
        same | {"batch_size": batch, "layers": layers, "filters": filters, "learning_rate": rate}
        for batch, layers, filters, rate in ((32, 2, 6, 0.01), (16, 1, 12, 0.1), (32, 2, 6, 0.1))
    ]
    together = small_architectures.train(configs, 1)
    for number, config in enumerate(configs):
        alone = small_architectures.train([config], 1)
        np.testing.assert_allclose(together.losses[number], alone.losses[0], atol=0.007)
        np.testing.assert_allclose(together.tests[number], alone.tests[0], atol=0.007)
    assert (together.losses[1:, -1] < 0.8).all()
    assert (together.seconds > 0).all()


def test_the_spaces_are_the_papers_parameters() -> None:
    eight = recipes()["convnet"].axes
    assert len(eight) == 8
    assert {axis.kind for name, axis in eight.items() if name != "reductions"} == {"log"}
    small = recipes()["small-cnn"].axes
    assert small["layers"] == Axis((1, 2, 3), "whole")
    assert len(configurations(recipes()["small-cnn"])) >= 300
