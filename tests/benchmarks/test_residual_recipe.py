"""Residual nets: stacked against each alone in torch's usual way, budgets, and the problem for a GPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from benchmarks.data.tables.recipes import _residual as residual
from benchmarks.data.tables.recipes import recipes
from benchmarks.data.tables.recipes._pictures import Pictures
from benchmarks.data.tables.recipes.residual import chunks, train_on
from benchmarks.data.tables.record import configurations
from benchmarks.entries import Unavailable
from benchmarks.problems import problem, resnet_gpu
from benchmarks.problems.live import Live

torch = pytest.importorskip("torch", reason="needs the gp extra")

SHAPE = residual.Shape(widths=(4, 6), blocks=1, classes=3)
CONFIGS = [
    {"batch_size": 8, "learning_rate": 0.05, "momentum": 0.5, "weight_decay": 1e-3},
    {"batch_size": 8, "learning_rate": 0.2, "momentum": 0.9, "weight_decay": 1e-5},
    {"batch_size": 8, "learning_rate": 0.01, "momentum": 0.95, "weight_decay": 0.05},
]


def pictures(sizes: tuple[int, int, int] = (44, 60, 30)) -> Pictures:
    """Three classes, each a pattern that mirroring and shifting leaves, under noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=sum(sizes))
    ends = np.cumsum(sizes)[:-1]
    colours = np.eye(3)[y][:, :, None, None]
    x = (0.7 * colours + rng.normal(size=(len(y), 3, 8, 8))).astype(np.float32)
    return Pictures(tuple(np.split(x, ends)), tuple(np.split(y, ends)))


class Shake(torch.autograd.Function):
    """Gastaldi's mixing, its backward pass written out."""

    @staticmethod
    def forward(ctx: Any, one: Any, other: Any, forwards: Any, backwards: Any) -> Any:
        ctx.save_for_backward(backwards)
        return forwards * one + (1 - forwards) * other

    @staticmethod
    def backward(ctx: Any, slope: Any) -> Any:
        (share,) = ctx.saved_tensors
        return share * slope, (1 - share) * slope, None, None


class Ordinary(torch.nn.Module):
    """The same net of ordinary modules, from the stack's first weights."""

    def __init__(self, shape: residual.Shape, rng: Any) -> None:
        super().__init__()
        self.branches = shape.branches
        self.plan = residual.convolutions(shape, 3)
        self.convs, self.norms = torch.nn.ModuleList(), torch.nn.ModuleList()
        for inputs, outputs, stride in self.plan:
            conv = torch.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            conv.weight.data = torch.randn(outputs, inputs, 3, 3, generator=rng) * (2 / (9 * inputs)) ** 0.5
            self.convs.append(conv)
            self.norms.append(torch.nn.BatchNorm2d(outputs, momentum=shape.forget))
        width = self.plan[-1][1]
        self.last = torch.nn.Linear(width, shape.classes)
        self.last.weight.data = (torch.randn(width, shape.classes, generator=rng) / width**0.5).T.clone()
        self.last.bias.data.zero_()

    def forward(self, x: Any, rng: Any = None) -> Any:
        h = torch.relu(self.norms[0](self.convs[0](x)))
        for first in range(1, len(self.plan), 2 * self.branches):
            found = []
            for layer in range(first, first + 2 * self.branches, 2):
                inside = torch.relu(self.norms[layer](self.convs[layer](h)))
                found.append(self.norms[layer + 1](self.convs[layer + 1](inside)))
            inside = found[0]
            if self.branches == 2:
                shares = torch.rand(2, len(x), 1, 1, 1, generator=rng) if self.training else None
                inside = Shake.apply(*found, *shares) if self.training else (found[0] + found[1]) / 2
            inputs, _, stride = self.plan[first]
            shortcut = torch.zeros_like(inside)
            shortcut[:, :inputs] = h[:, :, ::stride, ::stride]
            h = torch.relu(inside + shortcut)
        return self.last(h.mean(dim=(2, 3)))


def alone(shape: residual.Shape, data: Pictures, config: dict[str, Any], epochs: int, seed: int) -> Any:
    """What one net says of the validation part after ordinary training."""
    rng = torch.Generator().manual_seed(seed)
    net, batch = Ordinary(shape, rng), config["batch_size"]
    sgd = torch.optim.SGD(
        net.parameters(),
        config["learning_rate"],
        config["momentum"],
        weight_decay=config["weight_decay"],
        nesterov=True,
    )
    x, y = torch.from_numpy(data.x[0]), torch.from_numpy(data.y[0])
    steps = len(x) // batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, steps * epochs)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=rng)
        for rows in order[: steps * batch].split(batch):
            some = residual.moved(x[rows], shape.shift, rng)
            if shape.hole:
                some = residual.cut(some, shape.hole, rng)
            sgd.zero_grad()
            torch.nn.functional.cross_entropy(net(some, rng), y[rows]).backward()
            sgd.step()
            schedule.step()
    net.eval()
    with torch.no_grad():
        return net(torch.from_numpy(data.x[1]))


