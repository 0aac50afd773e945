"""A Gaussian process over numbers, categories and fidelities in NumPy: small matrices, little around them.

The model is that of `rung.models.botorch_gp`, and its priors are those: Matern 5/2 over the numbers, a
lengthscale each, times exp(-mean(differs / lengthscale)) over the categories, variance 1. For results of
several fidelities it is multiplied by exp(-|s - s'| / length), s the number of rungs below the fidelity that
is asked for; each fidelity has a mean of its own, and noise that grows by the same factor from rung to rung
downwards. So how well lower fidelities foretell the asked one is learnt: with a short `length` they say
nothing.

Means are the most probable ones given the rest, by generalised least squares; that compares fidelities by
the trials that they share, so that a fidelity that only good trials reach is not taken for a good one.
Gradients are exact. A matrix of 100 results takes half a millisecond, of 200 two.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dgesv, dpotrf, dtrtri

from rung.models.ascent import descend
from rung.models.botorch_gp import LEAST_NOISE, LEAST_SCALE, MOST, Kernel, priors

Floats = NDArray[np.float64]

_ROOT5: Final = math.sqrt(5.0)
_JITTERS: Final = (0.0, 1e-9, 1e-7, 1e-5, 1e-3)
_BLOCK: Final = 64  # rows of a triangular matrix, up to which LAPACK inverts it
_LENGTH: Final = (math.log(8.0), 1.0)  # of the logarithm of `length`: mean and standard deviation
_GROWTH: Final = (0.5, 0.7)  # of the logarithm of the factor of the noise from one rung to the lower one


class Data(NamedTuple):
    """Results.

    Attributes:
        x: (n, k) numbers in [0, 1], then categories' codes.
        numbers: how many columns are numbers.
        rungs: (n,) how many rungs each is below the fidelity that is asked for.
        y: (n,) about standardised.
    """

    x: Floats
    numbers: int
    rungs: Floats
    y: Floats

    @property
    def shared(self) -> bool:
        """Whether there are several fidelities."""
        return bool(len(self.rungs)) and bool((self.rungs != self.rungs[0]).any())


class Columns:
    """Categories as indicators of their values, so that a kernel of them is a product of matrices.

    Attributes:
        owner: (l,) which category each indicator is of.
    """

    def __init__(self, x: Floats, numbers: int) -> None:
        codes = np.sort(x[:, numbers:].T, axis=1)
        first = np.ones(codes.shape, dtype=np.bool_)  # of equal ones
        np.not_equal(codes[:, 1:], codes[:, :-1], out=first[:, 1:])
        self.owner = np.nonzero(first)[0]
        self._values = codes[first]
        self._places = numbers + self.owner

    def indicators(self, x: Floats) -> Floats:
        """(n, l) of rows of columns (n, k): 0 or 1."""
        same: Floats = (x[:, self._places] == self._values).astype(np.float64)
        return same


class Rows:
    """Rows (m, c) to which distances are asked for again and again."""

    def __init__(self, rows: Floats) -> None:
        self.rows = rows
        self._doubled = -2.0 * rows.T
        self._norms = np.einsum("ij,ij->i", rows, rows)

    def squared(self, a: Floats) -> Floats:
        """(n, m) squared distances of rows of `a` (n, c) from these."""
        total: Floats = a @ self._doubled
        total += np.einsum("ij,ij->i", a, a)[:, None]
        total += self._norms
        return np.maximum(total, 0.0, out=total)


def matern(distance: Floats, rest: Floats | None = None) -> tuple[Floats, Floats]:
    """Matern 5/2 of squared distances times 5, and -6 times its derivative by them.

    Args:
        distance: is used up.
        rest: logarithms of what both are multiplied by; is used up.
    """
    r = np.sqrt(distance)
    decay = np.negative(r) if rest is None else np.subtract(rest, r, out=rest)
    np.exp(decay, out=decay)
    r += 1.0
    distance /= 3.0
    distance += r
    distance *= decay
    r *= decay
    return distance, r


def factorised(covariance: Floats) -> Floats:
    """The lower Cholesky factor of (n, n), with as little on its diagonal as it needs."""
    for jitter in _JITTERS:
        tried = covariance if jitter == 0.0 else covariance + jitter * np.eye(len(covariance))
        factor, failed = dpotrf(tried, lower=1, clean=1)
        if not failed:
            return np.asarray(factor, dtype=np.float64)
    raise ArithmeticError("a covariance matrix has negative eigenvalues beyond rounding")


def inverted(factor: Floats) -> Floats:
    """The inverse of a lower triangular matrix; by blocks, as products of matrices are faster."""
    n = len(factor)
    if n <= _BLOCK:
        inverse: Floats = dtrtri(factor, lower=1)[0]
        return inverse
    half = n // 2
    first, last = inverted(factor[:half, :half]), inverted(factor[half:, half:])
    inverse = np.zeros((n, n))
    inverse[:half, :half] = first
    inverse[half:, half:] = last
    np.matmul(last @ factor[half:, :half], -first, out=inverse[half:, :half])
    return inverse


def fidelities_of(rungs: Floats) -> Floats:
    """(n, s) which of the s fidelities each result is of, 0 or 1."""
    found: Floats = (rungs[:, None] == np.array(sorted(set(rungs.tolist())))).astype(np.float64)
    return found


def means_of(root: Floats, design: Floats, y: Floats) -> Floats:
    """(n,) the mean at each result's fidelity, by generalised least squares.

    Args:
        root: (n, n) of the precision: root.T @ root.
        design: (n, s) see `fidelities_of`.
    """
    left, right = root @ design, root @ y
    if left.shape[1] == 1:
        return np.full(len(y), left[:, 0] @ right / (left[:, 0] @ left[:, 0]))
    normal = left.T @ left
    normal.flat[:: len(normal) + 1] += 1e-12 * normal.trace()
    _, _, levels, failed = dgesv(normal, left.T @ right, overwrite_a=1)  # NumPy's takes longer to ask for it
    if failed:
        raise ArithmeticError("the means of the fidelities cannot be told apart")
    means: Floats = design @ levels
    return means


class Misfit:
    """Minus the logarithm of the posterior density of hyperparameters, over n; up to a constant.

    Hyperparameters are logarithms of the lengthscales and of the noise, (k + 1,); with several fidelities
    then of `length` and of the noise's growth, (k + 3,).
    """

    def __init__(self, data: Data) -> None:
        self._data = data
        self._columns = Columns(data.x, data.numbers)
        self._indicators = self._columns.indicators(data.x)
        self._design = fidelities_of(data.rungs)
        self._apart = np.abs(data.rungs[:, None] - data.rungs) if data.shared else None
        beliefs = priors(data.x.shape[1], data.numbers)
        means, deviations = beliefs.means, beliefs.deviations
        self.begin = beliefs.begin
        if data.shared:
            means = np.append(means, [_LENGTH[0], _GROWTH[0]])
            deviations = np.append(deviations, [_LENGTH[1], _GROWTH[1]])
            self.begin = np.append(self.begin, [_LENGTH[0], _GROWTH[0]])
        self._means, self._deviations = means, deviations
        self._last: tuple[Floats, Floats] | None = None

    @property
    def bounds(self) -> Floats:
        """(v, 2) of the hyperparameters."""
        k = self._data.x.shape[1]
        least = [math.log(LEAST_SCALE)] * k + [math.log(LEAST_NOISE)]
        most = [math.log(MOST)] * (k + 1)
        if self._data.shared:
            least, most = [*least, math.log(0.05), -1.0], [*most, math.log(1e3), 3.0]
        return np.stack([least, most], axis=1)

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        """It, and its gradient (v,)."""
        value, gradient, means = self.explained(logs)
        self._last = logs.copy(), means
        return value, gradient

    def means(self, logs: Floats) -> Floats:
        """The means (n,); most often those of the last call, as a search ends where it looked last."""
        if self._last is not None and np.array_equal(self._last[0], logs):
            return self._last[1]
        return self.explained(logs)[2]

    def explained(self, logs: Floats) -> tuple[float, Floats, Floats]:
        """It, its gradient (v,), and the means (n,)."""
        data, columns = self._data, self._columns
        n, k, c = len(data.y), data.x.shape[1], data.numbers
        scales = np.exp(logs[:k])
        scaled = data.x[:, :c] * (_ROOT5 / scales[:c])
        covariance, near = matern(Rows(scaled).squared(scaled), self._rest(scales, logs))
        covariance.ravel()[:: n + 1] = 1.0
        noise = np.full(n, math.exp(logs[k]))
        if data.shared:
            noise *= np.exp(logs[k + 2] * data.rungs)
        noisy = covariance.copy()
        noisy.ravel()[:: n + 1] += noise
        factor = factorised(noisy)
        root = inverted(factor)
        means = means_of(root, self._design, data.y)
        inverse = root.T @ root
        residual = data.y - means
        weights = inverse @ residual
        value = 0.5 * residual @ weights + np.log(factor.diagonal()).sum() + 0.5 * n * math.log(2 * math.pi)
        inverse -= weights[:, None] * weights  # now twice the value's derivative by the covariance
        gradient = np.empty(len(logs))
        near *= inverse
        moments = (scaled * scaled).T @ near.sum(axis=1) - np.einsum("ij,ij->j", scaled, near @ scaled)
        gradient[:c] = moments * (2.0 / 3.0)
        by_noise = inverse.diagonal() * noise
        gradient[k] = by_noise.sum()
        if k > c or data.shared:
            covariance *= inverse
            same = np.einsum("ij,ij->j", self._indicators, covariance @ self._indicators)
            same = np.bincount(columns.owner, same, minlength=k - c)
            gradient[c:k] = (covariance.sum() - same) / (scales[c:] * (k - c))
            if self._apart is not None:
                gradient[k + 1] = np.vdot(covariance, self._apart) * math.exp(-logs[k + 1])
                gradient[k + 2] = by_noise @ data.rungs
        gradient *= 0.5
        return (*self._with_priors(float(value), gradient, logs), means)

    def _rest(self, scales: Floats, logs: Floats) -> Floats | None:
        """(n, n) the logarithm of the kernel's part for categories and fidelities; None if it is one."""
        k, c = self._data.x.shape[1], self._data.numbers
        if k == c:
            return None if self._apart is None else self._apart * -math.exp(-logs[k + 1])
        shares = 1.0 / (scales[c:] * (k - c))
        exponent: Floats = (self._indicators * shares[self._columns.owner]) @ self._indicators.T
        exponent -= shares.sum()
        if self._apart is not None:
            exponent -= self._apart * math.exp(-logs[k + 1])
        return exponent

    def _with_priors(self, value: float, gradient: Floats, logs: Floats) -> tuple[float, Floats]:
        """Over n; priors are normal in the logarithms, log-normal of lengthscales and noise as densities."""
        n, k = len(self._data.y), self._data.x.shape[1]
        z = (logs - self._means) / self._deviations
        value += float((0.5 * z**2).sum() + logs[: k + 1].sum())
        gradient += z / self._deviations
        gradient[: k + 1] += 1.0
        return value / n, gradient / n


