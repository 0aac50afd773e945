"""Models of the loss: `forest`, `mfes`, `cqr`, `gp`, `turbo`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from scipy.integrate import quad
from scipy.stats import kendalltau, norm

from benchmarks.conformance.lab import Lab
from benchmarks.conformance.rule import Asked, Cannot, Outcome, Rule, listed
from rung.models.quantiles import margins_of
from rung.samplers.cqr import latest_results
from rung.samplers.improvement import log_improvement, log_improvement_of_exp
from rung.samplers.mfes import Ensemble, MfesSampler, ordered
from rung.samplers.trust_region import Region, tolerance
from rung.space.compiled import compile_space
from rung.space.domains import Float

POINTS: Final = ((0.0, 0.1, 0.2), (0.0, 1.0, 0.5), (-1.0, -0.9, 0.1))  # best, mean and deviation
SQUARE: Final = compile_space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})


def _integral(best: float, mean: float, deviation: float, exponential: bool) -> float:
    """Expected improvement by quadrature."""

    def gain(y: float) -> float:
        improvement = math.exp(best) - math.exp(y) if exponential else best - y
        return float(improvement * norm.pdf(y, mean, deviation))

    return float(quad(gain, mean - 12 * deviation, best, epsabs=1e-14, epsrel=1e-11)[0])


def _improvement(exponential: bool) -> Outcome:
    rule = log_improvement_of_exp if exponential else log_improvement
    found = [math.exp(rule(b, np.array([m]), np.array([s * s]))[0]) for b, m, s in POINTS]
    return _against(found, exponential)


def _against(found: list[float], exponential: bool) -> Outcome:
    wanted = [_integral(*point, exponential) for point in POINTS]
    text = f"{', '.join(f'{value:.6f}' for value in found)}"
    return Outcome(text, bool(np.allclose(found, wanted, rtol=1e-6)))


def _asked_smac(exponential: bool) -> Asked:
    payload = {"points": [list(point) for point in POINTS], "log": exponential}
    return Asked("smac", "improvement", lambda answer: _against(answer["values"], exponential), payload)


FAR: Final = (-10.0, -40.0, -200.0)  # deviations of the best below the mean
_EXACT: Final = (-55.5531220361, -808.2985683567, -20011.5156482597)  # log(phi(z) + z Phi(z)), by 80 digits


def _tail() -> Outcome:
    found = [float(log_improvement(z, np.zeros(1), np.ones(1))[0]) for z in FAR]
    return _in_tail(found)


def _in_tail(found: list[float | None]) -> Outcome:
    shown = ["-inf" if value is None else f"{value:.3f}" for value in found]
    right = all(a is not None and abs(a - b) < 1e-6 * abs(b) for a, b in zip(found, _EXACT, strict=True))
    return Outcome(f"log EI at 10, 40, 200 deviations: {', '.join(shown)}", right)


# -- several fidelities ------------------------------------------------------------------------------------


def _ranking() -> Outcome:
    draws = np.random.default_rng(0).random((2, 30))
    found, tau = ordered(draws[0], draws[1]), kendalltau(*draws).statistic
    wanted = (tau + 1) / 2
    return Outcome(
        f"share of pairs in order {found:.4f}, (Kendall's tau + 1) / 2 = {wanted:.4f}",
        abs(found - wanted) < 1e-9,
    )


def _weights() -> Outcome:
    """Losses at 1 that rank as at 81, losses at 9 that rank the other way round."""
    sampler = MfesSampler(random_fraction=0.0)
    lab = Lab(sampler=sampler, space=SQUARE)
    lab.random(40, lambda config: config["x"], 1)
    lab.random(20, lambda config: -config["x"], 9)
    lab.random(8, lambda config: config["x"], 81)
    bases = sampler.bases(SQUARE, lab.history)
    weights = dict(zip(bases, sampler.weights(SQUARE, lab.history, bases).tolist(), strict=True))
    text = ", ".join(f"{weights[rung]:.2f} at {rung}" for rung in sorted(weights))
    alike = abs(sum(weights.values()) - 1.0) < 1e-9
    return Outcome(
        f"weights {text}: of losses at 1 that rank as at 81, at 9 the other way", alike and weights[1] > 0.9
    )


def _product() -> Outcome:
    class Fixed:
        def __init__(self, mean: float, variance: float) -> None:
            self.found = np.array([mean]), np.array([variance])

        def predict(self, points: Any) -> Any:
            return self.found

    pair: Any = (Fixed(1.0, 0.5), Fixed(3.0, 2.0))
    mean, variance = Ensemble(pair, np.array([0.4, 0.6])).predict(np.zeros((1, 2)))
    precision = 0.4 / 0.5 + 0.6 / 2.0
    wanted = (0.4 * 1.0 / 0.5 + 0.6 * 3.0 / 2.0) / precision
    text = f"mean {mean[0]:.4f}, variance {variance[0]:.4f} of N(1, 0.5) and N(3, 2) weighing 0.4 and 0.6"
    return Outcome(text, math.isclose(mean[0], wanted) and math.isclose(variance[0], 1 / precision))


def _latest() -> Outcome:
    """Trial 0 has results at 1 and 9, the latter told first by another worker's clock; trial 1 at 3."""
    lab = Lab(space=SQUARE)
    lab.trial(SQUARE.sample(0, 0), 0.2, 9)
    lab.trial(SQUARE.sample(0, 1), 0.7, 3)
    found = latest_results(lab.history, dict.fromkeys(sorted(lab.history.results, reverse=True), 1))
    text = f"losses {found.losses.tolist()} of trials at 9 and at 3, in one model"
    return Outcome(text, found.losses.tolist() == [0.2, 0.7])


