"""Improvement per second: what trials cost is learnt from the log, and cheap ones are preferred."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wilcoxon

import rung
from rung.executors.simulated import SimulatedExecutor

SPACE = {"x": rung.Float(0, 1), "y": rung.Float(0, 1), "size": rung.Integer(1, 100, log=True)}


def seconds(config, start, until, trial):
    """Large ones are a hundred times as dear."""
    return float(config["size"])


def curve(config, trial, resource):
    """`size` matters little, so that the dear half of the space is not worth its price."""
    return {"loss": (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2 + 0.01 / config["size"]}


def search(sampler, seed, budget=600):
    return rung.tune(
        lambda config: None,
        SPACE,
        sampler=sampler,
        budget=budget,
        executor=SimulatedExecutor(1, curve, seconds),
        seed=seed,
    )


@pytest.mark.long
def test_cheap_configurations_are_preferred():
    """Median size of what the model proposes, over seeds (Wilcoxon, one-sided)."""
    aware, blind = (
        [
            np.median(
                [t.config["size"] for t in search(f"forest(per_second={on})", seed).trials if t.origin.model]
            )
            for seed in range(8)
        ]
        for on in (True, False)
    )
    assert wilcoxon(aware, blind, alternative="less").pvalue < 0.01


@pytest.mark.long
def test_the_same_wall_time_finds_a_better_one():
    aware, blind = (
        [search(f"forest(per_second={on})", seed).best.value for seed in range(8)] for on in (True, False)
    )
    assert np.median(aware) < np.median(blind)


def test_one_search_prefers_cheap_configurations():
    """The quick form of the test above."""
    sizes = [
        np.median([t.config["size"] for t in search(f"forest(per_second={on})", 0, 250).trials[10:]])
        for on in (True, False)
    ]
    assert sizes[0] < sizes[1]


def test_without_known_costs_it_is_plain_improvement():
    """An executor whose jobs take no time."""

    def run(sampler):
        executor = SimulatedExecutor(1, curve, lambda *_: 0.0)
        return rung.tune(lambda c: None, SPACE, sampler=sampler, trials=25, executor=executor)

    found = [[t.config for t in run(f"forest(per_second={on})").trials] for on in (True, False)]
    assert found[0] == found[1]