def fit(data: Data, start: Kernel | None, iterations: int) -> Kernel:
    """The most probable hyperparameters; equal arguments are fitted once.

    Args:
        start: where to begin.
        iterations: of L-BFGS, at most.
    """
    x = np.ascontiguousarray(data.x)
    return _fit(x.shape, x.tobytes(), data.numbers, data.rungs.tobytes(), data.y.tobytes(), start, iterations)


@lru_cache(maxsize=128)
def _fit(
    shape: tuple[int, int],
    x: bytes,
    numbers: int,
    rungs: bytes,
    y: bytes,
    start: Kernel | None,
    iterations: int,
) -> Kernel:
    data = Data(np.frombuffer(x).reshape(shape), numbers, np.frombuffer(rungs), np.frombuffer(y))
    misfit = Misfit(data)
    begin, bounds, k = misfit.begin, misfit.bounds, shape[1]
    if start is not None:
        begin[: k + 1] = np.append(np.log(start.scales), max(begin[k], math.log(start.noise)))
        begin[k + 1 :] = [math.log(start.length), start.growth][: len(begin) - k - 1]
    begin = np.clip(begin, bounds[:, 0], bounds[:, 1])
    found = descend(misfit, begin, bounds, iterations)
    means = misfit.means(found)
    *scales, noise = np.exp(found[: k + 1]).tolist()
    kernel = Kernel(tuple(scales), numbers, noise, float(means[data.rungs.argmin()]))
    if data.shared:
        kernel = kernel._replace(length=math.exp(found[k + 1]), growth=float(found[k + 2]))
    return kernel


