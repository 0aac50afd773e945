from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.tabular import decide
from rung.tabular.deadline import Deadline
from rung.tabular.decide import (
    best_factors,
    fit_factors,
    fit_intercepts,
    fit_shift,
    fit_temperature,
    sure_by,
    tempered,
    threshold,
)
from rung.tabular.metrics import METRICS, named_metric
from rung.tabular.optimism import optimism
from rung.tabular.scoring import metric_of


def _probabilities(n=4000, k=2, sharpness=1.0, seed=0):
    """Calibrated probabilities, then sharpened, and labels drawn from the calibrated ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 1.5
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (true.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return tempered(true, 1 / sharpness), y


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("sharpness", [0.6, 1.7])
def test_a_temperature_undoes_sharpening(k, sharpness):
    p, y = _probabilities(k=k, sharpness=sharpness)
    found = fit_temperature(p, y, METRICS["log_loss"])
    assert found == pytest.approx(sharpness, rel=0.15)


def test_calibrated_probabilities_and_few_rows_are_left_alone():
    p, y = _probabilities(sharpness=3.0, n=40)
    assert fit_temperature(p, y, METRICS["log_loss"]) == 1.0
    p, y = _probabilities(n=4000, seed=3)
    assert fit_temperature(p, y, METRICS["log_loss"]) == pytest.approx(1.0, abs=0.1)
    assert fit_temperature(p, y, METRICS["auc"]) == 1.0, "the order of the rows does not change"


def test_probabilities_are_as_sure_as_they_may_be_where_the_metric_does_not_ask():
    p, y = _probabilities(sharpness=3.0)
    auc, loss = METRICS["auc"], METRICS["log_loss"]
    calm = tempered(p, fit_temperature(p, y, sure_by(auc, 2)))
    assert auc.score(y, calm, None) == auc.score(y, p, None)
    assert loss.score(y, calm, None) < loss.score(y, p, None) - 0.2
    names = ("auc", "average_precision", "f1", "log_loss", "brier")
    assert [sure_by(METRICS[name], 2).name for name in names] == ["log_loss"] * 4 + ["brier"]
    assert sure_by(METRICS["auc_ovr"], 3).name == "auc_ovr", "the order of rows does change"
    assert sure_by(METRICS["f1_macro"], 3).name == "log_loss"


@pytest.mark.parametrize("prior", [0.3, 1.0])
def test_the_temperature_is_the_most_likely_one_on_a_fine_grid(prior):
    p, y = _probabilities(n=120, k=3, sharpness=2.5)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    rows = weight.sum() ** 2 / (weight**2).sum()
    grid = np.exp(np.linspace(-1.4, 1.4, 2_001))
    own = np.log([tempered(p, t)[np.arange(len(y)), y] for t in grid])
    costs = -rows * (own * weight).sum(axis=1) / weight.sum() + 0.5 * (np.log(grid) / prior) ** 2
    found = fit_temperature(p, y, METRICS["log_loss"], weight, prior=prior)
    assert found == pytest.approx(grid[costs.argmin()], rel=0.02)


def test_a_sure_prior_holds_few_rows_back():
    p, y = _probabilities(n=120, sharpness=3.0)
    found = [fit_temperature(p, y, METRICS["log_loss"], prior=prior) for prior in (0.05, 0.3, 1.0)]
    assert 1.0 < found[0] < found[1] < found[2]


def test_looking_at_some_rows_is_looking_at_those():
    p, y = _probabilities(n=4_000, sharpness=1.7)
    some = fit_temperature(p, y, METRICS["log_loss"], most=1_000)
    assert some == fit_temperature(p[::4], y[::4], METRICS["log_loss"])


def test_intercepts_give_a_rare_class_the_share_that_it_has():
    p, y = _probabilities(n=20_000, k=3, sharpness=2.0)
    loss = METRICS["log_loss"]
    shifted = tempered(p, 1.0, np.array([0.5, -0.5, 0.0]))
    temperature = fit_temperature(shifted, y, loss)
    calm = tempered(shifted, temperature)
    found = fit_intercepts(calm, y, loss)
    right = tempered(shifted, temperature, found)
    share = np.bincount(y) / len(y)
    assert np.abs(calm.mean(axis=0) - share).max() > 0.02
    assert right.mean(axis=0) == pytest.approx(share, abs=1e-3)
    assert loss.score(y, right, None) < loss.score(y, calm, None) - 0.01
    assert right.sum(axis=1) == pytest.approx(1)


def test_intercepts_are_the_most_likely_ones_on_a_fine_grid():
    p, y = _probabilities(n=150)
    p = tempered(p, 1.0, np.array([0.0, 0.8]))
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    rows = weight.sum() ** 2 / (weight**2).sum()
    grid = np.linspace(-1.0, 1.0, 2_001)  # of both together the prior wants opposite ones
    own = np.log([tempered(p, 1.0, np.array([-b / 2, b / 2]))[np.arange(len(y)), y] for b in grid])
    costs = -rows * (own * weight).sum(axis=1) / weight.sum() + (grid / 2 / decide.INTERCEPT) ** 2
    found = fit_intercepts(p, y, METRICS["log_loss"], weight)
    assert found.sum() == pytest.approx(0.0, abs=1e-4)
    assert found[1] - found[0] == pytest.approx(grid[costs.argmin()], abs=0.005)


def test_a_sure_prior_holds_intercepts_back(monkeypatch):
    loss = METRICS["log_loss"]
    p, y = _probabilities(n=120)
    p, gaps = tempered(p, 1.0, np.array([0.0, 0.9])), []
    for prior in (0.05, 0.2, 1.0):
        monkeypatch.setattr(decide, "INTERCEPT", prior)
        found = fit_intercepts(p, y, loss)
        gaps.append(found[0] - found[1])
    assert 0.0 < gaps[0] < gaps[1] < gaps[2]
    assert fit_intercepts(p[:40], y[:40], loss) is None


def test_of_many_rows_some_teach_the_intercepts(monkeypatch):
    p, y = _probabilities(n=2_000)
    monkeypatch.setattr(decide, "_MOST_TOLD", 1_000)
    some = fit_intercepts(p, y, METRICS["log_loss"])
    assert np.array_equal(some, fit_intercepts(p[::4], y[::4], METRICS["log_loss"]))


def test_intercepts_leave_the_order_of_two_classes_and_metrics_of_more():
    p, y = _probabilities(n=1_000)
    p = tempered(p, 1.0, np.array([0.0, 0.5]))
    auc = METRICS["auc"]
    found = fit_intercepts(p, y, sure_by(auc, 2))
    assert auc.score(y, tempered(p, 1.0, found), None) == auc.score(y, p, None)
    p, y = _probabilities(n=1_000, k=3)
    assert fit_intercepts(p, y, sure_by(METRICS["auc_ovr"], 3)) is None


@given(st.floats(0.5, 2.0), st.integers(2, 5))
def test_a_temperature_keeps_rows_summing_to_one_and_their_order(temperature, k):
    p, _ = _probabilities(50, k)
    after = tempered(p, temperature)
    assert after.sum(axis=1) == pytest.approx(1)
    assert (after.argmax(axis=1) == p.argmax(axis=1)).all()


@pytest.mark.parametrize("rare", [6, 15])
def test_a_class_of_few_rows_is_said_where_the_metric_wants_it(rare):
    """By its share, which is right for balanced accuracy; the others' factors are learned beside it."""
    rng = np.random.default_rng(0)
    counts = np.array([600, 150, rare])
    y = np.repeat(np.arange(3), counts)
    logits = rng.normal(size=(len(y), 3)) + 1.5 * np.eye(3)[y]
    odds = np.exp(1.5 * logits) * counts  # of normal densities, by Bayes' rule
    p = odds / odds.sum(axis=1, keepdims=True)
    metric = METRICS["balanced_accuracy"]
    factors = fit_factors(p, y, metric)
    new = rng.normal(size=(3_000, 3)) + 1.5 * np.eye(3)[np.arange(3_000) % 3]
    told = np.exp(1.5 * new) * counts
    best = metric.score(np.arange(3_000) % 3, told / counts)
    assert metric.score(np.arange(3_000) % 3, told) < best - 0.15
    assert metric.score(np.arange(3_000) % 3, told * factors) > best - 0.05


