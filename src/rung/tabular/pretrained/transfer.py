"""How well an embedding suits a target, before anything is trained on it.

LogME: You, Liu, Wang and Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning"
(ICML 2021), equations 2 to 4 and algorithm 1: the largest evidence of a linear model with Gaussian prior and
noise, per row. LEEP: Nguyen, Hassner, Seeger and Archambeau, "LEEP: A New Measure to Evaluate Transferability
of Learned Representations" (ICML 2020), equations 1 and 2.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FROZEN: Final = 0.25
"""Share of the target's variance that the evidence must account for, for an embedding to be good as it is."""
_ROUNDS: Final = 200
_MOST_ROWS: Final = 4000  # that are looked at: a singular value decomposition of more takes seconds
_LARGE: Final = 1e12


class Score(NamedTuple):
    """What was found for one embedding.

    Attributes:
        logme: nats a row; comparable between embeddings of the same target only.
        leep: mean log likelihood of the labels, at most 0; None without a classifier's head.
        explained: see `explained`.
    """

    logme: float
    leep: float | None
    explained: float

    @property
    def frozen(self) -> bool:
        """Whether the embedding is good enough as it is: else fine-tuning would pay."""
        return self.explained >= FROZEN

    def said(self) -> str:
        """The score in words."""
        leep = "" if self.leep is None else f", LEEP {self.leep:.3f}"
        return f"LogME {self.logme:.3f}{leep}"


def log_evidence(features: Floats, y: Floats) -> float:
    """The largest log evidence, per row, of y = F w + noise over the precisions of w and of the noise.

    Args:
        features: (n, d).
        y: (n,).
    """
    return _evidence(_decomposed(features), y)


class _Basis(NamedTuple):
    """A decomposition of the features: left vectors (n, r), squared singular values (r,), and d."""

    u: Floats
    s2: Floats
    d: int


def _decomposed(features: Floats) -> _Basis:
    u, s, _ = np.linalg.svd(features, full_matrices=False)
    return _Basis(u, s**2, features.shape[1])


def _evidence(basis: _Basis, y: Floats) -> float:
    """Algorithm 1: alternate the weights' posterior and the two precisions until these stay."""
    u, s2, d = basis
    n, z = len(y), u.T @ y
    outside = max(float(y @ y - z @ z), 0.0)  # of y, what no feature reaches
    alpha = beta = 1.0
    for _ in range(_ROUNDS):
        gamma = float((beta * s2 / (alpha + beta * s2)).sum())
        weight, rest = _fitted(alpha, beta, s2, z, outside)
        before = alpha, beta
        alpha = float(np.clip(gamma / max(weight, 1e-300), 1 / _LARGE, _LARGE))
        beta = float(np.clip((n - gamma) / max(rest, 1e-300), 1 / _LARGE, _LARGE))
        if abs(np.log(alpha / before[0])) + abs(np.log(beta / before[1])) < 1e-6:
            break
    weight, rest = _fitted(alpha, beta, s2, z, outside)
    logdet = float(np.log(alpha + beta * s2).sum()) + (d - len(s2)) * np.log(alpha)
    twice = n * np.log(beta / (2 * np.pi)) + d * np.log(alpha) - beta * rest - alpha * weight - logdet
    return float(twice / (2 * n))


def _fitted(alpha: float, beta: float, s2: Floats, z: Floats, outside: float) -> tuple[float, float]:
    """The squared length of the best weights, and of what they leave of y."""
    shrunk = alpha + beta * s2
    weight = float((beta**2 * s2 * z**2 / shrunk**2).sum())
    return weight, float(((alpha * z / shrunk) ** 2).sum()) + outside


def logme(features: Floats, y: NDArray[Any], classes: int) -> float:
    """LogME of an embedding: for classes the mean over the one-hot columns; numbers are standardised.

    Args:
        features: (n, d).
        y: (n,) codes from 0, or values.
        classes: 0 for values.
    """
    basis = _decomposed(features)
    return float(np.mean([_evidence(basis, column) for column in _columns(y, classes).T]))


def explained(features: Floats, y: NDArray[Any], classes: int) -> float:
    """The share of the target's variance that the evidence accounts for, 0 to 1; our own scale of LogME.

    The evidence of the centred target and features is compared with that of a constant, which is the
    Gaussian likelihood at the target's own variance v: L0 = -(log(2 pi v) + 1) / 2 per row; the share is
    1 - exp(-2 (L - L0)), for a linear Gaussian model without a prior the R-squared. Averaged over classes,
    each by its variance.
    """
    basis = _decomposed(features - features.mean(axis=0))
    shares, weights = [], []
    for column in _columns(y, classes).T:
        variance = float(column.var())
        if variance <= 0:
            continue
        constant = -0.5 * (np.log(2 * np.pi * variance) + 1)
        gain = _evidence(basis, column - column.mean()) - constant
        shares.append(max(0.0, 1 - float(np.exp(-2 * gain))))
        weights.append(variance)
    return float(np.average(shares, weights=weights)) if shares else 0.0


def _columns(y: NDArray[Any], classes: int) -> Floats:
    """The target as columns: one-hot (n, k), or standardised (n, 1)."""
    if classes:
        return np.eye(classes)[np.asarray(y, dtype=np.intp)][:, np.unique(np.asarray(y, dtype=np.intp))]
    values = np.asarray(y, dtype=np.float64)
    return np.asarray((values - values.mean()) / (values.std() or 1.0))[:, None]


def leep(source: Floats, y: NDArray[Any]) -> float:
    """LEEP of a source model's class probabilities (n, z) for the labels y (n,), codes from 0."""
    codes = np.unique(np.asarray(y), return_inverse=True)[1]
    joint = np.zeros((codes.max() + 1, source.shape[1]))
    np.add.at(joint, codes, source / len(codes))  # equation 1
    given = joint / np.maximum(joint.sum(axis=0), 1e-300)
    likelihood = (given[codes] * source).sum(axis=1)
    return float(np.log(np.maximum(likelihood, 1e-300)).mean())


def some_rows(n: int, seed: int, most: int = _MOST_ROWS) -> NDArray[np.intp]:
    """Which of n rows are looked at, ascending."""
    return np.sort(np.random.default_rng([seed, 83]).permutation(n)[:most])
