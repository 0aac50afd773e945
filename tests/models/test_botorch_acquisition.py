"""Acquisitions beside closed forms, BoTorch's own, and exact arithmetic."""

from __future__ import annotations

import warnings

import mpmath
import numpy as np
import pytest
from scipy.stats import norm

from rung.models.botorch_acquisition import (
    FANTASIES,
    Acquisition,
    Data,
    boxes,
    hypervolume_improvement,
    improvement,
    log_improvement,
)
from rung.models.botorch_gp import Kernel
from rung.models.gp_posterior import Posterior
from rung.models.torch_scope import scope

torch = pytest.importorskip("torch")
with scope():
    from botorch.acquisition import LogExpectedImprovement
    from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
    from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
    from botorch.utils.multi_objective.hypervolume import Hypervolume

KERNEL = Kernel((0.4, 0.6), 2, 1e-3, 0.1)


class Told:
    """A model that BoTorch's acquisitions ask: normal values of given means and variances (b, m)."""

    def __init__(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        self.mean, self.variance, self.num_outputs = mean[:, None], variance[:, None], mean.shape[1]

    def posterior(self, X: torch.Tensor, posterior_transform: object = None) -> Told:
        return self


def problem(m: int = 1, n: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.random((n, 2))
    corners = np.array([[0.1, 0.2], [0.9, 0.4], [0.4, 0.9], [0.7, 0.0]])[:m]
    y = ((x[:, None] - corners) ** 2).sum(axis=-1)
    return x, (y - y.mean(axis=0)) / y.std(axis=0)


def posteriors(m: int, seed: int = 0) -> list[Posterior]:
    x, y = problem(m, seed=seed)
    return [Posterior(KERNEL, torch.tensor(x), torch.tensor(y[:, j])) for j in range(m)]


POINTS = np.random.default_rng(9).random((30, 2))


def acquisition(m: int = 1, pending: np.ndarray | None = None, seed: int = 0) -> Acquisition:
    x, y = problem(m)
    waiting = np.empty((0, 2)) if pending is None else pending
    return Acquisition(Data([KERNEL] * m, x, y, waiting, y.max(axis=0)), seed)


@pytest.mark.parametrize("z", [30.0, 5.0, 1.0, 0.0, -0.5, -1.0, -1.01, -3.0, -20.0, -1e3, -1e5, -1e7, -1e20])
def test_log_improvement_to_all_digits(z):
    with mpmath.workdps(60):
        exact = mpmath.mpf(z)
        if z > -1e4:
            value = mpmath.npdf(exact) + exact * mpmath.ncdf(exact)
        else:  # the asymptotic series
            value = mpmath.npdf(exact) / exact**2 * (1 - 3 / exact**2 + 15 / exact**4)
        expected = float(mpmath.log(value)) if value else -float(exact**2 / 2) - 2 * np.log(-z)
    assert float(log_improvement(torch.tensor(z, dtype=torch.float64))) == pytest.approx(expected, rel=1e-8)


def test_log_improvement_has_a_slope_everywhere():
    z = torch.tensor([3.0, 0.0, -1.0, -1.5, -5.0, -50.0, -1e4, -1e8], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(log_improvement(z).sum(), z)
    at = z.detach().numpy()[:6]
    expected = np.exp(norm.logcdf(at) - log_improvement(z).detach().numpy()[:6])
    np.testing.assert_allclose(slope.numpy()[:6], expected, rtol=1e-6)
    np.testing.assert_allclose(slope.numpy()[6:], [1e4, 1e8], rtol=1e-3)


def test_one_objective_is_the_closed_form_and_botorchs():
    (posterior,) = posteriors(1)
    mean, variance = posterior.at(torch.tensor(POINTS))
    deviation = variance.sqrt().numpy()
    better = float(posterior.best) - mean[:, 0].numpy()
    z = better / deviation
    found = improvement(posterior)(torch.tensor(POINTS)).numpy()
    np.testing.assert_allclose(np.exp(found), better * norm.cdf(z) + deviation * norm.pdf(z), atol=1e-12)
    theirs = LogExpectedImprovement(Told(mean, variance[:, None]), posterior.best[0], maximize=False)
    np.testing.assert_allclose(found, theirs(torch.tensor(POINTS)[:, None]), atol=1e-8)
    np.testing.assert_allclose(acquisition()(POINTS), found, atol=1e-12)


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_several_objectives_are_botorchs_closed_form(m, seed):
    each = posteriors(m, seed)
    reference = np.array([0.5] * m) if seed else np.array([-9.0] * m)  # with 0 nothing is within it
    gain, count = hypervolume_improvement(each, reference)
    found = gain(torch.tensor(POINTS)).numpy()
    values = -torch.cat([posterior.smoothed for posterior in each], dim=1)
    worst = -torch.tensor(reference)
    moments = [posterior.at(torch.tensor(POINTS)) for posterior in each]
    model = Told(
        -torch.cat([mean for mean, _ in moments], dim=1), torch.stack([v for _, v in moments], dim=1)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ExpectedHypervolumeImprovement(
            model, worst.tolist(), FastNondominatedPartitioning(worst, values)
        )
        expected = theirs(torch.tensor(POINTS)[:, None]).numpy()
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-6, atol=1e-12)
    assert count >= 1


def test_the_boxes_of_many_objectives_come_from_few_points():
    generator = np.random.default_rng(0)
    y = generator.dirichlet(np.ones(3), size=150)  # none dominates another
    x = torch.tensor(generator.random((150, 2)))
    each = [Posterior(KERNEL._replace(scales=(0.03, 0.03)), x, torch.tensor(y[:, j])) for j in range(3)]
    lower, upper = boxes(each, np.ones(3))
    assert len(lower) < 1000
    assert (upper > lower).all()


def test_hypervolume_improvement_is_what_draws_improve():
    each, reference = posteriors(2), np.array([0.8, 0.8])
    gain, _ = hypervolume_improvement(each, reference)
    point = torch.tensor(POINTS[:1])
    front = -torch.cat([posterior.smoothed for posterior in each], dim=1)
    volume = Hypervolume(-torch.tensor(reference))
    moments = [posterior.at(point) for posterior in each]
    generator = np.random.default_rng(0)
    drawn = np.stack(
        [float(mean) + float(variance) ** 0.5 * generator.normal(size=1000) for mean, variance in moments], 1
    )
    inside = front[(front > -torch.tensor(reference)).all(dim=1)]

    def of(points: torch.Tensor) -> float:
        kept = [p for p in points if not any((q >= p).all() and (q > p).any() for q in points)]
        return volume.compute(torch.stack(kept)) if kept else 0.0

    base = of(inside)
    gains = [
        of(torch.cat([inside, -torch.tensor(d)[None]])) - base if (d < reference).all() else 0.0
        for d in drawn
    ]
    deviation = np.std(gains) / np.sqrt(len(gains))
    assert abs(np.mean(gains) - float(gain(point).exp())) < 4 * deviation


@pytest.mark.parametrize(("m", "pending"), [(1, 0), (1, 3), (2, 0), (2, 3), (3, 0), (3, 3)])
def test_slopes(m, pending):
    acquired = acquisition(m, POINTS[:pending])
    at = POINTS[5:12]
    value, slope = acquired.gradient(at)
    np.testing.assert_allclose(value, acquired(at), atol=1e-10)
    for j in range(2):
        step = 1e-6 * np.eye(2)[j]
        quotient = (acquired(at + step) - acquired(at - step)) / 2e-6
        np.testing.assert_allclose(slope[:, j], quotient, rtol=1e-4, atol=1e-4)


def test_pending_points_promise_less_and_the_rest_as_much():
    best = acquisition().refine(POINTS, np.ones((30, 2), bool), (np.zeros(2), np.ones(2)), 50)
    peak = best[[int(acquisition()(best).argmax())]]
    far = np.array([[1.0, 1.0]])
    alone, beside = acquisition(), acquisition(1, peak)
    assert beside(peak)[0] < alone(peak)[0] - 1.0
    assert beside(far)[0] == pytest.approx(alone(far)[0], rel=0.05)
    assert (acquisition(1, peak, seed=1)(POINTS) != beside(POINTS)).any()
    assert (acquisition(1, peak)(POINTS) == beside(POINTS)).all()


def test_the_improvement_is_averaged_over_fantasies():
    x, y = problem()
    pending = torch.tensor(POINTS[:2])
    posterior = Posterior(KERNEL, torch.tensor(x), torch.tensor(y[:, 0]))
    normals = torch.tensor(np.random.default_rng(2).normal(size=(2, FANTASIES)))
    together = improvement(posterior.fantasised(pending, normals))(torch.tensor(POINTS)).exp()
    each = [
        improvement(posterior.fantasised(pending, normals[:, [i]]))(torch.tensor(POINTS)).exp()
        for i in range(FANTASIES)
    ]
    np.testing.assert_allclose(together, torch.stack(each).mean(dim=0), rtol=1e-9)


@pytest.mark.parametrize("m", [1, 2])
def test_refining_goes_uphill_within_bounds_along_what_is_free(m):
    acquired = acquisition(m)
    free = np.ones((30, 2), bool)
    free[::3, 1] = False
    low, high = np.array([0.2, 0.1]), np.array([0.8, 0.9])
    begun = np.clip(POINTS, low, high)
    found = acquired.refine(begun, free, (low, high), 40)
    assert (found >= low).all()
    assert (found <= high).all()
    assert (found[::3, 1] == begun[::3, 1]).all()
    before, after = acquired(begun), acquired(found)
    assert (after >= before - 1e-6).mean() > 0.9
    assert after.sum() > before.sum()
    where = found[int(after.argmax())]
    around = np.clip(where + np.random.default_rng(0).normal(scale=1e-3, size=(200, 2)), low, high)
    assert acquired(around).max() <= after.max() + 1e-4


def test_what_is_added_moves_the_summit():
    acquired = acquisition()

    def pull(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return -1e6 * ((x - 0.5) ** 2).sum(axis=1), -2e6 * (x - 0.5)

    found = acquired.refine(POINTS, np.ones((30, 2), bool), (np.zeros(2), np.ones(2)), 50, pull)
    np.testing.assert_allclose(found, 0.5, atol=1e-3)


def test_nothing_to_evaluate_and_nothing_free():
    assert acquisition()(np.empty((0, 2))).shape == (0,)
    same = acquisition().refine(POINTS[:2], np.zeros((2, 2), bool), (np.zeros(2), np.ones(2)), 5)
    assert (same == POINTS[:2]).all()
