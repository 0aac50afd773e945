"""The ensemble of Domhan et al.: families, density and sampler, each against a slow or a known version."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rung.models import curve_ensemble
from rung.models.curve_ensemble import FAMILIES, Family, _Sampler, fit_family, forecast, recency
from rung.models.curves import Curve

TIMES = np.array([1, 2, 3, 4, 5, 6, 7, 9, 11, 14], dtype=float)
NO_NOISE = np.random.default_rng(0)

TABLE = {  # table 1 of the paper, at t, in the order of the parameters here
    "vapor pressure": lambda t, a, b, c: math.exp(a + b / t + c * math.log(t)),
    "pow3": lambda t, c, a, alpha: c - a * t**-alpha,
    "log log linear": lambda t, a, b: math.log(a * math.log(t) + b),
    "Hill3": lambda t, y, eta, kappa: y * t**eta / (kappa**eta + t**eta),
    "log power": lambda t, a, b, c: a / (1 + (t / math.exp(b)) ** c),
    "pow4": lambda t, c, a, b, alpha: c - (a * t + b) ** -alpha,
    "MMF": lambda t, alpha, beta, kappa, delta: alpha - (alpha - beta) / (1 + (kappa * t) ** delta),
    "exp4": lambda t, c, a, b, alpha: c - math.exp(-a * t**alpha + b),
    "Janoschek": lambda t, a, beta, k, delta: a - (a - beta) * math.exp(-k * t**delta),
    "Weibull": lambda t, a, beta, k, delta: a - (a - beta) * math.exp(-((k * t) ** delta)),
    "ilog2": lambda t, c, a: c - a / math.log(t + 1),
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_families_are_the_papers(family):
    parameters = np.array([family.start, np.array(family.start) * 1.1])
    found = family.function(TIMES, parameters)
    expected = [[TABLE[family.name](t, *row) for t in TIMES] for row in parameters]
    assert found == pytest.approx(np.array(expected))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_finds_itself(family):
    values = family.function(TIMES, np.array(family.start))
    fit = fit_family(family, TIMES, values + 1e-4 * np.sin(9 * TIMES), 50.0)
    assert fit is not None
    assert family.function(TIMES, fit.parameters) == pytest.approx(values, abs=2e-3)


def test_a_family_that_falls_takes_no_part():
    pow3 = FAMILIES[1]
    assert fit_family(pow3, TIMES, 0.5 - 0.02 * TIMES, 50.0) is None
    assert fit_family(pow3, TIMES, 0.5 + 0.1 * np.log(TIMES), 50.0) is not None


def test_later_observations_weigh_more():
    weights = recency(10)
    assert weights[0] == 1.0
    assert weights[-1] == pytest.approx(10**0.9)
    assert np.diff(np.log(weights)) == pytest.approx(math.log(10) / 10)


def sampler(kept: tuple[int, ...] = (1, 3, 10)) -> _Sampler:
    y = 0.8 - 0.5 * TIMES**-0.7
    fits = [fit_family(FAMILIES[i], TIMES, y, 50.0) for i in kept]
    return _Sampler([fit for fit in fits if fit], TIMES, y, 50.0, np.random.default_rng(0))


def test_the_density_is_the_slow_one():
    ours = sampler()
    walkers, _ = ours._started()
    walkers = walkers * (1 + 0.05 * np.random.default_rng(1).standard_normal(walkers.shape))
    logs = ours.log_density(walkers)
    assert np.isfinite(logs).sum() > 20
    for walker, log in zip(walkers, logs, strict=True):
        parts, place = [], 0
        for fit in ours._fits:
            parts.append(walker[place : place + len(fit.parameters)])
            place += len(fit.parameters)
        weights, noise = walker[place:-1], math.exp(walker[-1])

        def curve(t: float, parts=parts, weights=weights) -> float:
            rows = zip(ours._fits, parts, weights, strict=True)
            return sum(w * TABLE[fit.family.name](t, *p) for fit, p, w in rows) / sum(weights)

        if min(weights) < 0 or curve(1.0) > curve(50.0) or not 0 <= curve(50.0) <= 2:
            assert log == -math.inf
            continue
        expected = sum(
            weight * (-0.5 * ((y - curve(t)) / noise) ** 2 - math.log(noise))
            for t, y, weight in zip(TIMES, ours._y, recency(len(TIMES)), strict=True)
        )
        assert log == pytest.approx(expected)


class Normal(_Sampler):
    """The same sampler on a normal distribution of two variables."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)

    def log_density(self, walkers):
        return -0.5 * (walkers[:, 0] ** 2 + ((walkers[:, 1] - walkers[:, 0]) / 0.5) ** 2)


def test_the_stretch_move_samples_its_density():
    normal = Normal()
    walkers = normal._generator.standard_normal((100, 2))
    logs = normal.log_density(walkers)
    kept = []
    for step in range(1200):
        normal._move(walkers, logs, slice(0, 50), walkers[50:])
        normal._move(walkers, logs, slice(50, None), walkers[:50])
        assert logs == pytest.approx(normal.log_density(walkers))
        if step > 200:
            kept.append(walkers.copy())
    samples = np.concatenate(kept)
    assert samples.mean(axis=0) == pytest.approx([0.0, 0.0], abs=0.1)
    assert np.cov(samples.T) == pytest.approx(np.array([[1.0, 1.0], [1.0, 1.25]]), abs=0.15)


def test_it_foresees_the_end_of_power_laws_and_says_how_surely(monkeypatch):
    monkeypatch.setattr(curve_ensemble, "STEPS", 400)
    rng = np.random.default_rng(3)
    inside = 0
    for trial in range(4):
        end, power = rng.uniform(0.2, 0.5), rng.uniform(0.5, 1.2)
        values = end + 0.8 * TIMES**-power + rng.normal(0, 0.01, len(TIMES))
        found = forecast(Curve(TIMES, values), 50.0, np.array([0.2]), np.random.default_rng(trial))
        assert found is not None
        truth = end + 0.8 * 50.0**-power
        inside += 0.025 < found.below(truth) < 0.975
        assert abs(found.mean - truth) < 0.2
        assert found.below(-1.0) < 0.05 < 0.95 < found.below(1.5)
    assert inside >= 3


def test_what_cannot_be_fitted_has_no_forecast():
    flat = Curve(TIMES, np.full(10, 2.0))
    assert forecast(flat, 50.0, np.array([2.0]), NO_NOISE) is None
    falling_family = Family("none", lambda t, p: np.full(np.broadcast(t, p[..., :1]).shape, np.nan), (1.0,))
    assert fit_family(falling_family, TIMES, TIMES, 50.0) is None


def test_the_same_generator_gives_the_same_forecast(monkeypatch):
    monkeypatch.setattr(curve_ensemble, "STEPS", 320)
    curve = Curve(TIMES, 0.3 + 0.5 / TIMES)
    one, other = (forecast(curve, 50.0, np.array([0.1]), np.random.default_rng(5)) for _ in range(2))
    assert one is not None
    assert other is not None
    assert (one.means == other.means).all()