def test_few_rows_of_a_class_change_nothing_where_the_metric_does_not_want_it():
    p, y = _probabilities(n=500, k=3)
    rare = (p[:, 2] > 0.9) | (y == 2)
    keep = ~rare | (np.cumsum(rare) <= 8)
    common = fit_factors(p[keep], y[keep], METRICS["accuracy"])
    assert common is None
    assert fit_factors(p[keep][:45], y[keep][:45], METRICS["balanced_accuracy"]) is None, "too few rows"


def test_a_class_that_no_row_is_of_has_no_say():
    p, y = _probabilities(n=500, k=3)
    p = np.column_stack([p * 0.999, np.full(len(p), 0.001)])
    factors = fit_factors(p, y, METRICS["balanced_accuracy"])
    assert factors is None or factors[3] <= factors[:3].max()


@pytest.mark.parametrize(("name", "of"), [("d2_log_loss_score", "log_loss"), ("d2_brier_score", "brier")])
def test_what_a_metric_is_a_function_of_is_what_a_model_is_made_sure_by(name, of):
    p, y = _probabilities(n=800, k=3, sharpness=2.0)
    found, usual = named_metric(name), METRICS[of]
    assert fit_temperature(p, y, found) == fit_temperature(p, y, usual) != 1.0
    assert np.array_equal(fit_intercepts(p, y, found), fit_intercepts(p, y, usual))


