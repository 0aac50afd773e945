"""The cost of one suggestion by Optuna's samplers, its study in memory."""

from typing import Any

import numpy as np
import optuna
from answer import answer, loss, seconds, timed

optuna.logging.set_verbosity(optuna.logging.ERROR)
NUMBERS = {f"x{i}": optuna.distributions.FloatDistribution(0.0, 1.0) for i in range(7)}
CHOICES = {f"c{i}": optuna.distributions.CategoricalDistribution(["a", "b", "c"]) for i in range(3)}
SAMPLERS: dict[str, Any] = {
    "tpe": lambda: optuna.samplers.TPESampler(seed=0),
    "tpe-multivariate": lambda: optuna.samplers.TPESampler(seed=0, multivariate=True),
    "tpe-univariate": lambda: optuna.samplers.TPESampler(seed=0, multivariate=False),
    "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=0),
    "gp": lambda: optuna.samplers.GPSampler(seed=0),
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
    "qmc": lambda: optuna.samplers.QMCSampler(seed=0),
    "nsgaii": lambda: optuna.samplers.NSGAIISampler(seed=0),
}


def suggest(sampler: str, observations: int, repeats: int) -> dict[str, float]:
    """Milliseconds a suggestion after so many random trials, one more told before each."""
    domains: dict[str, Any] = NUMBERS if sampler == "cmaes" else NUMBERS | CHOICES  # it has no categories
    study = optuna.create_study(sampler=SAMPLERS[sampler]())
    rng = np.random.default_rng(0)
    trials = []
    for _ in range(observations):
        params = {name: float(rng.random()) for name in NUMBERS}
        params |= {name: "abc"[rng.integers(3)] for name in domains if name in CHOICES}
        value = loss({"c0": "a", "c1": "a", "c2": "a"} | params)
        trials.append(optuna.trial.create_trial(params=params, distributions=domains, value=value))
    study.add_trials(trials)

    def step() -> float:
        cost, trial = seconds(lambda: study.ask(domains))
        study.tell(trial, loss({"c0": "a", "c1": "a", "c2": "a"} | trial.params))
        return cost

    return timed(step, repeats)


answer({"suggest": suggest})
