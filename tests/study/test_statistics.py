"""What early stopping is for: the same value for a fraction of the resource, on planted learning curves."""

import math

import numpy as np
import pytest
from scipy import stats

import rung
from rung.executors.simulated import SimulatedExecutor

SPACE = {f"x{i}": rung.Float(0.0, 1.0) for i in range(3)}
R = 81
TOTAL = 60 * R  # what random search spends
SEEDS = range(40)


def curve(config, trial, epoch):
    """A bowl at the end; before, it is blurred by what fades: learning speeds that differ, and a jitter."""
    bowl = sum((config[f"x{i}"] - 0.3 - 0.2 * i) ** 2 for i in range(3))
    jitter = 0.2 * math.sin(1e4 * config["x1"])
    return {"loss": bowl + (1.0 + jitter) / epoch ** (0.8 + 0.2 * config["x0"]) - 1.0 / R}


def length(config, first, last, trial):
    return float(last - first)


def found(scheduler, seed, total):
    """The loss that a search over nine workers ends with, at the largest resource."""
    executor = SimulatedExecutor(9, curve, length, stragglers=0.3, seed=seed, reports="saves")
    methods = {"sampler": "random", "scheduler": scheduler, "seed": seed}
    study = rung.Study(SPACE, resource=("epoch", 1, R), total_resource=total, **methods)
    best = study.run(lambda config, epoch: None, executor=executor).best
    assert total - R < study.history.spent <= total
    assert best.resource == R
    return best.value


@pytest.fixture(scope="module")
def random_search():
    return [found("plain", seed, TOTAL) for seed in SEEDS]


def test_early_losses_say_something_about_late_ones_but_not_all():
    rng = np.random.default_rng(0)
    configs = [{name: rng.random() for name in SPACE} for _ in range(300)]
    late = [curve(config, 0, R)["loss"] for config in configs]
    for epoch in (1, 3, 9):
        early = [curve(config, 0, epoch)["loss"] for config in configs]
        assert 0.5 < stats.kendalltau(early, late).statistic < 0.97


@pytest.mark.parametrize("scheduler", ["asha", "sha", "hyperband"])
def test_it_reaches_what_random_search_ends_with_for_a_third(random_search, scheduler):
    """Seeds of its own, so that it doesn't see the very configurations that random search sees."""
    ours = [found(scheduler, 1000 + seed, TOTAL // 3) for seed in SEEDS]
    assert np.median(ours) <= np.median(random_search)
    assert np.mean(ours) <= np.mean(random_search)
    assert stats.mannwhitneyu(ours, random_search, alternative="less").pvalue < 0.01
