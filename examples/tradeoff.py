"""Tune for two things at once: a small loss and a small network, within a bound on its size.

    rung tune examples/tradeoff.py --trials 30 --study tradeoff

`metric` names both objectives, `constraints` what a result must keep. What comes out is a Pareto front:
networks of which none is better in both.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

import rung

space = {
    "features": rung.Integer(8, 1024, log=True),
    "width": rung.Float(0.1, 10.0, log=True),
    "penalty": rung.Float(1e-4, 1e2, log=True),
    "kind": rung.Categorical(["cos", "relu", "tanh"]),
}
metric = ["error", "weights"]
constraints = ["weights <= 50000"]
kinds = {"cos": np.cos, "relu": lambda x: np.maximum(x, 0.0), "tanh": np.tanh}


def train(trial):
    """A layer of random features and a linear classifier on them."""
    images, digits = load_digits(return_X_y=True)
    config, rng = trial.config, np.random.default_rng(trial.seed)
    weights = rng.normal(0.0, config["width"] / 64, (64, config["features"]))  # (64, features)
    hidden = kinds[config["kind"]](images @ weights + rng.uniform(0, 2 * np.pi, config["features"]))
    model = RidgeClassifier(config["penalty"]).fit(hidden[:1200], digits[:1200])
    error = 1.0 - model.score(hidden[1200:], digits[1200:])
    return {"error": error, "weights": (64 + 10) * config["features"]}


if __name__ == "__main__":
    result = rung.tune(train, space, metric=metric, constraints=constraints, trials=30, seed=0)
    for trial in sorted(result.front, key=lambda trial: trial.value):
        print(trial.observations[-1].metrics, trial.config)
    print(f"best error {result.best.value:.3f}")
