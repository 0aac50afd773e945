"""What the demo's workers train: a logistic regression, an epoch at a time, slowed down to be seen."""

import time
from functools import partial

import numpy as np

import rung

space = {
    "learning_rate": rung.Float(1e-3, 10.0, log=True),
    "decay": rung.Float(1e-6, 1e-1, log=True),
    "batch": rung.Ordinal([16, 32, 64, 128]),
}
resource = ("epoch", 1, 9)
PAUSE = 1.0  # seconds an epoch, as if the model were large


def digits():
    """1,000 noisy pictures of ten patterns, the same each time: inputs (n, 64), labels (n,)."""
    rng = np.random.default_rng(0)
    patterns = rng.random((10, 64))
    labels = rng.integers(0, 10, 1000)
    return patterns[labels] + rng.normal(0.0, 0.6, (1000, 64)), labels


def train(trial):
    x, y = digits()
    weights = np.zeros((64, 10))
    if trial.checkpoint:
        weights = np.load(f"{trial.checkpoint}/weights.npy")
    for epoch in range(trial.start, trial.resource):
        order = np.random.default_rng([trial.seed, epoch]).permutation(800)
        for rows in np.array_split(order, 800 // trial.config["batch"]):
            p = _softmax(x[rows] @ weights)
            p[np.arange(len(rows)), y[rows]] -= 1.0
            step = x[rows].T @ p / len(rows) + trial.config["decay"] * weights
            weights = weights - trial.config["learning_rate"] * step
        time.sleep(PAUSE)
        p = _softmax(x[800:] @ weights)
        loss = float(-np.log(p[np.arange(200), y[800:]] + 1e-12).mean())
        trial.report(epoch + 1, loss=loss, save=partial(_save, weights))


def _save(weights, folder):
    np.save(f"{folder}/weights.npy", weights)


def _softmax(scores):
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)
