"""A small exact Gaussian process in NumPy, whose kernel is a product: Matern 5/2 times a linear one.

k((x, s), (x', s')) = m(x, x') * phi(s)' L L' phi(s'), with m the Matern 5/2 kernel of amplitude 1 and one
length scale for each parameter, and phi(s) given as the rows of `basis`: (1,) for a plain process, whose
amplitude is then L^2; (1, (1 - s)^2) and (1, s) for the two models of Fabolas (Klein et al. 2017, 4.1).

Its hyperparameters are at the mode of their posterior, found by L-BFGS with the exact gradient: a normal
prior on the logarithm of each length scale, whose centre grows with the square root of the number of
parameters (Hvarfner et al. 2024), so that 200 parameters do not overfit; standard normal ones on L (the
logarithm of its diagonal) and a wide one on the noise.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPREAD: Final = 1.0  # standard deviation of the prior on the logarithm of a length scale
NOISE: Final = (math.log(1e-3), 2.0)  # centre and standard deviation on the logarithm of the noise's variance
LEAST_NOISE: Final = math.log(1e-6)
ROUNDS: Final = 25  # of L-BFGS, at most
_ROOT5: Final = math.sqrt(5.0)


class Points(NamedTuple):
    """Inputs: `x` (n, f) the configurations' columns, `basis` (n, p) what depends on the fidelity."""

    x: Floats
    basis: Floats


class Hyper(NamedTuple):
    """Hyperparameters: `scales` (g,), the lower triangle `factor` (p, p), the noise's variance."""

    scales: Floats
    factor: Floats
    noise: float


def plain(x: Floats) -> Points:
    """The inputs (n, f) of a process without a fidelity."""
    return Points(x, np.ones((len(x), 1)))


def squared_distances(a: Floats, b: Floats) -> Floats:
    """(n, m) squared distances between the rows of `a` (n, f) and `b` (m, f)."""
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * a @ b.T
    distances: Floats = np.maximum(squares, 0.0)
    return distances


def kernel(a: Points, b: Points, hyper: Hyper, groups: Ints) -> Floats:
    """(n, m) prior covariances, without noise."""
    widths = hyper.scales[groups]
    r = _ROOT5 * np.sqrt(squared_distances(a.x / widths, b.x / widths))
    matern = (1.0 + r + r * r / 3.0) * np.exp(-r)
    product: Floats = matern * ((a.basis @ hyper.factor) @ (b.basis @ hyper.factor).T)
    return product


def kernel_diagonal(a: Points, hyper: Hyper) -> Floats:
    """(n,) prior variances, without noise."""
    diagonal: Floats = ((a.basis @ hyper.factor) ** 2).sum(axis=1)
    return diagonal


class Gaussian:
    """The posterior given targets of mean 0.

    Args:
        points: n inputs.
        targets: (n,) values, `noise` is added to what `hyper` says of theirs.
        hyper: the kernel's hyperparameters.
        groups: (f,) by column of `points.x`, the number of its length scale.
        noise: (n,) further variances of the targets' noise, or one for all.
    """

    def __init__(
        self, points: Points, targets: Floats, hyper: Hyper, groups: Ints, noise: Floats | float = 0.0
    ) -> None:
        self.points, self.hyper, self.groups = points, hyper, groups
        covariance = kernel(points, points, hyper, groups)
        covariance[np.diag_indices_from(covariance)] += hyper.noise + noise
        self._root = cholesky(covariance)
        self._weights = cho_solve((self._root, True), targets)

    def mean(self, points: Points) -> Floats:
        """(m,) posterior means."""
        means: Floats = kernel(points, self.points, self.hyper, self.groups) @ self._weights
        return means

    def predict(self, points: Points) -> tuple[Floats, Floats]:
        """(m,) posterior means and variances of the function, without noise."""
        cross = kernel(self.points, points, self.hyper, self.groups)  # (n, m)
        reduced = solve_triangular(self._root, cross, lower=True)
        variances = kernel_diagonal(points, self.hyper) - (reduced * reduced).sum(axis=0)
        return cross.T @ self._weights, np.maximum(variances, 1e-12)

    def covariance(self, a: Points, b: Points) -> Floats:
        """(k, m) posterior covariances of the function at `a` with it at `b`."""
        left = solve_triangular(self._root, kernel(self.points, a, self.hyper, self.groups), lower=True)
        right = solve_triangular(self._root, kernel(self.points, b, self.hyper, self.groups), lower=True)
        return kernel(a, b, self.hyper, self.groups) - left.T @ right


