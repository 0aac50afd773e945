"""Greedy selection against brute force and against its own definition."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest

from rung.tabular import ensemble
from rung.tabular.deadline import Deadline
from rung.tabular.ensemble import mix, select, weigh
from rung.tabular.metrics import METRICS


def _case(seed: int, members: int = 4, rows: int = 60):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows)
    return y, np.stack([y + rng.normal(scale=s, size=rows) for s in rng.uniform(0.5, 2, members)])


def _slow_greedy(predictions, y, metric, rounds):
    """Caruana's procedure, spelt out on bags of members."""
    bag: list[int] = []
    history = []
    for _ in range(rounds):
        losses = {
            m: round(metric.loss(y, np.mean([predictions[i] for i in [*bag, m]], axis=0)), 9)
            for m in range(len(predictions))
        }
        least = min(losses.values())
        tied = [m for m, loss in losses.items() if loss == least]
        bag.append(next((m for m in tied if m in bag), tied[0]))
        history.append((least, len(bag)))
    best = min(history)[1]
    return np.bincount(bag[:best], minlength=len(predictions))


@pytest.mark.parametrize("seed", range(8))
def test_select_is_the_greedy_procedure(seed):
    y, predictions = _case(seed)
    metric = METRICS["rmse"]
    assert select(predictions, y, metric, 10).tolist() == _slow_greedy(predictions, y, metric, 10).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_select_comes_close_to_the_best_bag_of_its_size(seed):
    """Brute force over all bags of at most five members; never better than it, and never far."""
    y, predictions = _case(seed)
    metric = METRICS["rmse"]
    counts = select(predictions, y, metric, 5)
    found = metric.loss(y, mix(list(predictions), counts / counts.sum()))
    best = min(
        metric.loss(y, predictions[list(bag)].mean(axis=0))
        for size in range(1, 6)
        for bag in combinations_with_replacement(range(4), size)
    )
    assert best - 1e-9 <= found <= best * 1.02


def test_a_tie_goes_to_the_member_that_is_in():
    y = np.array([0.0, 1.0, 2.0])
    same = np.stack([y, y, y])
    assert select(same, y, METRICS["rmse"], 6).tolist() == [1, 0, 0]  # the best prefix is the first


@pytest.mark.parametrize("name", ["mse", "rmse", "mae", "r2"])
@pytest.mark.parametrize("unit", [1e-9, 1e-5, 1e9])
def test_weights_do_not_depend_on_the_targets_unit(name, unit):
    y, predictions = _case(4)
    plain, other = (weigh(list(predictions * u), y * u, METRICS[name], 0, Deadline()) for u in (1.0, unit))
    assert np.count_nonzero(plain) > 1
    assert other.tolist() == plain.tolist()


def test_what_floats_cannot_tell_apart_is_a_tie_in_any_unit():
    y = np.linspace(0.0, 1.0, 50) * 1e-6
    nearly = np.stack([y * (1 + 1e-12), y])
    assert select(nearly, y, METRICS["rmse"], 6).tolist() == [1, 0]


def test_weights_sum_to_one_and_prefer_the_good():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    good = np.clip(y + rng.normal(scale=0.6, size=400), 0.01, 0.99)
    bad = rng.uniform(size=400)
    predictions = [np.column_stack([1 - p, p]) for p in (bad, good)]
    weights = weigh(predictions, y, METRICS["log_loss"], 0, Deadline())
    assert weights.sum() == pytest.approx(1)
    assert weights[1] > 0.5


def test_a_passed_deadline_still_gives_weights():
    y, predictions = _case(1)
    weights = weigh(list(predictions), y, METRICS["rmse"], 0, Deadline.after(-1))
    assert weights.sum() == pytest.approx(1)


def test_where_the_time_is_over_no_half_of_the_members_decides(monkeypatch):
    y, predictions = _surenesses(30)
    late = weigh(predictions, y, METRICS["log_loss"], 0, Deadline.after(-1))
    monkeypatch.setattr(ensemble, "_DRAWN", 1.0)
    assert late.tolist() == weigh(predictions, y, METRICS["log_loss"], 0, Deadline.after(-1)).tolist()


def test_the_same_seed_gives_the_same_weights():
    y, predictions = _case(2)
    first, again = (weigh(list(predictions), y, METRICS["rmse"], 5, Deadline()) for _ in range(2))
    assert first.tolist() == again.tolist()


def _surenesses(members: int, rows: int = 60):
    rng = np.random.default_rng(6)
    sure = rng.uniform(0.5, 0.99, (members, rows))
    return np.zeros(rows, dtype=int), [np.column_stack([p, 1 - p]) for p in sure]


def _samples(monkeypatch, name: str, predictions, y):
    """What is selected from: the predictions of each sample."""
    seen = []

    def watched(some, *rest):
        seen.append(some)
        return select(some, *rest)

    monkeypatch.setattr(ensemble, "select", watched)
    weigh(list(predictions), y, METRICS[name], 0, Deadline())
    return seen


@pytest.mark.parametrize(("members", "each"), [(30, 15), (8, 5)])
def test_for_the_log_loss_samples_have_a_half_of_the_members_beside(members, each, monkeypatch):
    y, predictions = _surenesses(members)
    seen = _samples(monkeypatch, "log_loss", predictions, y)
    assert [len(some) for some in seen] == [members] * ensemble.BAGS + [each] * 2 * ensemble.BAGS
    assert all(len(np.unique(some, axis=0)) == len(some) for some in seen)  # none twice


@pytest.mark.parametrize("members", [2, 5])
def test_few_members_are_in_every_sample(members, monkeypatch):
    y, predictions = _surenesses(members)
    seen = _samples(monkeypatch, "log_loss", predictions, y)
    assert [len(some) for some in seen] == [members] * ensemble.BAGS


@pytest.mark.parametrize("weighted", [False, True])
def test_one_that_is_far_better_than_all_others_has_all_the_weight(weighted):
    y = np.random.default_rng(1).integers(0, 2, 300)
    good = np.column_stack([1 - y, y]) * 0.9 + 0.05
    predictions = [np.full_like(good, 0.5)] * 20 + [good]
    weight = np.linspace(1.0, 3.0, 300) if weighted else None
    assert weigh(predictions, y, METRICS["log_loss"], 0, Deadline(), weight).tolist() == [0.0] * 20 + [1.0]


def test_for_other_metrics_a_sample_has_all_members(monkeypatch):
    y, predictions = _case(3, members=30)
    seen = _samples(monkeypatch, "rmse", predictions, y)
    assert [len(some) for some in seen] == [30] * ensemble.BAGS


def test_who_is_lucky_on_a_hard_row_does_not_take_it_all(monkeypatch):
    """24 members are alike, and one is worse on all rows but ten, which the others have wrong."""
    rng = np.random.default_rng(0)
    truth = np.zeros(200, dtype=int)
    sure = rng.uniform(0.97, 0.99, (24, 200))
    sure[:, :10] = 0.02
    predictions = [np.column_stack([p, 1 - p]) for p in [*sure, np.full(200, 0.9)]]
    lucky = weigh(predictions, truth, METRICS["log_loss"], 0, Deadline())[-1]
    monkeypatch.setattr(ensemble, "_DRAWN", 1.0)
    assert lucky < 0.8 * weigh(predictions, truth, METRICS["log_loss"], 0, Deadline())[-1]
