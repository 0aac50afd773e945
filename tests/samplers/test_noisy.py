"""On a noisy problem a configuration may come again: in a small space a model goes on choosing among all."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import rung

SPACE = {"a": rung.Categorical([0, 1]), "b": rung.Categorical([0, 1]), "n": rung.Integer(1, 2)}
FIRST = 20  # of 40 trials: more than any initial design


def loss(config, seed):
    """The best of eight configurations, by one unit; the noise is half as large."""
    return config["a"] + config["b"] + config["n"] + 0.5 * np.random.default_rng(seed).normal()


@pytest.mark.parametrize("sampler", ["forest", "cqr", "mfes", "gp", "turbo", "kde", "tpe"])
def test_most_suggestions_are_the_models_when_all_configurations_were_tried(sampler):
    calls = iter(range(100))
    result = rung.tune(
        lambda config: loss(config, next(calls)), SPACE, sampler=sampler, trials=40, noisy=True
    )
    history = result.history
    assert len(history) == 40
    origins = history.origins[FIRST:]
    assert sum(origin.model for origin in origins) > len(origins) / 2
    assert {origin.sampler for origin in origins} == {sampler}
    later = Counter(history.values[FIRST:])
    assert later[0, 0, 1] > 2 * len(origins) / 8  # the best comes more often than at random


def test_without_noise_nothing_comes_again():
    result = rung.tune(lambda config: loss(config, 0), SPACE, sampler="forest", trials=40)
    assert len(result.history) == len(set(result.history.values)) == 8