class Posterior:
    """A Gaussian process given its data, asked at the fidelity of `rungs` 0, without noise.

    Attributes:
        x: (N, k) where there are data, then where there are fantasies.
        best: (F,) by fantasy the least posterior mean where there are results of that fidelity.
    """

    def __init__(self, kernel: Kernel, data: Data, pending: Floats, normals: Floats) -> None:
        """Condition on data, and on fantasies at `pending` (p, k) made from standard normals (p, F)."""
        self.kernel = kernel
        self.x = np.concatenate([data.x, pending])
        self._columns = Columns(self.x, data.numbers)
        self._rungs = np.concatenate([data.rungs, np.zeros(len(pending))])
        self._scales = np.array(kernel.scales)
        self._c = data.numbers
        self._steps = _ROOT5 / self._scales[: self._c]  # a number times it is what `matern` knows
        self._scaled = Rows(self.x[:, : self._c] * self._steps)
        k = len(self._scales)
        self._shares = 1.0 / (self._scales[self._c :] * max(k - self._c, 1))
        self._total = self._shares.sum()
        self._indicators = self._columns.indicators(self.x)
        self._weighted = (self._indicators * self._shares[self._columns.owner]).T
        self._below = np.exp(-self._rungs / kernel.length)
        n = len(data.y)
        covariance = self._all()
        factor = factorised(covariance)  # where there are data its block is that of them alone
        root = inverted(factor)  # of the inverse: root.T @ root
        known = root[:n, :n]
        means = means_of(known, fidelities_of(data.rungs), data.y)
        residual = data.y - means
        at = int(data.rungs.argmin())
        self.mean = float(means[at])
        values = np.repeat(residual[:, None], normals.shape[1], axis=1)
        if len(pending):
            drawn = (factor[n:, :n] @ (known @ residual))[:, None] + factor[n:, n:] @ normals
            values = np.concatenate([values, drawn])
        self.root = root
        self.weights = root.T @ (root @ values)  # (N, F)
        asked = np.flatnonzero(self._rungs == self._rungs[at])
        noise = kernel.noise
        self.best = self.mean + (values[asked] - noise * self.weights[asked]).min(axis=0)

    def _all(self) -> Floats:
        """(N, N) the covariance of all that is known, with its noise."""
        rest = np.abs(self._rungs[:, None] - self._rungs)
        rest *= -1.0 / self.kernel.length
        if len(self._shares):
            rest += self._indicators @ self._weighted
            rest -= self._total
        covariance, _ = matern(self._scaled.squared(self._scaled.rows), rest)
        noise = self.kernel.noise * np.exp(self.kernel.growth * self._rungs)
        covariance.ravel()[:: len(rest) + 1] = 1.0 + noise
        return covariance

    def rest(self, x: Floats) -> Floats:
        """(b, N), or (N,), the part of the kernel that is the same wherever the numbers of `x` (b, k) are."""
        if not len(self._shares):
            return self._below
        exponent = self._columns.indicators(x) @ self._weighted
        exponent -= self._total
        np.exp(exponent, out=exponent)
        exponent *= self._below
        return exponent

    def cross(self, x: Floats, rest: Floats | None = None) -> tuple[Floats, Floats]:
        """(b, N) the kernel between rows of `x` (b, k), and what its slope along numbers is made from.

        Args:
            rest: `self.rest(x)`, where it is known.
        """
        rest = self.rest(x) if rest is None else rest
        value, near = matern(self._scaled.squared(x[:, : self._c] * self._steps))
        value *= rest
        near *= rest
        return value, near

    def along(self, x: Floats, near: Floats, weights: Floats) -> Floats:
        """(b, k) minus the slope of the sums of the kernel's rows times `weights` (b, N); 0 along codes."""
        found = np.zeros_like(x)
        both = near * weights
        slopes = (x[:, : self._c] * self._steps) * both.sum(axis=1)[:, None]
        slopes -= both @ self._scaled.rows
        np.multiply(slopes, self._steps / 3.0, out=found[:, : self._c])
        return found
