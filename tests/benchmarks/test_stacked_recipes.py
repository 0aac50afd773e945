"""Nets that are trained together against each alone, and the steps of samplers against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks.data.tables.recipes import _convolutions as convolutions  # noqa: E402
from benchmarks.data.tables.recipes import bayesian_nets, language, svm  # noqa: E402
from benchmarks.data.tables.recipes._pictures import Pictures  # noqa: E402


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    sizes = (24, 10, 10)
    return Pictures(
        tuple(rng.normal(size=(n, 2, 8, 8)).astype(np.float32) for n in sizes),
        tuple(rng.integers(0, 10, n) for n in sizes),
    )


def stack(members):
    """Two nets, or one of them, with learning rates, decays and normalisation of their own."""
    rates = np.array([[0.05, 0.02], [0.01, 0.01]])[members]
    decay = np.array([[1e-3, 0.0], [0.0, 1e-2], [1e-2, 1e-3]])[:, members]
    normal = np.array([[0.5, 0.1], [0.7, 1.2]])[:, members]
    return convolutions.Stack((3, 4), 8, rates, decay, normal=normal)


def test_a_net_does_not_depend_on_its_company(pictures):
    together = convolutions.train(stack([0, 1]), pictures, 3)
    for number in (0, 1):
        alone = convolutions.train(stack([number]), pictures, 3)
        assert together.losses[number] == pytest.approx(alone.losses[0])
        assert together.tests[number] == pytest.approx(alone.tests[0])


def test_stacked_convolutions_are_those_of_ordinary_modules(pictures):
    """One net's outputs and gradients as torch.nn computes them."""
    from torch import nn

    one = stack([0])._replace(normal=None)
    weights = convolutions.first_weights(one, 2, torch.Generator().manual_seed(0))
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    with torch.no_grad():
        for parameter, weight in zip(net.parameters(), weights, strict=True):
            parameter.copy_(weight[0].T if weight.ndim == 3 else weight[0])
    x, y = torch.from_numpy(pictures.x[0]), torch.from_numpy(pictures.y[0])
    outputs = convolutions._network(one)(x, weights)
    assert torch.allclose(outputs[0], net(x), atol=1e-5)
    losses = convolutions._losses(outputs, y)
    expected = nn.functional.cross_entropy(net(x), y)
    assert losses[0].item() == pytest.approx(expected.item(), rel=1e-5)
    mine = torch.autograd.grad(losses.sum(), weights)
    others = torch.autograd.grad(expected, list(net.parameters()))
    for gradient, other in zip(mine, others, strict=True):
        assert torch.allclose(gradient[0].T if gradient.ndim == 3 else gradient[0], other, atol=1e-5)


def test_local_response_normalisation_is_torch_s():
    hidden = torch.randn(5, 1, 6, 4, 4)
    scale, power = torch.tensor(0.3).view(1, 1, 1, 1, 1), torch.tensor(0.8).view(1, 1, 1, 1, 1)
    expected = torch.nn.functional.local_response_norm(hidden[:, 0], 3, alpha=0.3, beta=0.8, k=1.0)
    assert torch.allclose(convolutions._normalised(hidden, scale, power)[:, 0], expected, atol=1e-6)


def test_a_net_that_diverges_is_nan_from_there_on(pictures):
    wild = stack([0, 1])._replace(rates=np.array([[1e6, 1e6], [0.01, 0.01]]))
    curves = convolutions.train(wild, pictures, 0)
    assert np.isnan(curves.losses[0]).all()
    assert np.isfinite(curves.losses[1]).all()


def test_the_hamiltonian_step_samples_a_gaussian():
    """Of energy x^2 / 2 the stationary distribution is the standard normal one."""
    generator = torch.Generator().manual_seed(0)
    weights, velocities = [torch.zeros(2, 4000)], [torch.zeros(2, 4000)]
    lengths, decays = torch.tensor([0.01, 0.002]), torch.tensor([0.1, 0.05])
    seen = []
    for step in range(3000):
        bayesian_nets.hamiltonian_step(weights, velocities, [weights[0].clone()], lengths, decays, generator)
        if step > 1500 and step % 50 == 0:
            seen.append(weights[0].clone())
    samples = torch.stack(seen)
    assert samples.mean(dim=(0, 2)).tolist() == pytest.approx([0, 0], abs=0.05)
    assert samples.var(dim=(0, 2)).tolist() == pytest.approx([1, 1], abs=0.06)


def test_a_budget_s_loss_is_that_of_its_samples_mixture():
    rng = np.random.default_rng(0)
    densities = rng.normal(size=(200, 2, 7))
    losses = bayesian_nets._losses(densities, np.array([0.0, 0.4], np.float32))
    kept = densities[: 500 // bayesian_nets.EVERY, 0]
    assert losses[0, 0] == pytest.approx(-np.log(np.exp(kept).mean(axis=0)).mean())
    count = 10000 // bayesian_nets.EVERY
    kept = densities[int(0.4 * count) : count, 1]
    assert losses[1, -1] == pytest.approx(-np.log(np.exp(kept).mean(axis=0)).mean(), rel=1e-6)


def test_the_lstm_is_torch_s():
    """The same weights in torch.nn.LSTM, whose gates have no constant added, and a linear layer."""
    from torch import nn

    weights = language.first_weights(1, 5, torch.Generator().manual_seed(1))
    embedding, gates, bias, last, last_bias = (one[0].detach() for one in weights)
    entry, forget, update, out = gates.chunk(4, dim=1)
    biases = bias[0].chunk(4)
    net = nn.LSTM(5, 5, batch_first=True)
    ordered = torch.cat([entry, forget, update, out], dim=1)
    with torch.no_grad():
        net.weight_ih_l0.copy_(ordered[:5].T)
        net.weight_hh_l0.copy_(ordered[5:].T)
        net.bias_ih_l0.copy_(torch.cat([biases[0], biases[1] + 1.0, biases[2], biases[3]]))
        net.bias_hh_l0.zero_()
    piece = torch.randint(language.CHARACTERS, (3, 9), generator=torch.Generator().manual_seed(2))
    hidden, _ = net(embedding[piece[:, :-1]])
    scores = hidden @ last + last_bias
    expected = nn.functional.cross_entropy(scores.flatten(0, 1), piece[:, 1:].flatten())
    losses, _ = language.losses_of(weights, piece, None, None, torch.Generator())
    assert losses[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_larger_share_of_the_data_holds_the_smaller_ones_and_helps():
    pytest.importorskip("sklearn")
    curves = svm.train([{"C": 22.0, "gamma": 0.05}], 0, "digits", (512, 400, 397))
    assert curves.losses.shape == (1, len(svm.STEPS))
    assert curves.losses[0, -1] < 0.05 < curves.losses[0, 0]
    assert (curves.seconds > 0).all()