@pytest.mark.parametrize("shape", [SHAPE, SHAPE._replace(branches=2, hole=3)])
def test_stacked_nets_train_as_each_alone(shape: residual.Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    call = residual.Nets.__call__

    def listening(self: residual.Nets, x: Any, train: bool) -> Any:
        out = call(self, x, train)
        if not train:
            said.append(out)
        return out

    monkeypatch.setattr(residual.Nets, "__call__", listening)
    data = pictures()
    found = residual.fit(shape, data, CONFIGS, 4, 3)
    for number, config in enumerate(CONFIGS):
        expected = alone(shape, data, config, 4, 3)
        np.testing.assert_allclose(said[0][number], expected, atol=2e-3)
        errors = float((expected.argmax(dim=1).numpy() != data.y[1]).mean())
        assert found.valid[number] == pytest.approx(errors, abs=0.02)


def test_nets_learn_and_seeds_differ() -> None:
    data = pictures((120, 200, 100))
    found = residual.fit(SHAPE, data, CONFIGS, 8, 0)
    assert found.valid.min() < 0.2  # of 3 classes, by chance 0.67
    assert found.test.shape == (3,)
    assert not np.array_equal(found.valid, residual.fit(SHAPE, data, CONFIGS, 8, 1).valid)


def test_deeper_nets_keep_their_number_of_layers() -> None:
    plan = residual.convolutions(resnet_gpu.FULL._replace(branches=1), 3)
    assert len(plan) + 1 == 20
    assert len(residual.convolutions(resnet_gpu.FULL, 3)) == 2 * len(plan) - 1
    assert [stride for *_, stride in plan].count(2) == 2


def test_moved_pictures_are_windows_of_the_padded_ones() -> None:
    x = torch.arange(2.0 * 3 * 4 * 4).view(2, 3, 4, 4) + 1
    rng = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(100):
        moved = residual.moved(x, 1, rng)[1]
        padded = torch.nn.functional.pad(x[1], (1, 1, 1, 1))
        windows = {
            (down, right, mirrored)
            for down in range(3)
            for right in range(3)
            for mirrored in (False, True)
            if torch.equal(
                moved.flip(2) if mirrored else moved, padded[:, down : down + 4, right : right + 4]
            )
        }
        assert len(windows) == 1
        seen |= windows
    assert len(seen) == 18


def test_a_hole_is_one_square_of_zeros_that_may_lie_partly_outside() -> None:
    x = torch.ones(200, 2, 6, 6)
    found = residual.cut(x, 3, torch.Generator().manual_seed(0))
    lost = (found == 0).sum(dim=(2, 3))
    assert torch.equal(lost[:, 0], lost[:, 1])
    assert set(lost[:, 0].tolist()) == {4, 6, 9}
    assert set(found.unique().tolist()) == {0.0, 1.0}


def test_each_budget_is_a_training_of_its_own_whatever_its_company() -> None:
    data, other = pictures(), CONFIGS[0] | {"batch_size": 4}
    curves = train_on(data, SHAPE, (1, 3), [CONFIGS[0], other, CONFIGS[1]], 2)
    for number, config in enumerate([CONFIGS[0], other, CONFIGS[1]]):
        for step, epochs in enumerate((1, 3)):
            single = residual.fit(SHAPE, data, [config], epochs, 2)
            assert curves.losses[number, step] == pytest.approx(single.valid[0], abs=0.02)
    assert (curves.seconds > 0).all()


def test_a_net_that_diverges_is_nan_and_alone() -> None:
    wild = CONFIGS[0] | {"learning_rate": 1e30}
    curves = train_on(pictures(), SHAPE, (2,), [wild, CONFIGS[0]], 0)
    assert np.isnan(curves.losses[0, 0])
    assert np.isfinite(curves.losses[1, 0])


def test_what_is_trained_together_has_one_batch_size_and_nothing_is_left_out() -> None:
    made = recipes()["resnet"]
    grid = configurations(made)
    assert 150 <= len(grid) <= 256
    assert not made.continues
    found = chunks(grid)
    assert sorted(number for part in found for number in part) == list(range(len(grid)))
    for part in found:
        assert len({grid[number]["batch_size"] for number in part}) == 1
        assert len(part) * grid[part[0]]["batch_size"] <= 256


def test_the_full_problem_says_that_it_needs_a_gpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(Unavailable, match="needs a GPU"):
        problem("resnet cifar10 full")


def test_the_full_problem_trains_at_a_tiny_size_on_a_processor() -> None:
    data = pictures()
    made = resnet_gpu.make(SHAPE, lambda: data, (1, 3))
    config = CONFIGS[0]
    expected = residual.fit(SHAPE, data, [config], 3, 1)
    assert made.value(config, 3, 1) == expected.valid[0]
    assert made.true(config) == residual.fit(SHAPE, data, [config], 3, 0).test[0]
    assert made.seconds(config, 0, 3) > 0
    assert made.value(config | {"learning_rate": 1e30}, 1, 0) == math.inf
    assert made.resource == ("epoch", 1, 3)
    assert not made.continues


def test_a_live_job_that_does_not_go_on_pays_for_its_budget_alone() -> None:
    data = pictures((24, 20, 20))
    made = recipes()["resnet"]._replace(
        steps=(1, 3), train=lambda configs, seed: train_on(data, SHAPE, (1, 3), configs, seed)
    )
    live = Live(made)
    seconds = live._of(CONFIGS[0], 0).seconds[0]
    assert live.cost(CONFIGS[0], 0, 3) == pytest.approx(seconds[1], abs=1e-5)
    assert live.cost(CONFIGS[0], 0, 1) == pytest.approx(seconds[0], abs=1e-5)