def _coverage() -> Outcome:
    """Quantiles that are all wrong (far too narrow), corrected on 99 targets, on 2,000 new ones."""
    draws = np.random.default_rng(0).normal(size=2099)
    guess = np.linspace(-0.05, 0.05, 5)
    margins = margins_of(np.repeat(guess[:, None], 99, axis=1), draws[:99])
    low, high = guess[0] + margins[0], guess[4] + margins[4]
    inside = float(np.mean((draws[99:] >= low) & (draws[99:] <= high)))
    return Outcome(
        f"an interval for 2/3 of targets holds {inside:.3f} of 2,000 new ones, however bad the model",
        inside > 0.62,
    )


# -- gp and turbo ------------------------------------------------------------------------------------------


def _posterior() -> Outcome:
    import torch

    from rung.models.botorch_gp import Kernel
    from rung.models.gp_posterior import Posterior

    x = np.random.default_rng(0).random((12, 2))
    y, new = np.sin(5 * x[:, 0]) + x[:, 1], np.random.default_rng(1).random((5, 2))
    kernel = Kernel((0.4, 0.9), 2, 1e-2, 0.3)
    mean, variance = Posterior(kernel, torch.tensor(x), torch.tensor(y)).at(torch.tensor(new))
    inverse = np.linalg.inv(_matern(x, x) + 1e-2 * np.eye(12))
    cross = _matern(new, x)
    gap = np.abs(mean[:, 0].numpy() - (0.3 + cross @ inverse @ (y - 0.3))).max()
    gap = max(gap, np.abs(variance.numpy() - (1 - np.einsum("ij,jk,ik->i", cross, inverse, cross))).max())
    return Outcome(
        f"mean and variance {'within' if gap < 1e-9 else 'beyond'} 1e-9 of k' K^-1 y and 1 - k' K^-1 k",
        bool(gap < 1e-9),
    )


def _matern(a: Any, b: Any) -> Any:
    """Matern 5/2 with the lengthscales 0.4 and 0.9."""
    r = np.sqrt(5 * ((((a[:, None] - b[None]) / [0.4, 0.9]) ** 2).sum(-1)))
    return (1 + r + r * r / 3) * np.exp(-r)


def _region() -> Outcome:
    region, lengths = Region(best=0.0), [0.8]
    for value in (-1.0, -2.0, -3.0, *[0.0] * (7 * 10)):
        region = region.told(value, tolerance(10))
        if region.length != lengths[-1]:
            lengths.append(region.length)
    text = f"{listed(lengths[:4])} ...: doubled by 3 successes, halved by {tolerance(10)} failures, d = 10"
    return Outcome(text, lengths[:4] == [0.8, 1.6, 0.8, 0.4] and not region.over and Region(0.5**8).over)


