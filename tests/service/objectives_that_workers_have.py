"""Objectives of the tests: what a worker finds in its working folder."""

import json
import os
import time
from pathlib import Path


def train(trial):
    """A loss that falls with the resource; goes on from its checkpoint."""
    seen = 0
    if trial.checkpoint is not None:
        seen = json.loads((Path(trial.checkpoint) / "seen").read_text())
    assert seen == trial.start
    for epoch in range(seen + 1, trial.resource + 1):
        time.sleep(float(os.environ.get("RUNG_TEST_EPOCH", "0")))
        trial.report(
            epoch,
            loss=trial.config["x"] / epoch,
            save=lambda folder, epoch=epoch: (Path(folder) / "seen").write_text(json.dumps(epoch)),
        )


def stubborn(trial):
    """Never reports again."""
    trial.report(1, loss=1.0)
    time.sleep(600)


def talking(trial):
    """Prints, a little or a lot, and fails in trial 1."""
    print(f"trial {trial.number} says \x1b[31mhello")
    if trial.number == 2:
        print("\n".join(f"line {number} {'x' * 90}" for number in range(5000)))
    if trial.number == 1:
        raise ValueError("this one not")
    trial.report(1, loss=trial.config["x"])


def plain(config):
    return config["x"] ** 2


number = 3