def test_the_threshold_is_the_best_there_is():
    """A closed form: balanced accuracy of calibrated probabilities is best at the share of the positives."""
    rng = np.random.default_rng(0)
    risk = rng.beta(0.5, 4.0, 20_000)
    y = (rng.random(20_000) < risk).astype(int)
    p = np.column_stack([1 - risk, risk])
    factors = fit_factors(p, y, METRICS["balanced_accuracy"])
    cut = threshold(factors)
    assert cut == pytest.approx(y.mean(), abs=0.03)
    metric = METRICS["balanced_accuracy"]
    assert metric.score(y, p * factors) > metric.score(y, p) + 0.1


def test_several_classes_have_a_factor_each():
    rng = np.random.default_rng(0)
    y = rng.choice(3, 6000, p=[0.8, 0.15, 0.05])
    p = np.full((6000, 3), 0.05) + np.eye(3)[y] * 0.2 + [0.5, 0.1, 0.03] + rng.random((6000, 3)) * 0.2
    p /= p.sum(axis=1, keepdims=True)
    metric = METRICS["balanced_accuracy"]
    factors = fit_factors(p, y, metric)
    assert factors[0] == 1
    assert metric.score(y, p * factors) > metric.score(y, p) + 0.05
    assert threshold(factors) is None


def _rare(k: int, n: int = 600):
    """Rounded, so that there are ties."""
    rng = np.random.default_rng(k)
    y = rng.choice(k, n, p=[0.7, *[0.3 / (k - 1)] * (k - 1)])
    p = rng.random((n, k)) + np.eye(k)[y] * 0.4 + [1.0, *[0.0] * (k - 1)]
    return np.round(p, 1), y


