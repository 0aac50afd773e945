"""The forecast of a learning curve's end: against a dense normal distribution, and its calibration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.models.curves import (
    DRIFTS,
    END,
    FALL,
    NOISES,
    SHAPES,
    Curve,
    Experience,
    Forecast,
    lesson,
    regress,
    shapes,
)

TIMES = np.array([1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 18, 23, 29, 37, 48, 62, 80, 100], dtype=float)
R = 100.0


def synthetic(rng: np.random.Generator) -> np.ndarray:
    """A curve of one of four kinds, two of which no shape of the model has."""
    end, fall = rng.uniform(0.1, 0.6), rng.uniform(0.2, 1.0)
    falls = [
        TIMES ** -rng.uniform(0.3, 1.5),
        np.exp(-TIMES / R * rng.uniform(2, 30)),
        1 / (1 + (TIMES / rng.uniform(2, 30)) ** rng.uniform(0.7, 2)),
        np.exp(-((TIMES / rng.uniform(3, 20)) ** rng.uniform(0.4, 1.0))),
    ]
    return end + fall * falls[rng.integers(4)] + rng.normal(0, rng.choice([0.002, 0.01, 0.03]), len(TIMES))


def until(values: np.ndarray, count: int) -> Curve:
    return Curve(TIMES[:count], values[:count])


@pytest.fixture(scope="module")
def curves():
    rng = np.random.default_rng(1)
    return [synthetic(rng) for _ in range(432)]


@pytest.fixture(scope="module")
def taught(curves):
    return Experience([lesson(Curve(TIMES, values)) for values in curves[:32]])


@pytest.mark.parametrize("unit", [0.0, 3.0])
def test_each_regression_is_the_dense_normal_distribution_conditioned(unit):
    curve = Curve(np.array([2.0, 3.0, 5.0, 9.0]), np.array([0.9, 0.5, 0.55, 0.3]))
    fit = regress(curve, 20.0, unit)
    width, last = max(unit, 0.6), 0.3
    times = np.append(curve.times, 20.0)
    ages = np.log(times / 2.0)
    evidence = {}
    for j, (noise, drift) in enumerate((noise, drift) for noise in NOISES for drift in DRIFTS):
        for k, falls in enumerate(shapes(curve.times, 20.0)):
            design = np.column_stack([np.ones(5), np.append(falls, 0.0)])  # the shape is 0 at the horizon
            mean = design @ [END[0], FALL[0]]
            cov = design @ np.diag([END[1] ** 2, FALL[1] ** 2]) @ design.T
            cov += drift**2 * np.minimum.outer(ages, ages) + noise**2 * np.eye(5)
            y = (curve.values - last) / width
            ahead = np.linalg.solve(cov[:4, :4], cov[:4, 4])
            variance = cov[4, 4] - ahead @ cov[:4, 4]
            assert fit.means[j, k] == pytest.approx(last + width * (mean[4] + ahead @ (y - mean[:4])))
            assert fit.deviations[j, k] == pytest.approx(width * math.sqrt(variance))
            evidence[j, k] = stats.multivariate_normal(mean[:4], cov[:4, :4]).logpdf(y)
    ours = fit.evidence - fit.evidence[0, 0]
    for (j, k), value in evidence.items():
        assert ours[j, k] == pytest.approx(value - evidence[0, 0])


def test_the_shapes_fall_from_one_to_nothing():
    rows = shapes(TIMES, R)
    assert rows.shape == (SHAPES, len(TIMES))
    assert rows[:, 0] == pytest.approx(1.0)
    assert rows[:, -1] == pytest.approx(0.0)
    assert (np.diff(rows, axis=1) <= 1e-12).all()


@pytest.mark.parametrize("count", [4, 6, 8, 10, 13])
def test_probabilities_are_calibrated(curves, taught, count):
    """Of events said to have a probability p about a share p happens: binomial tests at 1 %."""
    rest = curves[32:]
    places = np.array([taught.forecast(until(values, count), R).below(values[-1]) for values in rest])
    for p in (0.05, 0.1, 0.9, 0.95):  # the end is above a point that is to be passed with probability p
        share = int((places < min(p, 1 - p)).sum()) if p < 0.5 else int((places > p).sum())
        assert stats.binomtest(share, len(rest), min(p, 1 - p) * 1.3, alternative="greater").pvalue > 0.01
    assert 0.4 < (places < 0.5).mean() < 0.6


def test_a_trial_that_is_said_to_have_no_chance_rarely_has_one(curves, taught):
    """Below the threshold of 5 % at most 5 % beat the bar: a binomial test."""
    bars = np.quantile([values[-1] for values in curves[:32]], [0.05, 0.25])
    hopeless = won = 0
    for values in curves[32:]:
        for count in (4, 8, 13):
            forecast = taught.forecast(until(values, count), R)
            for bar in bars:
                if forecast.below(bar) < 0.05:
                    hopeless += 1
                    won += values[-1] < bar
    assert hopeless > 500
    assert stats.binomtest(won, hopeless, 0.05, alternative="greater").pvalue > 0.05


def test_it_is_surer_the_more_it_has_seen(curves, taught):
    wide = [np.mean([taught.forecast(until(v, n), R).deviation for v in curves[32:132]]) for n in (4, 8, 13)]
    assert wide == sorted(wide, reverse=True)
    assert wide[2] < wide[0] / 2


def test_what_was_learnt_makes_it_better(curves, taught):
    """A paired Wilcoxon test of the log densities at the true ends."""

    def log_density(experience: Experience, values: np.ndarray) -> float:
        found = experience.forecast(until(values, 8), R)
        return float(
            np.log(found.weights @ stats.norm(found.means, found.deviations).pdf(values[-1]) + 1e-30)
        )

    gains = [log_density(taught, v) - log_density(Experience(), v) for v in curves[32:232]]
    assert stats.wilcoxon(gains, alternative="greater").pvalue < 1e-3


@given(
    values=st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=10),
    scale=st.floats(1e-6, 1e6),
    shift=st.floats(-1e3, 1e3),
)
@settings(max_examples=60, deadline=None)
def test_any_finite_curve_has_a_forecast(values, scale, shift):
    curve = Curve(TIMES[: len(values)], np.array(values))
    found = Experience().forecast(curve, R)
    assert np.isfinite(found.means).all()
    assert (found.deviations > 0.0).all()
    assert found.weights.sum() == pytest.approx(1.0)
    assert 0.0 <= found.below(values[0]) <= 1.0


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_metrics_unit_does_not_matter(scale, shift, seed):
    values = synthetic(np.random.default_rng(seed))
    plain = Experience().forecast(until(values, 8), R)
    moved = Experience().forecast(until(shift + scale * values, 8), R)
    assert moved.below(shift + scale * 0.3) == pytest.approx(plain.below(0.3), abs=1e-5)


def test_a_curve_that_rises_is_predicted_to_rise():
    rising = Curve(TIMES[:8], np.linspace(0.2, 1.0, 8))
    assert Experience().forecast(rising, R).below(0.5) < 0.3
    assert Experience().forecast(Curve(TIMES[:8], rising.values[::-1].copy()), R).below(0.5) > 0.7


def test_a_flat_curve_stays_flat():
    flat = Experience().forecast(Curve(TIMES[:6], np.full(6, 3.0)), R)
    assert flat.mean == pytest.approx(3.0)
    assert flat.below(2.999) < 1e-6


def test_a_mixtures_mean_and_deviation():
    mixture = Forecast(np.array([0.0, 2.0]), np.array([1.0, 1.0]), np.array([0.5, 0.5]))
    assert (mixture.mean, mixture.deviation) == pytest.approx((1.0, math.sqrt(2.0)))
    assert mixture.below(1.0) == pytest.approx(0.5)
