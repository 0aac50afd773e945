"""Functions in closed form: smooth, rugged, mixed, conditional, noisy, of many parameters; curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

import rung
from benchmarks.problems import Problem

Config = Mapping[str, Any]


def _plain(function: Callable[[Config], float]) -> Callable[[Config, int, int], float]:
    return lambda config, resource, seed: function(config)


def branin(config: Config) -> float:
    x, y = config["x"], config["y"]
    curve = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return curve**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_SCALES = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(config: Config) -> float:
    x = np.array([config[f"x{i}"] for i in range(6)])
    return -float(_WEIGHTS @ np.exp(-(_SCALES * (x - _CENTRES) ** 2).sum(axis=1)))


def ackley(config: Config) -> float:
    x = np.array(list(config.values()))
    root, mean = math.sqrt(float((x**2).mean())), float(np.cos(2 * math.pi * x).mean())
    return 20.0 - 20.0 * math.exp(-0.2 * root) + math.e - math.exp(mean)


def rosenbrock(config: Config) -> float:
    x = np.array(list(config.values()))
    return math.log1p(float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()))


def counting_ones(config: Config) -> float:
    """BOHB, 5.1, without noise."""
    return -float(sum(config.values()))


def mixed(config: Config) -> float:
    """Categories that interact with numbers and whole ones, as those of a boosting's settings do."""
    depth, rate, kind = config["depth"], math.log10(config["rate"]), config["kind"]
    best = {"a": (-1.0, 6), "b": (-2.0, 4), "c": (-3.0, 9), "d": (-1.5, 3)}[kind]
    base = {"a": 0.1, "b": 0.0, "c": 0.25, "d": 0.4}[kind]
    wobble = 0.05 * math.sin(3 * rate) ** 2
    penalty = 0.3 * (config["sample"] - 0.8) ** 2 + (0.1 if config["flag"] else 0.0)
    return base + 0.2 * (rate - best[0]) ** 2 + 0.02 * (depth - best[1]) ** 2 + wobble + penalty


def conditional(config: Config) -> float:
    """The better branch has the narrower optimum."""
    shared = (config["shared"] - 0.7) ** 2
    if config["kind"] == "wide":
        return 0.2 + shared + 0.1 * (config["a"] - 0.2) ** 2
    if config["kind"] == "narrow":
        return shared + 4 * (math.log10(config["b"]) + 2) ** 2 / 9 + 0.05 * abs(config["n"] - 4)
    return 1.0 + shared


def noisy_hartmann(config: Config, resource: int, seed: int) -> float:
    return hartmann6(config) + 0.1 * float(np.random.default_rng(seed).normal())


def curve(config: Config, epoch: int, seed: int) -> float:
    """A learning curve: where it ends and how fast are both the configuration's; the fast ones end worse."""
    rate, width = math.log10(config["rate"]), math.log2(config["width"])
    end = 0.1 + 0.06 * (rate + 2.5) ** 2 + 0.01 * (width - 7) ** 2 + 0.15 * (config["drop"] - 0.3) ** 2
    end += {"sgd": 0.0, "adam": 0.03, "plain": 0.08}[config["kind"]]
    speed = 0.25 + 0.35 * (rate + 4) / 3 + (0.3 if config["kind"] == "adam" else 0.0)
    noise = 0.005 * float(np.random.default_rng((seed, epoch)).normal())
    return end + (1.0 - end) * (1.0 + epoch) ** -speed + noise


def drawn_ones(config: Config, draws: int, seed: int) -> float:
    """BOHB, 5.1: each number is the mean of so many draws of a coin with that probability."""
    rng = np.random.default_rng((seed, draws))
    ones = sum(value for name, value in config.items() if name.startswith("c"))
    heads = sum(rng.binomial(draws, value) for name, value in config.items() if name.startswith("x"))
    return -float(ones + heads / draws)


