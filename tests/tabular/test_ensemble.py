"""Greedy selection against brute force and against its own definition."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest

from rung.tabular import ensemble
from rung.tabular.deadline import Deadline
from rung.tabular.ensemble import OF_BOTH, OF_ROWS, Bags, mix, select, weigh
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


def test_the_same_seed_gives_the_same_weights():
    y, predictions = _case(2)
    first, again = (weigh(list(predictions), y, METRICS["rmse"], 5, Deadline()) for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize(("bags", "each"), [(OF_ROWS, 30), (OF_BOTH, 15), (Bags(3, 0.01), 5)])
def test_a_sample_has_as_many_members_as_it_says(bags, each, monkeypatch):
    y, predictions = _case(3, members=30)
    seen = []

    def watched(some, *rest):
        seen.append(some)
        return select(some, *rest)

    monkeypatch.setattr(ensemble, "select", watched)
    weigh(list(predictions), y, METRICS["rmse"], 0, Deadline(), bags=bags)
    assert len(seen) == bags.samples
    assert {len(some) for some in seen} == {each}
    assert all(len(np.unique(some, axis=0)) == each for some in seen)  # none twice


def test_few_members_are_in_every_sample():
    y, predictions = _case(4, members=5)
    one, other = (
        weigh(list(predictions), y, METRICS["rmse"], 0, Deadline(), bags=Bags(8, s)) for s in (0.1, 1)
    )
    assert one.tolist() == other.tolist()


def test_who_is_lucky_on_a_hard_row_does_not_take_it_all():
    """24 members are alike, and one is worse on all rows but ten, which the others have wrong."""
    rng = np.random.default_rng(0)
    truth = np.zeros(200, dtype=int)
    sure = rng.uniform(0.97, 0.99, (24, 200))
    sure[:, :10] = 0.02
    lucky = np.full(200, 0.9)
    predictions = [np.column_stack([p, 1 - p]) for p in [*sure, lucky]]
    metric = METRICS["log_loss"]
    of_rows, of_both = (
        weigh(predictions, truth, metric, 0, Deadline(), bags=b)[-1] for b in (OF_ROWS, OF_BOTH)
    )
    assert of_both < 0.8 * of_rows
