"""The small Gaussian process: posterior and gradient against slow versions, and the models made from it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import approx_fprime

from rung.models.entropy import (
    entropy,
    information_gain,
    log_improvement,
    probability_below,
)
from rung.models.features import Features
from rung.models.gaussian import Gaussian, Hyper, Points, _Posterior, fit_hyper, kernel, plain
from rung.models.subsets import Results, SubsetModels, fit
from rung.space import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Space

RNG = np.random.default_rng(0)
GROUPS = np.array([0, 1, 2, 2])
HYPER = Hyper(np.array([0.3, 0.8, 1.5]), np.array([[1.2, 0.0], [0.4, 0.7]]), 0.01)


def points(count: int, seed: int = 0) -> Points:
    rng = np.random.default_rng(seed)
    return Points(rng.random((count, 4)), np.column_stack([np.ones(count), rng.random(count) ** 2]))


def slow_kernel(a: Points, b: Points, hyper: Hyper) -> np.ndarray:
    found = np.empty((len(a.x), len(b.x)))
    for i in range(len(a.x)):
        for j in range(len(b.x)):
            r = math.sqrt(sum(((a.x[i, f] - b.x[j, f]) / hyper.scales[GROUPS[f]]) ** 2 for f in range(4)))
            matern = (1 + math.sqrt(5) * r + 5 * r * r / 3) * math.exp(-math.sqrt(5) * r)
            found[i, j] = matern * (a.basis[i] @ hyper.factor @ hyper.factor.T @ b.basis[j])
    return found


def test_the_kernel_is_the_slow_one():
    a, b = points(5), points(7, 1)
    assert kernel(a, b, HYPER, GROUPS) == pytest.approx(slow_kernel(a, b, HYPER))


def test_the_posterior_is_that_of_the_normal_distribution_of_all():
    known, new = points(12), points(4, 1)
    y, noise = RNG.standard_normal(12), RNG.random(12)
    model = Gaussian(known, y, HYPER, GROUPS, noise)
    k = slow_kernel(known, known, HYPER) + np.diag(0.01 + noise)
    cross, prior = slow_kernel(known, new, HYPER), slow_kernel(new, new, HYPER)
    covariance = prior - cross.T @ np.linalg.solve(k, cross)
    means, variances = model.predict(new)
    assert means == pytest.approx(cross.T @ np.linalg.solve(k, y))
    assert model.mean(new) == pytest.approx(means)
    assert variances == pytest.approx(np.diag(covariance))
    assert model.covariance(new, new) == pytest.approx(covariance)


@pytest.mark.parametrize("noise", [None, RNG.random(15)])
def test_the_fits_gradient_is_right_and_its_density_the_slow_one(noise):
    known, y = points(15), RNG.standard_normal(15)
    objective = _Posterior(known, y, GROUPS, noise)
    vector = objective.start() + 0.3 * RNG.standard_normal(len(objective.start()))
    value, gradient = objective(vector)
    assert gradient == pytest.approx(
        approx_fprime(vector, lambda v: objective(v)[0], 1e-6), abs=2e-3, rel=1e-3
    )
    hyper = objective.read(vector)
    k = slow_kernel(known, known, hyper) + np.diag(hyper.noise + (np.zeros(15) if noise is None else noise))
    prior = 0.5 * (((vector - objective._centre) / objective._width) ** 2).sum()
    density = stats.multivariate_normal(np.zeros(15), k).logpdf(y) + 7.5 * math.log(2 * math.pi)
    assert value == pytest.approx(prior - density)


def test_a_fit_finds_what_matters():
    x = RNG.random((60, 3))
    y = np.sin(6 * x[:, 0])
    hyper = fit_hyper(plain(x), (y - y.mean()) / y.std(), np.arange(3))
    assert hyper.scales[0] < hyper.scales[1] / 3
    assert hyper.scales[0] < hyper.scales[2] / 3
    assert hyper.noise < 0.01


def test_of_two_hundred_parameters_it_finds_the_two_that_matter():
    rng = np.random.default_rng(0)
    x, new = rng.random((120, 200)), rng.random((100, 200))
    y, truth = (np.sin(4 * each[:, 0]) + each[:, 1] for each in (x, new))
    hyper = fit_hyper(plain(x), (y - y.mean()) / y.std(), np.arange(200))
    means = Gaussian(plain(x), y - y.mean(), hyper, np.arange(200)).mean(plain(new))
    assert np.corrcoef(means, truth)[0, 1] > 0.7


def test_equal_points_and_equal_targets_are_no_trouble():
    x = np.full((10, 2), 0.5)
    hyper = fit_hyper(plain(x), np.zeros(10), np.arange(2))
    means, variances = Gaussian(plain(x), np.zeros(10), hyper, np.arange(2)).predict(plain(x))
    assert np.isfinite(means).all()
    assert (variances > 0.0).all()


def test_features_have_no_gaps_and_categories_are_equally_far():
    space = compile_space(
        Space(
            {
                "x": Float(0.0, 1.0),
                "c": Categorical(["a", "b", "c"]),
                "k": Constant(1),
                "kind": Choice({"p": {"n": Integer(1, 9)}, "q": {}}),
            }
        )
    )
    features = Features(space)
    assert features.parameters == 4
    assert features.groups.tolist() == [0, 1, 2, 2, 2, 3, 3]
    rows = space.samples(0, 0, 50)
    x = features.of(space.encode(rows))
    assert x.shape == (50, 7)
    assert np.isfinite(x).all()
    for i in range(49):
        differ = float(rows[i][1] != rows[i + 1][1])
        assert ((x[i, 2:5] - x[i + 1, 2:5]) ** 2).sum() == pytest.approx(differ)


def test_improvement_is_its_integral():
    means, variances = np.array([0.0, 1.0, -2.0]), np.array([1.0, 0.25, 4.0])
    samples = means + np.sqrt(variances) * np.random.default_rng(0).standard_normal((400_000, 3))
    found = np.exp(log_improvement(means, variances, 0.5))
    assert found == pytest.approx(np.maximum(0.5 - samples, 0).mean(axis=0), rel=0.02)
    assert probability_below(means, variances, 0.5) == pytest.approx((samples < 0.5).mean(axis=0), abs=0.01)


def test_its_logarithm_orders_what_is_hopeless_too():
    means = np.linspace(0.0, 100.0, 300)
    logs = log_improvement(means, np.ones(300), 0.0)
    assert np.isfinite(logs).all()
    assert (np.diff(logs) < 0.0).all()
    assert np.abs(np.diff(logs, 2)).max() < 0.2  # no step where the far form begins


def test_entropies():
    assert entropy(np.array([5.0, 5.0, 0.0])) == pytest.approx(math.log(2))
    assert entropy(np.array([[1.0, 0.0], [1.0, 3.0]])) == pytest.approx(
        [0.0, -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))]
    )


def test_the_information_gain_is_that_of_models_that_saw_the_outcome():
    """The oracle: for each outcome a new posterior, p_min by its own samples, entropy; then the average."""
    x, y = RNG.random((10, 2)), RNG.standard_normal(10)
    hyper, groups = Hyper(np.array([0.3, 0.5]), np.eye(1), 0.05), np.arange(2)
    model = Gaussian(plain(x), y, hyper, groups)
    z, tried = plain(RNG.random((6, 2))), plain(RNG.random((4, 2)))
    means, _ = model.predict(z)
    variances = model.predict(tried)[1] + hyper.noise
    ours = information_gain(
        means,
        model.covariance(z, z),
        model.covariance(tried, z),
        variances,
        np.random.default_rng(1),
        samples=20_000,
    )

    def spread(posterior: Gaussian) -> float:
        rng = np.random.default_rng(2)
        mean, cov = posterior.predict(z)[0], posterior.covariance(z, z)
        samples = rng.multivariate_normal(mean, cov, 20_000, method="cholesky", check_valid="ignore")
        return float(entropy(np.bincount(samples.argmin(axis=1), minlength=6).astype(float)))

    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    for i in range(4):
        one = Points(tried.x[i : i + 1], tried.basis[i : i + 1])
        mean = float(model.mean(one)[0])
        after = [
            spread(
                Gaussian(
                    plain(np.vstack([x, one.x])),
                    np.append(y, mean + node * math.sqrt(variances[i])),
                    hyper,
                    groups,
                )
            )
            for node in nodes
        ]
        expected = spread(model) - float(np.dot(weights, after)) / weights.sum()
        assert ours[i] == pytest.approx(expected, abs=0.02)


def test_the_subset_models_learn_sizes_and_costs():
    """Loss with a bias that falls with the size, cost proportional to it and doubled by a parameter."""
    x, s = RNG.random((60, 2)), RNG.choice([0.0, 0.25, 0.5, 0.75], 60)
    bowl = (x[:, 0] - 0.3) ** 2
    losses = bowl + 0.5 * (1 - s) ** 2
    results = Results(
        x, s, (losses - losses.mean()) / losses.std(), np.log(4.0**s * (1 + (x[:, 1] > 0.5))) + np.log(10)
    )
    groups = np.arange(2)
    models = SubsetModels(results, fit(results, groups), groups)
    grid = np.column_stack([np.linspace(0, 1, 21), np.full(21, 0.25)])
    means, _ = models.at_full_size(grid)  # nothing was seen at s = 1
    assert abs(grid[int(means.argmin()), 0] - 0.3) <= 0.1
    assert models.costs(grid, np.ones(21)) == pytest.approx(np.full(21, 40.0), rel=0.15)
    assert models.costs(grid, np.zeros(21)) == pytest.approx(np.full(21, 10.0), rel=0.15)


def test_a_pending_result_makes_the_model_surer_not_other():
    x, s = RNG.random((20, 2)), np.full(20, 0.5)
    results = Results(x, s, RNG.standard_normal(20), np.zeros(20))
    groups = np.arange(2)
    hypers = fit(results, groups)
    alone = SubsetModels(results, hypers, groups)
    waiting = SubsetModels(results, hypers, groups, (np.array([[0.5, 0.5]]), np.array([1.0])))
    at = np.array([[0.5, 0.5], [0.9, 0.1]])
    assert waiting.at_full_size(at)[0] == pytest.approx(alone.at_full_size(at)[0], abs=1e-3)
    assert waiting.at_full_size(at)[1][0] < alone.at_full_size(at)[1][0]