def biased_hartmann(config: Config, epoch: int, seed: int) -> float:
    """Short trainings see the hills shifted, and through noise."""
    share = 1.0 - math.log(epoch) / math.log(27)
    shifted = {name: min(1.0, value + 0.15 * share) for name, value in config.items()}
    return hartmann6(shifted) + 0.3 * share * float(np.random.default_rng((seed, epoch)).normal())


def misleading(config: Config, epoch: int, seed: int) -> float:
    """Short trainings rank configurations the wrong way round."""
    x = np.array([config[f"x{i}"] for i in range(4)])
    good = float(((x - 0.7) ** 2).sum())
    wrong = float(((x - 0.2) ** 2).sum())
    share = math.log(epoch) / math.log(27)
    return share * good + (1 - share) * wrong


def _unit(dimensions: int, low: float = 0.0, high: float = 1.0) -> dict[str, Any]:
    return {f"x{i}": rung.Float(low, high) for i in range(dimensions)}


def _curve_end(config: Config) -> float:
    value = curve(config, 81, 0)
    return value - 0.005 * float(np.random.default_rng((0, 81)).normal())


SYNTHETIC: Final[dict[str, Problem]] = {
    "branin": Problem({"x": rung.Float(-5, 10), "y": rung.Float(0, 15)}, _plain(branin), 0.39788735772973816),
    "hartmann6": Problem(_unit(6), _plain(hartmann6), -3.32236801141551),
    "ackley10": Problem(_unit(10, -3.0, 7.0), _plain(ackley), 0.0),
    "rosenbrock5": Problem(_unit(5, -2.0, 2.0), _plain(rosenbrock), 0.0),
    "ackley40": Problem(_unit(40, -3.0, 7.0), _plain(ackley), 0.0, evaluations=120),
    "counting": Problem(
        {f"c{i}": rung.Categorical([0, 1]) for i in range(8)} | _unit(8), _plain(counting_ones), -16.0
    ),
    "mixed": Problem(
        {
            "rate": rung.Float(1e-4, 1.0, log=True),
            "depth": rung.Integer(1, 12),
            "kind": rung.Categorical(["a", "b", "c", "d"]),
            "sample": rung.Float(0.2, 1.0),
            "flag": rung.Categorical([False, True]),
        },
        _plain(mixed),
        0.0012327860529,
    ),
    "conditional": Problem(
        {
            "shared": rung.Float(0, 1),
            "kind": rung.Choice(
                {
                    "wide": {"a": rung.Float(0, 1)},
                    "narrow": {"b": rung.Float(1e-5, 1, log=True), "n": rung.Integer(1, 10)},
                    "none": {},
                }
            ),
        },
        _plain(conditional),
        0.0,
    ),
    "noisy": Problem(_unit(6), noisy_hartmann, -3.32236801141551, truth=hartmann6),
    "curves": Problem(
        {
            "rate": rung.Float(1e-4, 1e-1, log=True),
            "width": rung.Integer(16, 1024, log=True),
            "drop": rung.Float(0, 0.8),
            "kind": rung.Categorical(["sgd", "adam", "plain"]),
        },
        curve,
        0.15,
        ("epoch", 1, 81),
        evaluations=40,
        truth=_curve_end,
    ),
    "drawn ones": Problem(
        {f"c{i}": rung.Categorical([0, 1]) for i in range(8)} | _unit(8),
        drawn_ones,
        -16.0,
        ("draws", 9, 729),
        evaluations=40,
        truth=counting_ones,
    ),
    "biased": Problem(_unit(6), biased_hartmann, -3.32236801141551, ("epoch", 1, 27), 40, hartmann6),
    "misleading": Problem(_unit(4), misleading, 0.0, ("epoch", 1, 27), evaluations=40),
}

ENTRIES: Final[dict[str, Callable[[], Problem]]] = {
    name: (lambda found=found: found) for name, found in SYNTHETIC.items()
}
