"""Random numbers are a function of seed, stream, trial and dimension, the same for ever."""

from __future__ import annotations

import numpy as np
from scipy import stats

from rung.space import compile_space
from rung.space.domains import Categorical, Float, Integer
from rung.space.draws import Rng, key, trial_seed, uniforms, uniforms_of

MASK, GOLDEN = (1 << 64) - 1, 0x9E3779B97F4A7C15

GOLDEN_SAMPLES = [
    (0.1296456182997474, 50, "z"),
    (0.591449498199162, 293, "z"),
    (0.7441971116751509, 175, "x"),
]
GOLDEN_SEEDS = [1595828525, 454501889]
GOLDEN_GENERATOR = [0.8535001692919197, 0.6193152283162884]


def mix(z: int) -> int:
    """SplitMix64's finaliser, with Python's whole numbers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def by_hand(seed: int, stream: int, number: int, dim: int) -> float:
    row = mix((key(seed, stream) + (number + 1) * GOLDEN) & MASK)
    return (mix((row + (dim + 1) * GOLDEN) & MASK) >> 11) * 2.0**-53


def test_against_plain_integers() -> None:
    found = uniforms(12, 250, 10, 4, stream=3)
    assert found.tolist() == [[by_hand(12, 3, 250 + i, j) for j in range(4)] for i in range(10)]
    assert (uniforms_of(12, np.array([259, 250]), 4, 3) == found[[9, 0]]).all()


def test_uniform_and_independent() -> None:
    x = uniforms(0, 0, 20_000, 3)
    assert stats.kstest(x.ravel(), "uniform").pvalue > 1e-4
    assert np.abs(np.corrcoef(x.T) - np.eye(3)).max() < 0.03
    assert abs(np.corrcoef(x[:-1, 0], x[1:, 0])[0, 1]) < 0.03
    assert abs(np.corrcoef(x[:, 0], uniforms(0, 0, 20_000, 3, stream=1)[:, 0])[0, 1]) < 0.03
    assert abs(np.corrcoef(x[:, 0], uniforms(1, 0, 20_000, 3)[:, 0])[0, 1]) < 0.03


def test_what_a_log_was_made_from_stays() -> None:
    """Golden values: old studies re-derive their configurations from these."""
    space = compile_space({"a": Float(0, 1), "b": Integer(1, 1000), "c": Categorical(["x", "y", "z"])})
    assert [space.sample(0, i) for i in (0, 1, 300)] == GOLDEN_SAMPLES
    assert [trial_seed(0, 0), trial_seed(7, 123)] == GOLDEN_SEEDS
    assert Rng(0, 0).generator().random(2).tolist() == GOLDEN_GENERATOR
