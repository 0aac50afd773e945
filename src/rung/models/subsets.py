"""The two models of Fabolas (Klein et al. 2017, section 4): loss and cost over configuration and subset size.

A size is given as s in [0, 1], 1 for all data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.models.entropy import information_gain
from rung.models.gaussian import Gaussian, Hyper, Points, fit_hyper

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Results(NamedTuple):
    """n results.

    Attributes:
        x: (n, f) the configurations' columns.
        s: (n,) the sizes.
        losses: (n,) of mean 0 and standard deviation 1.
        logs: (n,) logarithms of the costs; NaN for failed trials.
    """

    x: Floats
    s: Floats
    losses: Floats
    logs: Floats


class Hypers(NamedTuple):
    """The hyperparameters of both models."""

    loss: Hyper
    cost: Hyper


def loss_points(x: Floats, s: Floats) -> Points:
    """Inputs of the model of losses: the basis (1, (1 - s)^2), of which nothing is left at s = 1."""
    return Points(x, np.column_stack([np.ones(len(s)), (1.0 - s) ** 2]))


def cost_points(x: Floats, s: Floats) -> Points:
    """Inputs of the model of the logarithm of the cost: the basis (1, s)."""
    return Points(x, np.column_stack([np.ones(len(s)), s]))


def fit(results: Results, groups: Ints) -> Hypers:
    """The hyperparameters that suit the results."""
    known = np.isfinite(results.logs)
    logs = results.logs[known] - results.logs[known].mean()
    return Hypers(
        fit_hyper(loss_points(results.x, results.s), results.losses, groups),
        fit_hyper(cost_points(results.x[known], results.s[known]), logs, groups),
    )


class SubsetModels:
    """Both models given results.

    Args:
        pending: (x, s) of what runs: the loss there is taken to be the one predicted.
    """

    def __init__(
        self, results: Results, hypers: Hypers, groups: Ints, pending: tuple[Floats, Floats] | None = None
    ) -> None:
        points = loss_points(results.x, results.s)
        self.loss = Gaussian(points, results.losses, hypers.loss, groups)
        if pending is not None and len(pending[0]):
            more = loss_points(*pending)
            every = Points(np.vstack([points.x, more.x]), np.vstack([points.basis, more.basis]))
            losses = np.concatenate([results.losses, self.loss.mean(more)])
            self.loss = Gaussian(every, losses, hypers.loss, groups)
        known = np.isfinite(results.logs)
        self._middle = float(results.logs[known].mean())
        self._cost = Gaussian(
            cost_points(results.x[known], results.s[known]),
            results.logs[known] - self._middle,
            hypers.cost,
            groups,
        )

    def at_full_size(self, x: Floats) -> tuple[Floats, Floats]:
        """(n,) means and variances of the loss on all data."""
        return self.loss.predict(loss_points(x, np.ones(len(x))))

    def costs(self, x: Floats, s: Floats) -> Floats:
        """(n,) predicted costs."""
        predicted: Floats = np.exp(self._middle + self._cost.mean(cost_points(x, s)))
        return predicted

    def gain(
        self, x: Floats, s: Floats, representers: Floats, generator: np.random.Generator, samples: int
    ) -> Floats:
        """(n,) what a result at each (x, s) tells about which of `representers` (z, f) is best at s = 1."""
        full = loss_points(representers, np.ones(len(representers)))
        means, _ = self.loss.predict(full)
        tried = loss_points(x, s)
        _, variances = self.loss.predict(tried)
        return information_gain(
            means,
            self.loss.covariance(full, full),
            self.loss.covariance(tried, full),
            variances + self.loss.hyper.noise,
            generator,
            samples,
        )