AMENT: Final = "Ament et al. 2023, section 4 and A.1"
NO_PEER: Final = (Cannot("optuna", "has no such method in its core"), Cannot("smac", "has no such method"))
RULES: Final = (
    Rule(
        "forest",
        "expected improvement",
        "E[max(0, best - Y)] for a normal Y",
        "Hutter et al. 2011, section 4; Jones et al. 1998",
        lambda: _improvement(False),
        (_asked_smac(False),),
    ),
    Rule(
        "forest",
        "improvement of logarithms",
        "where log losses are modelled: E[max(0, exp(best) - exp(Y))]",
        "Hutter et al. 2009, section 5.2",
        lambda: _improvement(True),
        (_asked_smac(True),),
    ),
    Rule(
        "forest",
        "far tail",
        "improvements far below the best are still ranked: by the logarithm, without underflow",
        AMENT,
        _tail,
        (Asked("smac", "tail", lambda answer: _in_tail(answer["values"]), {"far": list(FAR)}),),
    ),
    Rule(
        "gp",
        "log expected improvement",
        "the logarithm is exact far into the tails",
        AMENT,
        lambda: _gp_tail(),
        (Asked("optuna", "tail", lambda answer: _in_tail(answer["values"]), {"far": list(FAR)}),),
    ),
    Rule(
        "gp",
        "posterior",
        "mean k' K^-1 y and variance k(x, x) - k' K^-1 k of a Gaussian process",
        "Rasmussen & Williams 2006, equations 2.25 and 2.26",
        _posterior,
        (Asked("optuna", "posterior", lambda answer: _read_posterior(answer)),),
    ),
    Rule(
        "turbo",
        "the region's length",
        "twice as long after 3 successes, half after max(4, d) failures, anew below 2^-7",
        "Eriksson et al. 2019, section 3.1 and supplement",
        _region,
        NO_PEER,
    ),
    Rule(
        "cqr",
        "several fidelities",
        "each trial counts with its result at its largest resource, in one model",
        "Salinas et al. 2023, section 5",
        _latest,
        (Asked("syne-tune", "latest", lambda answer: _read_latest(answer)),),
    ),
    Rule(
        "cqr",
        "coverage",
        "the corrected interval of level 1 - 2 alpha holds as many new targets at least",
        "Salinas et al. 2023, section 4; Romano et al. 2019, theorem 1",
        _coverage,
        (
            Asked(
                "syne-tune",
                "coverage",
                lambda answer: Outcome(
                    f"holds {answer['inside']:.3f} of 2,000 new ones", answer["inside"] > 0.62
                ),
            ),
        ),
    ),
    Rule(
        "mfes",
        "ranking",
        "a surrogate is judged by the share of pairs that it puts in order",
        "Li et al. 2021, section 4.3",
        _ranking,
        NO_PEER,
    ),
    Rule(
        "mfes",
        "weights",
        "weights are p^theta over their sum, theta = 3",
        "Li et al. 2021, section 4.3",
        _weights,
        NO_PEER,
    ),
    Rule(
        "mfes",
        "product of experts",
        "precision sum(w / variance), mean sum(w mean / variance) / precision",
        "Li et al. 2021, section 4.2",
        _product,
        NO_PEER,
    ),
)


def _gp_tail() -> Outcome:
    import torch

    from rung.models.botorch_acquisition import log_improvement as of_torch

    return _in_tail([float(value) for value in of_torch(torch.tensor(FAR, dtype=torch.float64))])


def _read_posterior(answer: Mapping[str, Any]) -> Outcome:
    gap = float(answer["gap"])
    return Outcome(f"{'within' if gap < 1e-6 else 'beyond'} 1e-6 of it", gap < 1e-6)


def _read_latest(answer: Mapping[str, Any]) -> Outcome:
    found = answer["losses"]
    return Outcome(f"losses {found} of trials at 9 and at 3, in one model", found == [0.2, 0.7])