def cholesky(covariance: Floats) -> Floats:
    """The lower factor of a covariance, with as much added to its diagonal as numbers of 64 bits need."""
    scale = float(np.mean(np.diagonal(covariance))) or 1.0
    for jitter in (0.0, 1e-10, 1e-8, 1e-6, 1e-4):
        try:
            return np.asarray(
                np.linalg.cholesky(covariance + jitter * scale * np.eye(len(covariance))), np.float64
            )
        except np.linalg.LinAlgError:
            continue
    return np.diag(np.sqrt(np.maximum(np.diagonal(covariance), 1e-12)))


def fit_hyper(points: Points, targets: Floats, groups: Ints, noise: Floats | None = None) -> Hyper:
    """The mode of the hyperparameters' posterior given targets (n,) of mean 0 and standard deviation 1.

    Args:
        noise: (n,) variances of the targets' noise, where they are known; then none is estimated.
    """
    objective = _Posterior(points, targets, groups, noise)
    found = minimize(
        objective,
        objective.start(),
        jac=True,
        method="L-BFGS-B",
        bounds=objective.bounds(),
        options={"maxiter": ROUNDS},
    )
    return objective.read(found.x)


class _Posterior:
    """Minus the log posterior density of the hyperparameters, and its gradient.

    They lie in one vector: logarithms of length scales (g,), of L's diagonal (p,), L's entries below it, the
    logarithm of the noise's variance.
    """

    def __init__(self, points: Points, targets: Floats, groups: Ints, noise: Floats | None) -> None:
        self._points, self._targets, self._groups, self._noise = points, targets, groups, noise
        self._count = int(groups.max()) + 1 if len(groups) else 0
        self._size = points.basis.shape[1]
        self._below = np.tril_indices(self._size, -1)
        g, p = self._count, self._size
        self._centre = np.zeros(g + p + len(self._below[0]) + 1)
        self._centre[:g] = math.log(0.5 * math.sqrt(max(g, 1)))
        self._width = np.ones(len(self._centre))
        self._width[:g] = SPREAD
        self._centre[-1], self._width[-1] = NOISE

    def start(self) -> Floats:
        return self._centre.copy()

    def bounds(self) -> list[tuple[float, float]]:
        g, p = self._count, self._size
        below = [(-10.0, 10.0)] * len(self._below[0])
        return [(-7.0, 7.0)] * g + [(-7.0, 5.0)] * p + below + [(LEAST_NOISE, 2.0)]

    def read(self, vector: Floats) -> Hyper:
        g, p = self._count, self._size
        factor = np.diag(np.exp(vector[g : g + p]))
        factor[self._below] = vector[g + p : -1]
        noise = 1e-8 if self._noise is not None else float(np.exp(vector[-1]))
        return Hyper(np.exp(vector[:g]), factor, noise)

    def __call__(self, vector: Floats) -> tuple[float, Floats]:
        hyper, n = self.read(vector), len(self._targets)
        scaled = self._points.x / hyper.scales[self._groups]
        r = _ROOT5 * np.sqrt(squared_distances(scaled, scaled))
        decay = np.exp(-r)
        matern = (1.0 + r + r * r / 3.0) * decay
        linear = self._points.basis @ hyper.factor
        linear = linear @ linear.T
        covariance = matern * linear
        covariance[np.diag_indices(n)] += hyper.noise + (0.0 if self._noise is None else self._noise)
        root = cholesky(covariance)
        weights = cho_solve((root, True), self._targets)
        slope = 0.5 * (np.outer(weights, weights) - cho_solve((root, True), np.eye(n)))  # d evidence / d K
        evidence = -0.5 * self._targets @ weights - np.log(np.diagonal(root)).sum()
        gradient = np.empty_like(vector)
        near = slope * linear * (5.0 / 3.0) * (1.0 + r) * decay
        gradient[: self._count] = self._by_scale(near, scaled)
        self._by_factor(slope * matern, hyper.factor, gradient)
        gradient[-1] = 0.0 if self._noise is not None else np.trace(slope) * hyper.noise
        from_centre = (vector - self._centre) / self._width
        value = evidence - 0.5 * from_centre @ from_centre
        return -float(value), -(gradient - from_centre / self._width)

    def _by_scale(self, near: Floats, scaled: Floats) -> Floats:
        """(g,) sums of near_ij (x_i - x_j)^2 over the columns of each parameter."""
        columns = 2.0 * ((scaled * scaled).T @ near.sum(axis=1) - (scaled * (near @ scaled)).sum(axis=0))
        sums: Floats = np.bincount(self._groups, columns, minlength=self._count).astype(np.float64)
        return sums

    def _by_factor(self, weighted: Floats, factor: Floats, gradient: Floats) -> None:
        g, p = self._count, self._size
        basis = self._points.basis
        slopes = 2.0 * (basis.T @ weighted @ basis) @ factor  # (p, p)
        gradient[g : g + p] = np.diagonal(slopes) * np.diagonal(factor)
        gradient[g + p : -1] = slopes[self._below]