@pytest.mark.parametrize("k", [2, 4])
def test_factors_are_those_that_trying_each_in_turn_finds(k):
    p, y = _rare(k)
    metric, slow = METRICS["balanced_accuracy"], np.ones(k)
    for j in [*range(1, k)] * (1 if k == 2 else 2):
        tried = [slow * np.where(np.arange(k) == j, factor, 1) for factor in decide._FACTORS / slow[j]]
        losses = np.array([metric.loss(y, p * one) for one in tried])
        best = np.flatnonzero(losses <= losses.min() + 1e-12)
        slow = tried[best[len(best) // 2]]
    assert fit_factors(p, y, metric) == pytest.approx(slow)


def test_factors_of_many_classes_are_learned_from_some_rows_and_not_after_the_deadline(monkeypatch):
    p, y = _rare(4)
    looked = []
    metric = METRICS["balanced_accuracy"]
    counted = replace(metric, function=lambda y, *rest: looked.append(len(y)) or metric.function(y, *rest))
    monkeypatch.setattr(decide, "_MOST_LABELS", 400 * 61 * 6)
    assert fit_factors(p, y, counted) is not None
    assert max(looked) == 400
    looked.clear()
    assert fit_factors(p, y, counted, deadline=Deadline.after(-1)) is None
    assert len(looked) < 61


def test_no_factor_where_it_would_be_noise():
    p, y = _probabilities(2000)
    assert fit_factors(p, y, METRICS["accuracy"]) is None
    assert fit_factors(p[:60], y[:60], METRICS["f1"]) is None or np.bincount(y[:60]).min() >= 20
    assert fit_factors(p, y, METRICS["auc"]) is None


def test_optimism_of_choosing_among_noise_is_seen():
    """Forty predictions of nothing: the best of them looks better than it is; one alone does not."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    noise = [np.column_stack([1 - p, p]) for p in rng.random((40, 200))]
    found = optimism(noise, y, METRICS["auc"], 0, Deadline())
    assert 0.02 < found < 0.2
    good = [np.column_stack([1 - p, p]) for p in (y * 0.8 + 0.1, y * 0.6 + 0.2)]
    assert optimism(good, y, METRICS["auc"], 0, Deadline()) == 0.0
    assert optimism(noise[:1], y, METRICS["auc"], 0, Deadline()) is None


def test_optimism_of_a_threshold_is_seen():
    """What a threshold gains on the rows that chose it, against the best on all, it does not on others."""
    metric, said, plain, true = METRICS["balanced_accuracy"], [], [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        logit = 1.2 * rng.normal(size=4_000) - 2.7
        y = (rng.random(4_000) < 1 / (1 + np.exp(-logit))).astype(int)
        old = np.arange(300)
        some = [
            np.column_stack([1 - p, p]) for p in 1 / (1 + np.exp(-logit - rng.normal(0, 0.5, (2, 4_000))))
        ]
        chosen, best = (best_factors(some[0][rows], y[rows], metric) for rows in (old, slice(None)))
        gains = [
            metric.loss(y[rows], some[0][rows] * best) - metric.loss(y[rows], some[0][rows] * chosen)
            for rows in (old, slice(None))
        ]
        true.append(gains[0] - gains[1])
        asked = ([p[old] for p in some], y[old], metric, seed, Deadline())
        said.append(optimism(*asked, selector=METRICS["log_loss"], factored=True))
        plain.append(optimism(*asked, selector=METRICS["log_loss"]))
    assert np.mean(said) == pytest.approx(np.mean(true), rel=0.35)
    assert np.mean(plain) < 0.3 * np.mean(true)


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_shift_has_the_least_pinball_loss_of_all_constants(quantile, weighted):
    rng = np.random.default_rng(0)
    prediction, residuals = rng.normal(size=400), rng.gumbel(size=400)
    weight = rng.integers(1, 4, 400).astype(float) if weighted else None
    metric = named_metric(f"pinball_{quantile:g}")
    losses = [metric.loss(prediction + residuals, prediction + each, weight) for each in residuals]
    shift = fit_shift(residuals, quantile, weight)
    assert metric.loss(prediction + residuals, prediction + shift, weight) <= min(losses) + 1e-3
    assert np.average(residuals <= shift, weights=weight) == pytest.approx(quantile, abs=0.01)


def test_of_few_rows_beyond_a_quantile_nothing_is_learned():
    residuals = np.linspace(-1.0, 3.0, 99)
    assert fit_shift(residuals, 0.9) == fit_shift(residuals, 0.1) == 0.0
    assert fit_shift(residuals, 0.5) == pytest.approx(1.0)


def _precision_or_nan(y, said):
    return float((y == 1)[said == 1].mean()) if (said == 1).any() else float("nan")


def test_where_a_metric_is_undefined_it_is_worst():
    p, y = _probabilities(n=200)
    own, never = metric_of(_precision_or_nan, "binary"), metric_of(lambda y, said: float("nan"), "binary")
    assert own.loss(y, np.zeros(200, dtype=int)) == np.inf
    found = best_factors(p, y, own)
    assert np.isfinite(own.loss(y, p * found))
    assert best_factors(p, y, never).shape == (2,)
    assert optimism([p, p[::-1]], y, never, 0, Deadline()) is None
