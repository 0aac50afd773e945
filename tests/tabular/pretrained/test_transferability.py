"""LogME against a direct maximisation of the evidence, LEEP against its formula by loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from rung.tabular.pretrained.transfer import FROZEN, Score, explained, leep, log_evidence, logme


def _direct(features: np.ndarray, y: np.ndarray) -> float:
    """The evidence is N(y; 0, I / beta + F F' / alpha): its largest value over both, per row."""
    n = len(y)
    product = features @ features.T

    def loss(logs: np.ndarray) -> float:
        cov = np.exp(-logs[1]) * np.eye(n) + np.exp(-logs[0]) * product
        return -float(multivariate_normal(np.zeros(n), cov, allow_singular=True).logpdf(y))

    starts = [(0.0, 0.0), (3.0, 1.0), (-2.0, 2.0)]
    found = min(minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8}).fun
                for start in starts)  # fmt: skip
    return -found / n


@pytest.mark.parametrize(("n", "d"), [(40, 5), (30, 60)])
def test_evidence_is_the_largest_there_is(n: int, d: int) -> None:
    rng = np.random.default_rng(n)
    features = rng.normal(size=(n, d))
    y = features[:, :3] @ [1.0, -2.0, 0.5] + rng.normal(size=n)
    assert log_evidence(features, y) == pytest.approx(_direct(features, y), abs=1e-4)


def test_logme_of_classes_is_the_mean_over_one_hot_columns() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 50)
    features = np.eye(3)[y] + rng.normal(size=(50, 3))
    direct = np.mean([_direct(features, np.eye(3)[y][:, k]) for k in range(3)])
    assert logme(features, y, 3) == pytest.approx(direct, abs=1e-4)


def test_logme_of_numbers_does_not_hang_on_their_unit() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(60, 4))
    y = features[:, 0] + rng.normal(size=60)
    assert logme(features, y, 0) == pytest.approx(logme(features, 1000 * y + 5, 0))


def test_leep_is_its_formula() -> None:
    rng = np.random.default_rng(3)
    source = rng.dirichlet([0.5] * 4, 30)
    y = rng.integers(0, 3, 30)
    total = 0.0
    for i in range(30):
        likelihood = 0.0
        for z in range(4):
            joint = sum(source[j, z] for j in range(30) if y[j] == y[i]) / 30
            marginal = sum(source[j, z] for j in range(30)) / 30
            likelihood += joint / marginal * source[i, z]
        total += np.log(likelihood)
    assert leep(source, y) == pytest.approx(total / 30)


def test_leep_of_a_source_that_knows_the_labels_is_zero() -> None:
    y = np.array([0, 1, 2, 1, 0])
    assert leep(np.eye(3)[y], y) == pytest.approx(0.0, abs=1e-12)


def test_what_is_explained_is_near_r_squared() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(2000, 3))
    y = features @ [1.0, 1.0, 1.0] + rng.normal(scale=np.sqrt(3), size=2000)  # one half
    assert explained(features + 7, y, 0) == pytest.approx(0.5, abs=0.05)
    assert explained(rng.normal(size=(2000, 3)), y, 0) < 0.02


def test_what_is_constant_is_explained_by_nothing() -> None:
    assert explained(np.random.default_rng(5).normal(size=(20, 2)), np.ones(20), 0) == 0.0


def test_the_decision() -> None:
    assert Score(0.1, None, FROZEN).frozen
    assert not Score(0.1, -0.3, FROZEN - 0.01).frozen
    assert Score(0.1234, -0.3, 0.5).said() == "LogME 0.123, LEEP -0.300"
