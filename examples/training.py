"""Tune a training loop with checkpoints: many short trainings, and the best of them go on.

    rung tune examples/training.py --trials 30 --workers 2

`train`, `space`, `resource` and `metric` are the names that `rung tune` looks for in a file. A trial that is
promoted goes on from its checkpoint: no epoch is trained twice.
"""

import numpy as np
from sklearn.datasets import load_digits

import rung

space = {
    "learning_rate": rung.Float(1e-3, 1.0, log=True),
    "hidden": rung.Integer(8, 128, log=True),
    "batch": rung.Ordinal([16, 32, 64, 128]),
    "optimizer": rung.Choice({"sgd": {}, "momentum": {"momentum": rung.Float(0.5, 0.99)}}),
}
resource = ("epoch", 1, 27)
metric = "loss"


class Net:
    """A network with one hidden layer, in NumPy: 64 pixels to 10 digits."""

    def __init__(self, hidden, seed):
        rng = np.random.default_rng(seed)
        shapes = {"w1": (64, hidden), "b1": (hidden,), "w2": (hidden, 10), "b2": (10,)}
        self.weights = {name: rng.normal(0.0, 0.1, shape) for name, shape in shapes.items()}
        self.speeds = {name: np.zeros(shape) for name, shape in shapes.items()}

    def forward(self, x):
        h = np.maximum(x @ self.weights["w1"] + self.weights["b1"], 0.0)  # (n, hidden)
        scores = h @ self.weights["w2"] + self.weights["b2"]  # (n, 10)
        scores -= scores.max(axis=1, keepdims=True)
        return h, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    def loss(self, x, y):
        return float(-np.log(self.forward(x)[1][np.arange(len(y)), y] + 1e-12).mean())

    def step(self, x, y, learning_rate, momentum):
        h, p = self.forward(x)
        p[np.arange(len(y)), y] -= 1.0
        back = (p @ self.weights["w2"].T) * (h > 0)  # (n, hidden)
        gradients = {"w1": x.T @ back, "b1": back.sum(0), "w2": h.T @ p, "b2": p.sum(0)}
        for name, gradient in gradients.items():
            self.speeds[name] = momentum * self.speeds[name] - learning_rate * gradient / len(y)
            self.weights[name] += self.speeds[name]

    def save(self, folder):
        np.savez(f"{folder}/weights.npz", **self.weights)
        np.savez(f"{folder}/speeds.npz", **self.speeds)

    def load(self, folder):
        self.weights = dict(np.load(f"{folder}/weights.npz"))
        self.speeds = dict(np.load(f"{folder}/speeds.npz"))


def train(trial):
    images, digits = load_digits(return_X_y=True)
    images = images / 16.0
    x, y, x_test, y_test = images[:1200], digits[:1200], images[1200:], digits[1200:]

    config = trial.config
    net = Net(config["hidden"], trial.seed)
    if trial.checkpoint:  # the folder that this trial saved before, or None
        net.load(trial.checkpoint)
    for epoch in range(trial.start, trial.resource):
        order = np.random.default_rng([trial.seed, epoch]).permutation(len(y))
        for rows in np.array_split(order, len(y) // config["batch"]):
            net.step(x[rows], y[rows], config["learning_rate"], config.get("momentum", 0.0))
        trial.report(epoch + 1, loss=net.loss(x_test, y_test), save=net.save)


if __name__ == "__main__":
    result = rung.tune(train, space, metric=metric, resource=resource, trials=30, seed=0)
    print(f"best loss {result.best.value:.4f} at epoch {result.best.resource}: {result.best.config}")
