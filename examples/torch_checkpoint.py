"""A PyTorch training that can stop anywhere and go on as if it had not: copy `save` and `load`.

    rung tune examples/torch_checkpoint.py --trials 20 --workers 2

What a training's next step depends on is all in the checkpoint: weights, the optimiser's and the schedule's
state, the random states of Python, NumPy and PyTorch, and where in the data it stands. A trial that is paused
(Ctrl-C, `rung pause`) and resumed, on this machine or another, ends at the same weights, bit for bit, as one
that was never disturbed: on one device, with one version of PyTorch and one number of threads.
"""

import random

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import rung

space = {
    "learning_rate": rung.Float(1e-4, 1e-1, log=True),
    "hidden": rung.Integer(16, 128, log=True),
    "dropout": rung.Float(0.0, 0.5),
}
resource = ("epoch", 1, 9)
metric = "loss"


class Batches:
    """The rows of the training set in a random order, batch by batch, that knows where it stands."""

    def __init__(self, rows, size, seed):
        self.rows, self.size = rows, size
        self.random = torch.Generator().manual_seed(seed)
        self.order, self.position = torch.arange(0), 0

    def next(self):
        if self.position >= len(self.order):  # a new epoch
            self.order, self.position = torch.randperm(self.rows, generator=self.random), 0
        self.position += self.size
        return self.order[self.position - self.size : self.position]

    def state_dict(self):
        return {"random": self.random.get_state(), "order": self.order, "position": self.position}

    def load_state_dict(self, state):
        self.random.set_state(state["random"])
        self.order, self.position = state["order"], state["position"]


def random_states():
    states = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}  # noqa: NPY002
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def set_random_states(states):
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if "cuda" in states:
        torch.cuda.set_rng_state_all(states["cuda"])


def save(folder, parts):
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"parts": state, "random": random_states()}, f"{folder}/training.pt")


def load(folder, parts):
    saved = torch.load(
        f"{folder}/training.pt", weights_only=False
    )  # rung has checked that it is what was saved
    for name, part in parts.items():
        part.load_state_dict(saved["parts"][name])
    set_random_states(saved["random"])


def train(trial):
    random.seed(trial.seed)
    np.random.seed(trial.seed)  # noqa: NPY002
    torch.manual_seed(trial.seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # another number adds up in another order: the last bits differ

    images, digits = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(digits)
    x, y, x_test, y_test = x[:1200], y[:1200], x[1200:], y[1200:]

    config = trial.config
    model = nn.Sequential(
        nn.Linear(64, config["hidden"]),
        nn.ReLU(),
        nn.Dropout(config["dropout"]),
        nn.Linear(config["hidden"], 10),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["learning_rate"])
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
    batches = Batches(len(y), 64, trial.seed)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "batches": batches}

    if trial.checkpoint:  # the folder that an earlier job of this trial saved, or None
        load(trial.checkpoint, parts)
    for epoch in range(trial.start, trial.resource):
        model.train()
        for _ in range(-(-batches.rows // batches.size)):
            rows = batches.next()
            noise = 0.01 * torch.tensor(np.random.randn(len(rows), 64), dtype=torch.float32)  # noqa: NPY002
            shift = random.choice([-1, 0, 1])
            optimizer.zero_grad()
            nn.functional.cross_entropy(model((x[rows] + noise).roll(shift, 1)), y[rows]).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            loss = nn.functional.cross_entropy(model(x_test), y_test)
        trial.report(epoch + 1, loss=float(loss), save=lambda folder: save(folder, parts))


if __name__ == "__main__":
    result = rung.tune(train, space, metric=metric, resource=resource, trials=20, seed=0)
    print(f"best loss {result.best.value:.4f} at epoch {result.best.resource}: {result.best.config}")
